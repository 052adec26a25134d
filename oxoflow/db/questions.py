"""Query what executions ask people: approvals and forms, pending or answered.

`owner` None stands for an admin, who sees everybody's.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from enum import Enum
from typing import Any

from msgspec import Struct


class Standing(Enum):
    """Where a question stands; only a pending one can be answered."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    SUBMITTED = "submitted"
    TIMED_OUT = "timed_out"
    CLOSED = "closed"  # the execution ended, or wants no answer any more


class Question(Struct, frozen=True):
    """One question; `body` and `answer` are JSON objects."""

    id: str
    execution_id: str
    user_id: str
    kind: str
    node_id: str
    body: Mapping[str, Any]
    standing: Standing
    requested_at: str
    resolved_at: str | None = None
    resolved_by: str | None = None
    answer: Mapping[str, Any] | None = None


_SELECT = (
    "SELECT id, execution_id, user_id, kind, node_id, body, status, requested_at, resolved_at,"
    " resolved_by, answer FROM questions"
)


def _question(row: sqlite3.Row) -> Question:
    return Question(
        row["id"],
        row["execution_id"],
        row["user_id"],
        row["kind"],
        row["node_id"],
        json.loads(row["body"]),
        Standing(row["status"]),
        row["requested_at"],
        row["resolved_at"],
        row["resolved_by"],
        None if row["answer"] is None else json.loads(row["answer"]),
    )


def insert_question(connection: sqlite3.Connection, question: Question) -> bool:
    """Keep a new question; False when it is known already."""
    cursor = connection.execute(
        "INSERT OR IGNORE INTO questions (id, execution_id, user_id, kind, node_id, body,"
        " requested_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            question.id, question.execution_id, question.user_id, question.kind, question.node_id,
            json.dumps(dict(question.body)), question.requested_at,
        ),
    )  # fmt: skip
    return cursor.rowcount == 1


def find_question(
    connection: sqlite3.Connection, owner: str | None, kind: str, question_id: str
) -> Question | None:
    """A question to this owner's executions; a foreign one is not found."""
    row = connection.execute(
        _SELECT + " WHERE id = ? AND kind = ? AND (? IS NULL OR user_id = ?)",
        (question_id, kind, owner, owner),
    ).fetchone()
    return None if row is None else _question(row)


def pending_questions(
    connection: sqlite3.Connection, owner: str | None, kind: str, execution_id: str | None = None
) -> list[Question]:
    """What waits for an answer, the oldest first, of one execution or of all."""
    rows = connection.execute(
        _SELECT + " WHERE status = 'pending' AND kind = ? AND (? IS NULL OR user_id = ?)"
        " AND (? IS NULL OR execution_id = ?) ORDER BY requested_at, id",
        (kind, owner, owner, execution_id, execution_id),
    )
    return [_question(row) for row in rows]


def resolve_question(
    connection: sqlite3.Connection,
    question_id: str,
    standing: Standing,
    by: str | None,
    answer: Mapping[str, Any] | None,
    now: str,
) -> bool:
    """Answer a pending question; False when it was resolved before: the first answer counts."""
    cursor = connection.execute(
        "UPDATE questions SET status = ?, resolved_by = ?, answer = ?, resolved_at = ?"
        " WHERE id = ? AND status = 'pending'",
        (standing.value, by, None if answer is None else json.dumps(dict(answer)), now,
         question_id),
    )  # fmt: skip
    return cursor.rowcount == 1


def close_questions(connection: sqlite3.Connection, execution_id: str, now: str) -> int:
    """The execution is over: nothing it asked needs an answer any more."""
    cursor = connection.execute(
        "UPDATE questions SET status = 'closed', resolved_at = ?"
        " WHERE execution_id = ? AND status = 'pending'",
        (now, execution_id),
    )
    return cursor.rowcount


def stale_questions(connection: sqlite3.Connection) -> list[str]:
    """Executions that are over and still have a pending question."""
    rows = connection.execute(
        "SELECT DISTINCT q.execution_id FROM questions q JOIN runs r ON r.id = q.execution_id"
        " WHERE q.status = 'pending' AND r.status IN ('success', 'failed', 'cancelled')"
    )
    return [str(row[0]) for row in rows]
