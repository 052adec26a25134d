"""Slow down guessing: after a few failed logins a name at an address must wait, ever longer.

Owns the failure counts, in memory and bounded; nobody is ever locked out for good. A server that
starts counts what the audit log tells of the time before.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict

from msgspec import Struct

FREE_FAILURES = 5  # per name and address
ADDRESS_FAILURES = 50  # per address, over all names
FORGET_AFTER = 300.0  # seconds without a failure
FIRST_WAIT, LONGEST_WAIT = 30.0, 900.0
REMEMBERED = LONGEST_WAIT + FORGET_AFTER  # seconds after which a failure counts for nothing
MAX_KEYS = 20_000


class _Count(Struct):
    failures: int = 0
    last: float = 0.0
    until: float = 0.0


class LoginThrottle:
    """Failed logins per name and address, and per address (spec/oxo-flow-api.md 3.2)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: OrderedDict[tuple[str, ...], _Count] = OrderedDict()

    def wait(self, username: str, address: str, now: float) -> int:
        """Whole seconds this name must wait at this address; 0 when it may try."""
        with self._lock:
            found = (self._counts.get(key) for key in ((username, address), (address,)))
            until = max((count.until for count in found if count), default=0.0)
        return math.ceil(until - now) if until > now else 0

    def failed(self, username: str, address: str, now: float) -> None:
        """Count a failed login at `now` (monotonic seconds)."""
        with self._lock:
            self._count((username, address), FREE_FAILURES, now)
            self._count((address,), ADDRESS_FAILURES, now)

    def succeeded(self, username: str, address: str) -> None:
        """Forget the failures of this name at this address."""
        with self._lock:
            self._counts.pop((username, address), None)

    def _count(self, key: tuple[str, ...], free: int, now: float) -> None:
        count = self._counts.setdefault(key, _Count())
        self._counts.move_to_end(key)
        if now - max(count.last, count.until) > FORGET_AFTER:
            count.failures = 0
        count.failures += 1
        count.last = now
        over = count.failures - free
        if over >= 0:
            count.until = now + min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(over, 10))
        while len(self._counts) > MAX_KEYS:
            self._counts.popitem(last=False)
