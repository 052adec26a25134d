"""Make API keys and find the account behind one; a key is shown once and kept as a hash."""

from __future__ import annotations

import re
import secrets
import sqlite3
import time
import uuid
from collections.abc import Callable
from enum import Enum

from msgspec import Struct

from oxoflow.access.account import Account, Role, Via
from oxoflow.access.sessions import hash_token
from oxoflow.db import Database
from oxoflow.db.instants import instant, seconds_of
from oxoflow.db.keys import ApiKey, count_live_keys, find_key, insert_key, touch_key
from oxoflow.errors import Conflict

PREFIX = "oxo_"
KEY = re.compile(r"oxo_[0-9a-f]{40}")
MOST_KEYS = 50  # of one user, revoked ones not counted
NOTED_EVERY = 3600.0  # seconds between two notes of the last use
DAY = 86400.0


class Scope(Enum):
    """What a key may do at most; never more than its owner's role."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


_CAPS = {Scope.READ: Role.VIEWER, Scope.WRITE: Role.USER, Scope.ADMIN: Role.ADMIN}


class NewKey(Struct, frozen=True):
    """A fresh key: `text` is shown to its owner now and never again."""

    text: str
    key: ApiKey
    hash: str


def new_key(name: str, scope: Scope, days: int | None, now: float) -> NewKey:
    """Make a key that lives `days`, or until it is revoked."""
    text = PREFIX + secrets.token_hex(20)
    expires = None if days is None else instant(now + days * DAY)
    key = ApiKey(str(uuid.uuid4()), name, scope.value, instant(now), expires, None, None)
    return NewKey(text, key, hash_token(text))


def store_key(connection: sqlite3.Connection, user_id: str, new: NewKey) -> None:
    """Keep a fresh key's hash; raises Conflict when the user has too many."""
    if count_live_keys(connection, user_id) >= MOST_KEYS:
        raise Conflict("Too many API keys", f"revoke one of the {MOST_KEYS} first")
    insert_key(connection, user_id, new.key, new.hash)


def find_key_account(
    db: Database, text: str, clock: Callable[[], float] = time.time
) -> Account | None:
    """The account behind a key, its role cut down to the key's scope."""
    if KEY.fullmatch(text) is None:
        return None
    now = clock()
    holder = find_key(db.read(), hash_token(text), instant(now))
    if holder is None:
        return None
    if holder.last_used_at is None or now - seconds_of(holder.last_used_at) > NOTED_EVERY:
        db.submit(lambda connection: touch_key(connection, holder.id, instant(now)))
    own, cap = Role(holder.role), _CAPS[Scope(holder.scope)]
    role = own if cap.includes(own) else cap
    return Account(holder.user_id, holder.username, role, None, Via.KEY, holder.id)
