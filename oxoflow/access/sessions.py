"""Open, look up and end sessions: the table is the truth, a dictionary is the speed.

Owns the in-process cache. A session lives 24 hours from its login, whatever is done with it.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
import uuid
from collections.abc import Callable

from msgspec import Struct

from oxoflow.access.account import Account, Role, Via
from oxoflow.db import Database
from oxoflow.db.accounts import User
from oxoflow.db.instants import instant, seconds_of
from oxoflow.db.sessions import (
    Session,
    delete_expired_sessions,
    delete_session,
    delete_sessions_of,
    find_session,
    insert_session,
)

LIFETIME = 24 * 3600  # seconds
PER_USER = 20
CACHE = 10_000
TOKEN = re.compile(r"[0-9a-f]{32}")


class _Cached(Struct, frozen=True):
    account: Account
    expires: float


class Sessions:
    """Sessions in SQLite behind a write-through cache (spec/oxo-flow-api.md 3.2)."""

    def __init__(self, db: Database, clock: Callable[[], float] = time.time) -> None:
        self._db = db
        self._clock = clock
        self._lock = threading.Lock()
        self._cache: dict[str, _Cached] = {}
        self._ended = 0  # counts removals, so that a slow lookup cannot bring back an ended session

    def open(self, user: User, address: str | None, user_agent: str | None) -> str:
        """Log a user in; return the token, which is kept nowhere here."""
        token = uuid.uuid4().hex
        now = self._clock()
        session = Session(
            hash_token(token), user.id, user.username, user.role,
            instant(now), instant(now + LIFETIME),
        )  # fmt: skip
        agent = user_agent[:200] if user_agent else None
        removed = self._db.write(
            lambda connection: (
                delete_expired_sessions(connection, instant(now)),
                insert_session(connection, session, address, agent, PER_USER),
            )[1]
        )
        self._forget(lambda key, _: key in removed)
        return token

    def find(self, token: str, via: Via = Via.BEARER) -> Account | None:
        """The account of a live session, or None for a malformed, unknown or expired token."""
        if TOKEN.fullmatch(token) is None:
            return None
        key = hash_token(token)
        now = self._clock()
        cached = self._cache.get(key)
        if cached is None:
            cached = self._load(key, now)
        if cached is None or cached.expires <= now:
            return None
        account = cached.account
        if via is Via.BEARER:
            return account
        return Account(account.id, account.username, account.role, account.session_hash, via)

    def alive(self, session_hash: str) -> bool:
        """Whether a session found earlier still lives; streams ask at every heartbeat."""
        now = self._clock()
        cached = self._cache.get(session_hash) or self._load(session_hash, now)
        return cached is not None and cached.expires > now

    def end(self, session_hash: str) -> None:
        """Log one session out."""
        self._db.write(lambda connection: delete_session(connection, session_hash))
        self._forget(lambda key, _: key == session_hash)

    def end_all(self, user_id: str) -> int:
        """Log a user out everywhere; how many sessions that ended."""
        ended = self._db.write(lambda connection: delete_sessions_of(connection, user_id))
        self.forget_user(user_id)
        return ended

    def forget_user(self, user_id: str) -> None:
        """Look a user's sessions up again: its role, or whether it may log in, has changed."""
        self._forget(lambda _, cached: cached.account.id == user_id)

    def sweep(self) -> int:
        """Remove expired sessions from table and cache; how many rows went."""
        now = self._clock()
        removed = self._db.write(
            lambda connection: delete_expired_sessions(connection, instant(now))
        )
        self._forget(lambda _, cached: cached.expires <= now)
        return removed

    def _load(self, key: str, now: float) -> _Cached | None:
        ended = self._ended
        session = find_session(self._db.read(), key, instant(now))
        if session is None:
            return None
        account = Account(session.user_id, session.username, Role(session.role), key)
        cached = _Cached(account, seconds_of(session.expires_at))
        with self._lock:
            if ended == self._ended:
                if len(self._cache) >= CACHE:
                    self._cache.clear()
                self._cache[key] = cached
        return cached

    def _forget(self, gone: Callable[[str, _Cached], bool]) -> None:
        with self._lock:
            self._ended += 1
            for key in [key for key, cached in self._cache.items() if gone(key, cached)]:
                del self._cache[key]


def hash_token(token: str) -> str:
    """What is stored of a session token or an API key: its SHA-256."""
    return hashlib.sha256(token.encode()).hexdigest()
