"""Count requests in a sliding window per key and refuse what is above the limit.

Owns the stamps of recent requests, in memory and bounded. Knows no HTTP: time is passed in.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict, deque

from msgspec import Struct


class RateLimiterConfig(Struct, frozen=True):
    """How many requests a key may make within a window of seconds; 0 requests: no limit."""

    max_requests: int = 100
    window: float = 60.0
    max_keys: int = 20_000  # the least recently seen are forgotten first
    max_stamps: int = 1_000_000  # over all keys: 32 MB


class Allowance(Struct, frozen=True):
    """The answer for one request: whether it may go on, and what the headers say."""

    allowed: bool
    limit: int
    remaining: int
    reset: int  # whole seconds until the oldest counted request leaves the window
    retry_after: int = 0  # whole seconds; 0 when allowed


class RateLimiter:
    """Sliding windows per key (spec/oxo-flow-api.md 3.7); one lock, safe from any thread."""

    def __init__(self, config: RateLimiterConfig) -> None:
        self.config = config
        self._lock = threading.Lock()
        self._stamps: OrderedDict[str, deque[float]] = OrderedDict()
        self._total = 0

    def check(self, key: str, now: float) -> Allowance:
        """Count one request of `key` at `now` (monotonic seconds); a refused one does not count."""
        limit, window = self.config.max_requests, self.config.window
        with self._lock:
            stamps = self._stamps.get(key)
            if stamps is None:
                stamps = self._stamps[key] = deque()
            else:
                self._stamps.move_to_end(key)
            while stamps and stamps[0] <= now - window:
                stamps.popleft()
                self._total -= 1
            if len(stamps) >= limit:
                left = stamps[0] + window - now
                return Allowance(False, limit, 0, math.ceil(left), math.floor(left) + 1)
            stamps.append(now)
            self._total += 1
            self._forget()
            reset = math.ceil(stamps[0] + window - now)
            return Allowance(True, limit, limit - len(stamps), reset)

    def _forget(self) -> None:
        """Drop the least recently seen keys while there is too much; never the newest."""
        while len(self._stamps) > 1 and (
            len(self._stamps) > self.config.max_keys or self._total > self.config.max_stamps
        ):
            _, stamps = self._stamps.popitem(last=False)
            self._total -= len(stamps)

    def __len__(self) -> int:
        return len(self._stamps)
