"""Stop work that takes longer than its caller allows.

Owns the budget record; the clock comes in from outside, so tests need no waiting.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from msgspec import Struct

from oxoflow.errors import WorkflowError


class Deadline(Struct, frozen=True):
    """A moment on `now`'s clock after which `check` raises."""

    ends_at: float
    seconds: float
    now: Callable[[], float]

    @classmethod
    def after(cls, seconds: float, now: Callable[[], float] = time.monotonic) -> Deadline:
        """Start a budget of `seconds`."""
        return cls(now() + seconds, seconds, now)

    def check(self, doing: str) -> None:
        """Raise WorkflowError, saying what was being done, when the time is over."""
        if self.now() > self.ends_at:
            raise WorkflowError(
                f"{doing} took longer than {self.seconds:g} s and was stopped; make the workflow "
                "smaller, or allow more time"
            )
