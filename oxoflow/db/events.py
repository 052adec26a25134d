"""Store events and read them back in order, for streams that replay.

Owns the statements on `events`. An id is given by the one writer thread inside the commit, so ids
become visible in rising order: whoever has read up to an id has missed nothing below it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from msgspec import Struct


class Event(Struct, frozen=True):
    """One event as it is kept; `id` is 0 before it is stored. `data` is the JSON of an object."""

    id: int
    user_id: str
    run_id: str | None
    seq: int | None
    type: str
    time: str
    data: str


class Scope(Struct, frozen=True):
    """Whose events: of one user, of one run (or graph execution), or, with neither, everybody's."""

    user_id: str | None = None
    run_id: str | None = None


EVERYTHING = Scope()
_COLUMNS = "id, user_id, run_id, seq, type, time, data"


def insert_events(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    """Store events in the order given; each takes the next id."""
    connection.executemany(
        "INSERT INTO events (user_id, run_id, seq, type, time, data) VALUES (?, ?, ?, ?, ?, ?)",
        [(e.user_id, e.run_id, e.seq, e.type, e.time, e.data) for e in events],
    )


def read_events(
    connection: sqlite3.Connection, scope: Scope, after: int, upto: int, limit: int
) -> list[Event]:
    """The first events of a scope with `after` < id <= `upto`, at most `limit`."""
    if scope.run_id is not None:
        where, owner = "run_id = ? AND", [scope.run_id]
    elif scope.user_id is not None:
        where, owner = "user_id = ? AND", [scope.user_id]
    else:
        where, owner = "", []
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM events WHERE {where} id > ? AND id <= ? ORDER BY id LIMIT ?",
        [*owner, after, upto, limit],
    )
    return [Event(*row) for row in rows]


def last_event_id(connection: sqlite3.Connection, run_id: str | None = None) -> int:
    """The highest id ever given, also when its row is gone, or the last of one run; 0 for none."""
    if run_id is not None:
        row = connection.execute(
            "SELECT max(id) FROM events WHERE run_id = ?", (run_id,)
        ).fetchone()
        return int(row[0] or 0)
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
    return 0 if row is None else int(row[0])


def first_event_id(connection: sqlite3.Connection) -> int | None:
    """The lowest id that is still there; None when the table is empty."""
    row = connection.execute("SELECT min(id) FROM events").fetchone()
    return None if row[0] is None else int(row[0])


def id_of_seq(connection: sqlite3.Connection, run_id: str, seq: int) -> int:
    """The id of the last event of a run or execution whose own number is at most `seq`; else 0."""
    row = connection.execute(
        "SELECT max(id) FROM events WHERE run_id = ? AND seq <= ?", (run_id, seq)
    ).fetchone()
    return int(row[0] or 0)


def delete_events_before(connection: sqlite3.Connection, time: str, limit: int = 1000) -> int:
    """Delete the oldest events that are older than `time`, at most `limit`; answer how many."""
    cursor = connection.execute(
        "DELETE FROM events WHERE time < ? AND id IN (SELECT id FROM events ORDER BY id LIMIT ?)",
        (time, limit),
    )
    return cursor.rowcount
