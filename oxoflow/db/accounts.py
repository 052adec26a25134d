"""Query users: who may log in, with which role, and the hash of a stored password."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from msgspec import Struct

from oxoflow.db.collections import delete_collection, list_collections

_COLUMNS = "id, username, role, auth_type, os_user, password_hash, disabled, created_at, updated_at"


class User(Struct, frozen=True):
    """One row of `users`."""

    id: str
    username: str
    role: str
    auth_type: str
    os_user: str | None
    password_hash: str | None
    disabled: bool
    created_at: str
    updated_at: str


def _user(row: sqlite3.Row | None) -> User | None:
    if row is None:
        return None
    fields = dict(zip(row.keys(), row, strict=True))
    return User(**{**fields, "disabled": bool(row["disabled"])})


def insert_user(connection: sqlite3.Connection, user: User) -> None:
    """Add a user; raises sqlite3.IntegrityError when the name is taken."""
    connection.execute(
        f"INSERT INTO users ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            user.id, user.username, user.role, user.auth_type, user.os_user,
            user.password_hash, int(user.disabled), user.created_at, user.updated_at,
        ),
    )  # fmt: skip


def find_user(connection: sqlite3.Connection, user_id: str) -> User | None:
    """The user with this id."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM users WHERE id = ?", (user_id,)).fetchone()
    return _user(row)


def find_user_named(connection: sqlite3.Connection, username: str) -> User | None:
    """The user with this name."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM users WHERE username = ?", (username,)
    ).fetchone()
    return _user(row)


def list_users(connection: sqlite3.Connection) -> Sequence[User]:
    """Every user, by name."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM users ORDER BY username")
    return [user for user in map(_user, rows) if user]


def set_password_hash(
    connection: sqlite3.Connection, user_id: str, password_hash: str, now: str
) -> None:
    """Store a new hash for a user."""
    connection.execute(
        "UPDATE users SET password_hash = ?, updated_at = ? WHERE id = ?",
        (password_hash, now, user_id),
    )


def update_user(
    connection: sqlite3.Connection, user_id: str, role: str, disabled: bool, now: str
) -> None:
    """Change a user's role and whether it may log in."""
    connection.execute(
        "UPDATE users SET role = ?, disabled = ?, updated_at = ? WHERE id = ?",
        (role, int(disabled), now, user_id),
    )


def delete_user(connection: sqlite3.Connection, user_id: str) -> bool:
    """Remove a user and, by reference, all rows it owns; whether there was one."""
    for collection in list_collections(connection, user_id):  # no reference reaches their texts
        delete_collection(connection, user_id, collection.name)
    return connection.execute("DELETE FROM users WHERE id = ?", (user_id,)).rowcount > 0


def count_users(connection: sqlite3.Connection) -> int:
    """How many users there are."""
    return int(connection.execute("SELECT count(*) FROM users").fetchone()[0])
