"""Issue words that open one stream each: a browser cannot set a header on a stream it opens.

A ticket in a URL may end up in a log; so it lives for half a minute, works once, and is no session.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable

from oxoflow.access import Account

LIFETIME = 30.0  # seconds
MOST = 10_000  # not yet used; the oldest go first


class Tickets:
    """Tickets that were issued and not used; in memory, as none outlives a restart anyway."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._issued: dict[str, tuple[float, Account]] = {}

    def issue(self, account: Account) -> str:
        """A new ticket for an account."""
        word = secrets.token_urlsafe(24)
        now = self._clock()
        with self._lock:
            for old in [key for key, (until, _) in self._issued.items() if until <= now]:
                del self._issued[old]
            while len(self._issued) >= MOST:
                del self._issued[next(iter(self._issued))]
            self._issued[word] = (now + LIFETIME, account)
        return word

    def redeem(self, word: str) -> Account | None:
        """The account of a ticket, which is worth nothing afterwards; None for a bad one."""
        with self._lock:
            until, account = self._issued.pop(word, (0.0, None))
        return account if until > self._clock() else None
