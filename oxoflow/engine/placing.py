"""Name what a run asks of the place where its jobs go (design 4).

Owns the words between the engine and `oxoflow.backends`, and starts nothing. Hooks, the making of
environments and a backend's own tools always run here, through `Commands`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from oxoflow.engine.attempt import Commands, JobLogs
from oxoflow.engine.process import Exit


class Attempt(Struct, frozen=True):
    """One attempt of a job: what is to be run, where and with what. Seconds and megabytes."""

    job: str
    token: str  # marks the attempt's processes: `JOB.ATTEMPT`, both numbers
    argv: tuple[str, ...]
    cwd: str
    variables: Mapping[str, str]
    timeout: float | None
    threads: int
    memory_mb: int | None


class Backend(Protocol):
    """A place where jobs go. Worker threads call it, several at a time."""

    def run(self, attempt: Attempt, here: Commands, logs: JobLogs) -> Exit:
        """Carry an attempt out to its end; raises SpawnFailed when it could not begin.

        What it prints goes into `logs`. When it returns, nothing of a failed attempt lives on.
        """
