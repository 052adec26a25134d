"""Count requests by method and status and how long they took, for /api/metrics and /metrics."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter

from msgspec import Struct

BUCKETS = (0.005, 0.025, 0.1, 0.5, 2.5, 10.0)  # seconds, upper ends
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Figures(Struct, frozen=True):
    """What was counted so far; `buckets[i]` requests took at most BUCKETS[i], the last any time."""

    requests: dict[tuple[str, int], int]
    buckets: tuple[int, ...]
    seconds: float


class Traffic:
    """Counters with one lock, touched twice a request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun = 0
        self._answers: Counter[tuple[str, int]] = Counter()
        self._slots = [0] * (len(BUCKETS) + 1)
        self._seconds = 0.0

    @property
    def begun(self) -> int:
        """Requests since the start, the present one included."""
        return self._begun

    def begin(self) -> None:
        """Count a request that has come."""
        with self._lock:
            self._begun += 1

    def end(self, method: str, status: int, seconds: float) -> None:
        """Count its answer; invented methods share one name, so that they fill no memory."""
        name = method if method in METHODS else "other"
        slot = bisect_left(BUCKETS, seconds)
        with self._lock:
            self._answers[name, status] += 1
            self._slots[slot] += 1
            self._seconds += seconds

    def figures(self) -> Figures:
        """A copy of the counters, its buckets summed up as Prometheus wants them."""
        with self._lock:
            answers, slots, seconds = dict(self._answers), list(self._slots), self._seconds
        sums = [sum(slots[: end + 1]) for end in range(len(slots))]
        return Figures(answers, tuple(sums), seconds)
