"""Count stream places: so many for one owner, so many together, none forgotten.

Owns the counters and their lock. A place is taken by a view, before the connection is there; one
whose connection never comes (the client left, a later step failed) is free again after a while.
"""

from __future__ import annotations

import threading
import time
from collections import Counter

from oxoflow.errors import RateLimited, Unavailable

UNCLAIMED = 10.0  # seconds


class Place:
    """One reserved place; compared by identity."""

    __slots__ = ("owner", "taken_at")

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.taken_at = time.monotonic()


class Places:
    """All places; callable from any thread."""

    def __init__(self, per_owner: int, total: int) -> None:
        self._per_owner = per_owner
        self._total = total
        self._lock = threading.Lock()
        self._owners: Counter[str] = Counter()
        self._unclaimed: set[Place] = set()

    def take(self, owner: str) -> Place:
        """Reserve one; raises RateLimited over the owner's number, Unavailable over the total."""
        with self._lock:
            if self._owners.total() >= self._total:
                raise Unavailable("Too many event streams", "all are taken", retry_after=10)
            if self._owners[owner] >= self._per_owner:
                raise RateLimited(
                    "Too many event streams",
                    f"at most {self._per_owner} at a time: close one first",
                    retry_after=5,
                )
            place = Place(owner)
            self._owners[owner] += 1
            self._unclaimed.add(place)
        return place

    def claim(self, place: Place) -> bool:
        """The connection is there; False when the place was given up meanwhile."""
        with self._lock:
            known = place in self._unclaimed
            self._unclaimed.discard(place)
        return known

    def leave(self, place: Place) -> None:
        """Give a claimed place back."""
        with self._lock:
            self._give_back(place)

    def expire(self) -> None:
        """Give back what was taken long ago and never claimed."""
        limit = time.monotonic() - UNCLAIMED
        with self._lock:
            for place in [place for place in self._unclaimed if place.taken_at <= limit]:
                self._unclaimed.discard(place)
                self._give_back(place)

    def count(self) -> int:
        """How many are taken."""
        with self._lock:
            return self._owners.total()

    def _give_back(self, place: Place) -> None:
        self._owners[place.owner] -= 1
        if self._owners[place.owner] <= 0:
            del self._owners[place.owner]
