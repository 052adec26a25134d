"""Query which waiting runs could be next: all but executions whose batch has no room for them.

Owns what a batch's `max_concurrent` means: so many of its executions have started and are not over,
whatever they wait for. Nothing is counted in memory, so a restart changes nothing.
"""

from __future__ import annotations

import sqlite3

from oxoflow.db.runs import Run, find_run_of_anyone

# Those of one batch take the places behind its started ones, in the order in which they came.
_LINE = """
WITH queued AS (
    SELECT runs.id, runs.user_id, runs.created_at, runs.rowid AS came, at_once,
           row_number() OVER (PARTITION BY coalesce(batch, runs.id)
                              ORDER BY runs.created_at, runs.rowid)
           + (SELECT count(*) FROM executions other JOIN runs started ON started.id = other.id
              WHERE other.batch = executions.batch AND started.status = 'running') AS place
    FROM runs LEFT JOIN executions ON executions.id = runs.id
    WHERE runs.status = 'pending' AND runs.phase = 'queued'
), line AS (
    SELECT id, user_id, created_at, came,
           row_number() OVER (PARTITION BY user_id ORDER BY created_at, came) AS turn
    FROM queued WHERE at_once IS NULL OR place <= at_once
)
"""


def waiting_line(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """(run, owner) of everything that waits for its turn, oldest first."""
    rows = connection.execute(_LINE + "SELECT id, user_id FROM line ORDER BY created_at, came")
    return [(row[0], row[1]) for row in rows]


def queued_runs(connection: sqlite3.Connection, per_user: int) -> list[Run]:
    """What waits for its turn, oldest first; of each user only those that could be next."""
    rows = connection.execute(
        _LINE + "SELECT id FROM line WHERE turn <= ? ORDER BY created_at, came", (per_user,)
    ).fetchall()
    found = (find_run_of_anyone(connection, row[0]) for row in rows)
    return [run for run in found if run is not None]


def batch_limit(connection: sqlite3.Connection, run_id: str) -> int | None:
    """How many executions of the batch of this one may have started; None when it is in none."""
    row = connection.execute("SELECT at_once FROM executions WHERE id = ?", (run_id,)).fetchone()
    return None if row is None else row[0]
