"""Keep the audit log: rows are only added, each holding the hash of the one before it.

The chain shows that a row was changed or taken out, and SQLite's own count of rows shows that the
newest were cut off. Somebody who rewrites both, or puts an older file back, is found by a hash that
was noted elsewhere: the server's log tells the last one every hour.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict, replace

FIRST = "0" * 64
LONGEST = 200  # characters of a target or detail that are kept


class Deed(Struct, frozen=True):
    """What somebody did, before it is written down. Holds no secret and no workflow text."""

    action: str
    target: str
    user_id: str | None = None
    username: str | None = None
    result: str = "success"
    address: str | None = None
    request_id: str | None = None
    detail: str | None = None


class AuditRow(Struct, frozen=True):
    """A deed as it stands in the log."""

    id: int
    timestamp: str
    user_id: str | None
    username: str | None
    action: str
    target: str
    result: str
    address: str | None
    request_id: str | None
    detail: str | None
    previous: str
    hash: str


class Verdict(Struct, frozen=True):
    """What checking the chain found; `broken_at` is the id of the first row that does not fit.

    `head_found` says whether a hash that was noted earlier is still one of the rows; None when none
    was asked for.
    """

    rows: int
    last_hash: str
    broken_at: int | None = None
    head_found: bool | None = None

    @property
    def intact(self) -> bool:
        """Whether nothing speaks against the log."""
        return self.broken_at is None and self.head_found is not False


_COLUMNS = (
    "id, timestamp, user_id, username, action, target, result, address, request_id, detail,"
    " previous, hash"
)


def _cut(text: str | None) -> Any:
    return text if text is None or len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _hash(previous: str, timestamp: str, deed: Deed) -> str:
    """The hash of a row: of everything in it, in one unambiguous form."""
    fields = [previous, timestamp, *asdict(deed).values()]
    return hashlib.sha256(json.dumps(fields, ensure_ascii=True).encode()).hexdigest()


def append_deed(connection: sqlite3.Connection, deed: Deed, now: str) -> None:
    """Add one row; call it inside the write that does the deed, so that both happen or neither."""
    deed = replace(
        deed, target=_cut(deed.target), username=_cut(deed.username), detail=_cut(deed.detail)
    )
    last = connection.execute("SELECT hash FROM audit_logs ORDER BY id DESC LIMIT 1").fetchone()
    previous = FIRST if last is None else last[0]
    connection.execute(
        "INSERT INTO audit_logs (timestamp, user_id, username, action, target, result, address,"
        " request_id, detail, previous, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            now, deed.user_id, deed.username, deed.action, deed.target, deed.result,
            deed.address, deed.request_id, deed.detail, previous, _hash(previous, now, deed),
        ),
    )  # fmt: skip


def list_deeds(
    connection: sqlite3.Connection, since: str, limit: int, before: int | None = None
) -> Sequence[AuditRow]:
    """The newest rows since an instant, newest first; `before` an id continues a listing."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM audit_logs WHERE timestamp >= ? AND id < ?"
        " ORDER BY id DESC LIMIT ?",
        (since, 2**62 if before is None else before, limit),
    )
    return [AuditRow(*row) for row in rows]


LOGINS = ("login", "login_failed")


def list_logins(
    connection: sqlite3.Connection, since: str, limit: int
) -> list[tuple[str, str, str, str | None]]:
    """The newest logins since an instant, oldest first: when, action, name given, address."""
    rows = connection.execute(
        "SELECT timestamp, action, target, address FROM audit_logs"
        " WHERE timestamp >= ? AND action IN (?, ?) ORDER BY id DESC LIMIT ?",
        (since, *LOGINS, limit),
    ).fetchall()
    return [(row[0], row[1], row[2], row[3]) for row in reversed(rows)]


def is_hash(text: str) -> bool:
    """Whether a text has the form of a row's hash."""
    return re.fullmatch("[0-9a-f]{64}", text) is not None


def last_row(connection: sqlite3.Connection) -> tuple[int, str]:
    """The number of rows and the hash of the newest: what to note outside of the database."""
    row = connection.execute("SELECT id, hash FROM audit_logs ORDER BY id DESC LIMIT 1").fetchone()
    return (0, FIRST) if row is None else (int(row[0]), str(row[1]))


def verify_file(path: Path, noted: str | None = None) -> Verdict:
    """Check the log in a database file, also while a server writes to it; changes nothing."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        return verify_chain(connection, noted)


def verify_chain(connection: sqlite3.Connection, noted: str | None = None) -> Verdict:
    """Walk the whole log: every row follows the one before it, and none is missing at the end.

    `noted` is a hash that must still be among the rows.
    """
    connection.execute("BEGIN")  # the rows and their count as of one moment
    try:
        return _walk(connection, noted)
    finally:
        connection.execute("ROLLBACK")


def _walk(connection: sqlite3.Connection, noted: str | None) -> Verdict:
    previous, count = FIRST, 0
    found = None if noted is None else noted == FIRST
    for values in connection.execute(f"SELECT {_COLUMNS} FROM audit_logs ORDER BY id"):
        row = AuditRow(*values)
        if row.id != count + 1 or row.previous != previous or row.hash != _hash_of(row):
            return Verdict(count, previous, count + 1, found)
        previous, count = row.hash, count + 1
        found = found or (None if noted is None else noted == previous)
    given = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'audit_logs'")
    cut = count < (given.fetchone() or (0,))[0]
    return Verdict(count, previous, count + 1 if cut else None, found)


def _hash_of(row: AuditRow) -> str:
    deed = Deed(
        row.action, row.target, row.user_id, row.username, row.result, row.address,
        row.request_id, row.detail,
    )  # fmt: skip
    return _hash(row.previous, row.timestamp, deed)
