"""Query sessions: live logins by the hash of their token."""

from __future__ import annotations

import sqlite3

from msgspec import Struct


class Session(Struct, frozen=True):
    """One live login together with the account it stands for."""

    token_hash: str
    user_id: str
    username: str
    role: str
    created_at: str
    expires_at: str


def insert_session(
    connection: sqlite3.Connection,
    session: Session,
    address: str | None,
    user_agent: str | None,
    keep: int,
) -> list[str]:
    """Add a session and remove the user's oldest beyond `keep`; return the removed hashes."""
    connection.execute(
        "INSERT INTO sessions (token_hash, user_id, created_at, expires_at, address, user_agent)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (
            session.token_hash, session.user_id, session.created_at, session.expires_at,
            address, user_agent,
        ),
    )  # fmt: skip
    rows = connection.execute(
        "DELETE FROM sessions WHERE token_hash IN (SELECT token_hash FROM sessions"
        " WHERE user_id = ? AND token_hash <> ? ORDER BY created_at DESC LIMIT -1 OFFSET ?)"
        " RETURNING token_hash",
        (session.user_id, session.token_hash, keep - 1),
    )
    return [row[0] for row in rows.fetchall()]


def find_session(connection: sqlite3.Connection, token_hash: str, now: str) -> Session | None:
    """The session with this hash, if it has not expired and its user may log in."""
    row = connection.execute(
        "SELECT s.token_hash, s.user_id, u.username, u.role, s.created_at, s.expires_at"
        " FROM sessions s JOIN users u ON u.id = s.user_id"
        " WHERE s.token_hash = ? AND s.expires_at > ? AND u.disabled = 0",
        (token_hash, now),
    ).fetchone()
    return None if row is None else Session(*row)


def delete_session(connection: sqlite3.Connection, token_hash: str) -> bool:
    """End one session; whether it was there."""
    cursor = connection.execute("DELETE FROM sessions WHERE token_hash = ?", (token_hash,))
    return cursor.rowcount > 0


def delete_sessions_of(connection: sqlite3.Connection, user_id: str) -> int:
    """End every session of a user; how many there were."""
    return connection.execute("DELETE FROM sessions WHERE user_id = ?", (user_id,)).rowcount


def delete_expired_sessions(connection: sqlite3.Connection, now: str) -> int:
    """Remove what has expired by `now`; how many there were."""
    return connection.execute("DELETE FROM sessions WHERE expires_at <= ?", (now,)).rowcount


def count_sessions(connection: sqlite3.Connection, now: str) -> int:
    """How many sessions are live."""
    row = connection.execute("SELECT count(*) FROM sessions WHERE expires_at > ?", (now,))
    return int(row.fetchone()[0])
