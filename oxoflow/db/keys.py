"""Query API keys by the hash of the key; every other query takes the owner."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from msgspec import Struct


class ApiKey(Struct, frozen=True):
    """One key as its owner sees it; the key itself is kept nowhere."""

    id: str
    name: str
    scope: str
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    revoked_at: str | None


class KeyHolder(Struct, frozen=True):
    """A usable key with the account it stands for."""

    id: str
    user_id: str
    username: str
    role: str
    scope: str
    last_used_at: str | None


def insert_key(connection: sqlite3.Connection, user_id: str, key: ApiKey, key_hash: str) -> None:
    """Add a key of a user."""
    connection.execute(
        "INSERT INTO api_keys (id, user_id, name, key_hash, scope, created_at, expires_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (key.id, user_id, key.name, key_hash, key.scope, key.created_at, key.expires_at),
    )


def find_key(connection: sqlite3.Connection, key_hash: str, now: str) -> KeyHolder | None:
    """The key with this hash, if it is neither revoked nor expired and its user may log in."""
    row = connection.execute(
        "SELECT k.id, k.user_id, u.username, u.role, k.scope, k.last_used_at FROM api_keys k"
        " JOIN users u ON u.id = k.user_id WHERE k.key_hash = ? AND k.revoked_at IS NULL"
        " AND (k.expires_at IS NULL OR k.expires_at > ?) AND u.disabled = 0",
        (key_hash, now),
    ).fetchone()
    return None if row is None else KeyHolder(*row)


def list_keys(connection: sqlite3.Connection, user_id: str) -> Sequence[ApiKey]:
    """A user's keys, newest first, revoked ones too."""
    rows = connection.execute(
        "SELECT id, name, scope, created_at, expires_at, last_used_at, revoked_at FROM api_keys"
        " WHERE user_id = ? ORDER BY created_at DESC, rowid DESC",
        (user_id,),
    )
    return [ApiKey(*row) for row in rows]


def count_live_keys(connection: sqlite3.Connection, user_id: str) -> int:
    """How many keys of a user are not revoked."""
    row = connection.execute(
        "SELECT count(*) FROM api_keys WHERE user_id = ? AND revoked_at IS NULL", (user_id,)
    )
    return int(row.fetchone()[0])


def touch_key(connection: sqlite3.Connection, key_id: str, now: str) -> None:
    """Note that a key was used."""
    connection.execute("UPDATE api_keys SET last_used_at = ? WHERE id = ?", (now, key_id))


def revoke_key(connection: sqlite3.Connection, user_id: str, key_id: str, now: str) -> bool:
    """Make one key of a user useless for good; whether it was usable."""
    cursor = connection.execute(
        "UPDATE api_keys SET revoked_at = ? WHERE id = ? AND user_id = ? AND revoked_at IS NULL",
        (now, key_id, user_id),
    )
    return cursor.rowcount > 0
