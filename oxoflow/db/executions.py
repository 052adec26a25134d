"""Query executions of graphs: runs of kind 'execution', their checkpoints and children.

`owner` None stands for an admin, who sees everybody's. The run's own states are `db.runs`' matter;
here stands what only executions have.
"""

from __future__ import annotations

import sqlite3

from msgspec import Struct

from oxoflow.db.events import Event

KIND = "execution"  # of the run behind an execution


class ExecutionRow(Struct, frozen=True):
    """One execution as lists need it."""

    id: str
    user_id: str
    username: str
    graph_id: str
    status: str
    phase: str | None
    error: str | None
    created_at: str
    finished_at: str | None


class CheckpointRow(Struct, frozen=True):
    """One moment at which an execution was paused."""

    id: str
    execution_id: str
    completed_nodes_count: int
    current_level: int
    reason: str
    created_at: str


class Child(Struct, frozen=True):
    """A run that an execution waits for."""

    run_id: str
    execution_id: str
    question_id: str


class Batch(Struct, frozen=True):
    """Executions that were started together; `db.queue` sees to the limit."""

    id: str
    at_once: int  # so many may have started and not be over


_SELECT = (
    "SELECT e.id, e.user_id, u.username, e.graph_id, r.status, r.phase, r.error, r.created_at,"
    " r.finished_at FROM executions e JOIN runs r ON r.id = e.id JOIN users u ON u.id = e.user_id"
)


def insert_execution(
    connection: sqlite3.Connection,
    execution_id: str,
    user_id: str,
    graph_id: str,
    batch: Batch | None = None,
) -> None:
    """Note which graph a run executes; call it in the write that queues the run."""
    connection.execute(
        "INSERT INTO executions (id, user_id, graph_id, batch, at_once) VALUES (?, ?, ?, ?, ?)",
        (execution_id, user_id, graph_id, batch and batch.id, batch and batch.at_once),
    )


def find_execution(
    connection: sqlite3.Connection, owner: str | None, execution_id: str
) -> ExecutionRow | None:
    """An execution of this owner; a foreign one is not found."""
    row = connection.execute(
        _SELECT + " WHERE e.id = ? AND (? IS NULL OR e.user_id = ?)", (execution_id, owner, owner)
    ).fetchone()
    return None if row is None else ExecutionRow(*row)


def list_executions(
    connection: sqlite3.Connection,
    owner: str | None,
    graph_id: str | None,
    limit: int,
    offset: int,
) -> list[ExecutionRow]:
    """A page of executions, the latest first, of one graph or of all."""
    rows = connection.execute(
        _SELECT + " WHERE (? IS NULL OR e.user_id = ?) AND (? IS NULL OR e.graph_id = ?)"
        " ORDER BY r.created_at DESC, e.id LIMIT ? OFFSET ?",
        (owner, owner, graph_id, graph_id, limit, offset),
    )
    return [ExecutionRow(*row) for row in rows]


def count_executions(
    connection: sqlite3.Connection, owner: str | None, graph_id: str | None
) -> int:
    """How many executions there are, of one graph or of all."""
    row = connection.execute(
        "SELECT count(*) FROM executions"
        " WHERE (? IS NULL OR user_id = ?) AND (? IS NULL OR graph_id = ?)",
        (owner, owner, graph_id, graph_id),
    ).fetchone()
    return int(row[0])


def revive_execution(connection: sqlite3.Connection, execution_id: str) -> bool:
    """Count one revival; False when the execution has had its one already, or is none."""
    cursor = connection.execute(
        "UPDATE executions SET revived = revived + 1 WHERE id = ? AND revived = 0", (execution_id,)
    )
    return cursor.rowcount == 1


def allow_revival(connection: sqlite3.Connection, execution_id: str) -> None:
    """A person resumed the execution: its runner may die once more."""
    connection.execute("UPDATE executions SET revived = 0 WHERE id = ?", (execution_id,))


def park_run(connection: sqlite3.Connection, run_id: str) -> bool:
    """pending, queued to pending, paused: not started until it is resumed."""
    cursor = connection.execute(
        "UPDATE runs SET phase = 'paused' WHERE id = ? AND status = 'pending'", (run_id,)
    )
    return cursor.rowcount == 1


def unpark_run(connection: sqlite3.Connection, run_id: str) -> bool:
    """pending, paused back to the queue."""
    cursor = connection.execute(
        "UPDATE runs SET phase = 'queued' WHERE id = ? AND status = 'pending' AND phase = 'paused'",
        (run_id,),
    )
    return cursor.rowcount == 1


def put_checkpoint(connection: sqlite3.Connection, row: CheckpointRow) -> None:
    """Keep a checkpoint; one with the same id is brought up to date."""
    connection.execute(
        "INSERT INTO checkpoints (id, execution_id, completed_nodes_count, current_level, reason,"
        " created_at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
        " completed_nodes_count = excluded.completed_nodes_count,"
        " current_level = excluded.current_level",
        (
            row.id, row.execution_id, row.completed_nodes_count, row.current_level, row.reason,
            row.created_at,
        ),
    )  # fmt: skip


def list_checkpoints(connection: sqlite3.Connection, execution_id: str) -> list[CheckpointRow]:
    """The checkpoints of an execution, the newest first; the caller has checked whose it is."""
    rows = connection.execute(
        "SELECT id, execution_id, completed_nodes_count, current_level, reason, created_at"
        " FROM checkpoints WHERE execution_id = ? ORDER BY created_at DESC, id",
        (execution_id,),
    )
    return [CheckpointRow(*row) for row in rows]


def delete_checkpoints(connection: sqlite3.Connection, execution_id: str) -> int:
    """Remove the checkpoints of an execution; how many there were."""
    cursor = connection.execute("DELETE FROM checkpoints WHERE execution_id = ?", (execution_id,))
    return cursor.rowcount


def insert_child(connection: sqlite3.Connection, child: Child) -> None:
    """Note a run that an execution waits for; raises IntegrityError for a known question."""
    connection.execute(
        "INSERT INTO child_runs (run_id, execution_id, question_id) VALUES (?, ?, ?)",
        (child.run_id, child.execution_id, child.question_id),
    )


def find_child(connection: sqlite3.Connection, question_id: str) -> Child | None:
    """The run behind a question."""
    row = connection.execute(
        "SELECT run_id, execution_id, question_id FROM child_runs WHERE question_id = ?",
        (question_id,),
    ).fetchone()
    return None if row is None else Child(*row)


def ended_children(connection: sqlite3.Connection) -> list[Child]:
    """Runs that are over while the execution that waits for them was not told."""
    rows = connection.execute(
        "SELECT c.run_id, c.execution_id, c.question_id FROM child_runs c"
        " JOIN runs r ON r.id = c.run_id"
        " WHERE c.answered = 0 AND r.status IN ('success', 'failed', 'cancelled')"
    )
    return [Child(*row) for row in rows]


def living_children(connection: sqlite3.Connection, execution_id: str) -> list[str]:
    """The ids of runs of an execution that are not over."""
    rows = connection.execute(
        "SELECT c.run_id FROM child_runs c JOIN runs r ON r.id = c.run_id"
        " WHERE c.execution_id = ? AND r.status IN ('pending', 'running')",
        (execution_id,),
    )
    return [str(row[0]) for row in rows]


def note_answered(connection: sqlite3.Connection, run_id: str) -> None:
    """The execution was told how its child ended."""
    connection.execute("UPDATE child_runs SET answered = 1 WHERE run_id = ?", (run_id,))


def attended_events(
    connection: sqlite3.Connection, types: tuple[str, ...], after: int, upto: int, limit: int
) -> list[Event]:
    """The next events of some types, whoever's they are."""
    marks = ", ".join("?" * len(types))
    rows = connection.execute(
        "SELECT id, user_id, run_id, seq, type, time, data FROM events"
        f" WHERE id > ? AND id <= ? AND type IN ({marks}) ORDER BY id LIMIT ?",
        (after, upto, *types, limit),
    )
    return [Event(*row) for row in rows]


def attended_up_to(connection: sqlite3.Connection) -> int:
    """The id of the last event that was attended to."""
    row = connection.execute("SELECT value FROM settings WHERE name = 'attended_up_to'").fetchone()
    return 0 if row is None else int(row[0])


def set_attended(connection: sqlite3.Connection, event_id: int) -> None:
    """Note how far the events were attended to."""
    connection.execute(
        "INSERT INTO settings (name, value) VALUES ('attended_up_to', ?)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (str(event_id),),
    )


def results_upto(connection: sqlite3.Connection, execution_id: str, event_id: int) -> int:
    """How many nodes had ended at an event of an execution."""
    row = connection.execute(
        "SELECT count(*) FROM events WHERE run_id = ? AND id <= ?"
        " AND type IN ('node.completed', 'node.failed', 'node.skipped')",
        (execution_id, event_id),
    ).fetchone()
    return int(row[0])


def last_type_upto(
    connection: sqlite3.Connection, execution_id: str, types: tuple[str, ...], event_id: int
) -> str | None:
    """The type of the last event of some types at or before an event of an execution."""
    marks = ", ".join("?" * len(types))
    row = connection.execute(
        "SELECT type FROM events WHERE run_id = ? AND id <= ?"
        f" AND type IN ({marks}) ORDER BY id DESC LIMIT 1",
        (execution_id, event_id, *types),
    ).fetchone()
    return None if row is None else str(row[0])


def newest_event(connection: sqlite3.Connection, execution_id: str) -> tuple[int, int]:
    """Id and highest own number of the events of an execution; zeros when there are none."""
    row = connection.execute(
        "SELECT max(id), max(seq) FROM events WHERE run_id = ?", (execution_id,)
    ).fetchone()
    return int(row[0] or 0), int(row[1] or 0)
