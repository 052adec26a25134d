"""Hold what the views need: one record of the running server's parts, made once by app.py."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Protocol, cast

from flask import current_app
from msgspec import Struct, field

from oxoflow.access import Access, RateLimiter
from oxoflow.db import Database
from oxoflow.executions.attending import Attendant
from oxoflow.executions.service import Executions
from oxoflow.settings import Settings
from oxoflow.supervisor import Supervisor
from oxoflow.web.hub import StreamHub
from oxoflow.web.machine import Machine
from oxoflow.web.traffic import Traffic
from oxoflow.workspace import Workspace


class Texts(Protocol):
    """What does the verbs on workflow texts: processes of their own, or, in tests, this one."""

    def __call__(self, verb: str, asked: Mapping[str, Any]) -> dict[str, Any]: ...

    def stop(self) -> None: ...


class Services(Struct):
    """The parts of a running server."""

    settings: Settings
    db: Database
    access: Access
    limiter: RateLimiter | None  # None: switched off
    workspace: Workspace
    supervisor: Supervisor
    streams: StreamHub
    executions: Executions
    attendant: Attendant
    texts: Texts
    machine: Machine = field(default_factory=Machine)
    traffic: Traffic = field(default_factory=Traffic)
    started: float = field(default_factory=time.monotonic)

    def start(self) -> None:
        """Begin to serve streams and to take up runs."""
        self.streams.start()
        self.attendant.start(self.supervisor, self.texts)
        self.supervisor.start()

    def stop(self) -> None:
        """End the threads; runs go on. Safe to call twice, and without a start."""
        self.supervisor.stop()
        self.attendant.stop()
        self.streams.stop()
        self.texts.stop()


def services() -> Services:
    """The parts of the server that handles this request."""
    return cast(Services, current_app.extensions["oxoflow"])
