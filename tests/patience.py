"""Wait in tests for what others bring about, as long as the slowest machine may need.

No test passes or fails by how long something takes: the limit ends one that would hang for ever.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

PATIENCE = 300.0  # seconds
MOMENT = 0.01  # between two looks


def wait_until(holds: Callable[[], Any]) -> Any:
    """Look again and again until something is true; what it is then."""
    deadline = time.monotonic() + PATIENCE
    pause = threading.Event()
    while not (found := holds()):
        assert time.monotonic() < deadline, "it did not happen"
        pause.wait(MOMENT)
    return found
