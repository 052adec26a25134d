"""Bound how many request threads wait for something slow: at most half of them (design, 10)."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from oxoflow.web.handover import ADJUSTMENTS

HALF = int(ADJUSTMENTS["threads"]) // 2
_WAITING = threading.BoundedSemaphore(HALF)
_STREAMING = threading.BoundedSemaphore(HALF)


@contextlib.contextmanager
def may_wait() -> Iterator[bool]:
    """True when this thread may wait; False when half of them do already."""
    taken = _WAITING.acquire(blocking=False)
    try:
        yield taken
    finally:
        if taken:
            _WAITING.release()


def take_streaming_thread() -> bool:
    """Reserve a thread for a stream that cannot be handed over; give it back with `free_…`."""
    return _STREAMING.acquire(blocking=False)


def free_streaming_thread() -> None:
    """The stream in a request thread has ended."""
    _STREAMING.release()
