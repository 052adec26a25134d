"""Hold what the views need: one record of the running server's parts, made once by app.py."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from flask import current_app

from oxoflow.access import Access, RateLimiter
from oxoflow.db import Database
from oxoflow.settings import Settings
from oxoflow.web.machine import Machine


@dataclass(slots=True)
class Services:
    """The parts of a running server."""

    settings: Settings
    db: Database
    access: Access
    limiter: RateLimiter | None  # None: switched off
    machine: Machine = field(default_factory=Machine)
    workspace: Any = None
    supervisor: Any = None
    streams: Any = None
    started: float = field(default_factory=time.monotonic)
    requests: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    total_requests: int = 0

    def count_request(self) -> None:
        """Count one request; next() on itertools.count is atomic, so no lock is needed."""
        self.total_requests = next(self.requests)


def services() -> Services:
    """The parts of the server that handles this request."""
    return cast(Services, current_app.extensions["oxoflow"])
