"""Keep the audit log: rows are only added, each holding the hash of the one before it.

The chain shows that a row in the middle was changed or taken out. It cannot show that the newest
rows were cut off by somebody who can write the file: for that, note the last hash elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

FIRST = "0" * 64
LONGEST = 200  # characters of a target or detail that are kept


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody did, before it is written down. Holds no secret and no workflow text."""

    action: str
    target: str
    user_id: str | None = None
    username: str | None = None
    result: str = "success"
    address: str | None = None
    request_id: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class AuditRow:
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


@dataclass(frozen=True, slots=True)
class Verdict:
    """What checking the chain found; `broken_at` is the id of the first row that does not fit."""

    rows: int
    last_hash: str
    broken_at: int | None = None


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


def verify_file(path: Path) -> Verdict:
    """Check the log in a database file, also while a server writes to it; changes nothing."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        return verify_chain(connection)


def verify_chain(connection: sqlite3.Connection) -> Verdict:
    """Walk the whole log and check that every row fits the one before it."""
    previous, count = FIRST, 0
    for values in connection.execute(f"SELECT {_COLUMNS} FROM audit_logs ORDER BY id"):
        row = AuditRow(*values)
        deed = Deed(
            row.action, row.target, row.user_id, row.username, row.result, row.address,
            row.request_id, row.detail,
        )  # fmt: skip
        if row.previous != previous or row.hash != _hash(previous, row.timestamp, deed):
            return Verdict(count, previous, row.id)
        previous, count = row.hash, count + 1
    return Verdict(count, previous)
