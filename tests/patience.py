"""Make tests independent of the machine: of how fast it is, and of how many cores it has.

No test passes or fails by how long something takes: the limit ends one that would hang for ever.
"""

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

PATIENCE = 300.0  # seconds
MOMENT = 0.01  # between two looks
CORES = 4  # what is to go on at a time needs more than the one that a small machine has


def have_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process, though not what it starts, find the same number of cores everywhere."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(CORES)))


def wait_until(holds: Callable[[], Any]) -> Any:
    """Look again and again until something is true; what it is then."""
    deadline = time.monotonic() + PATIENCE
    pause = threading.Event()
    while not (found := holds()):
        assert time.monotonic() < deadline, "it did not happen"
        pause.wait(MOMENT)
    return found
