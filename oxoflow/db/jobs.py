"""Query the jobs of runs: planned, moved along by events, read by their owner.

Jobs are made known by events that a rule could forge; so every statement tolerates any order, and
none touches another run.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from msgspec import Struct
from msgspec.structs import fields


class JobStatus(Enum):
    """Where a job stands."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"  # its outputs are there already, or its condition is false
    BLOCKED = "blocked"  # something it needs failed
    CANCELLED = "cancelled"  # the run ended first


class JobRow(Struct, frozen=True):
    """One job as it is stored; the order of the fields is that of the API."""

    id: int
    job: str
    rule: str
    status: str
    verdict: str | None
    attempt: int | None
    exit_code: int | None
    started_at: str | None
    finished_at: str | None
    duration_secs: float | None
    cpu_secs: float | None
    peak_mb: float | None
    read_bytes: int | None
    written_bytes: int | None
    reason: str | None
    error: str | None
    stderr_tail: str | None


_COLUMNS = ", ".join(field.name for field in fields(JobRow))
_SETTABLE = frozenset(field.name for field in fields(JobRow)) - {"id", "job", "rule"}


def plan_jobs(
    connection: sqlite3.Connection, run_id: str, jobs: Iterable[tuple[str, str, str | None]]
) -> None:
    """Add (job, rule, verdict) in this order; what is known already is left as it is."""
    row = connection.execute(
        "SELECT coalesce(max(id), 0) FROM run_jobs WHERE run_id = ?", (run_id,)
    ).fetchone()
    connection.executemany(
        "INSERT OR IGNORE INTO run_jobs (run_id, id, job, rule, verdict) VALUES (?, ?, ?, ?, ?)",
        [
            (run_id, number, job, rule, verdict)
            for number, (job, rule, verdict) in enumerate(jobs, int(row[0]) + 1)
        ],
    )


def update_job(
    connection: sqlite3.Connection, run_id: str, job: str, rule: str, values: Mapping[str, Any]
) -> None:
    """Set columns of a job; one that was never planned is added."""
    unknown = values.keys() - _SETTABLE
    if unknown:
        raise ValueError(f"no such columns of a job: {sorted(unknown)}")
    settings = ", ".join(f"{name} = ?" for name in values)
    statement = f"UPDATE run_jobs SET {settings} WHERE run_id = ? AND job = ?"
    arguments = (*values.values(), run_id, job)
    if connection.execute(statement, arguments).rowcount == 0:
        plan_jobs(connection, run_id, [(job, rule, None)])
        connection.execute(statement, arguments)


def end_jobs(
    connection: sqlite3.Connection,
    run_id: str,
    interrupted: JobStatus,
    now: str,
    cancelled_since: str | None = None,
) -> None:
    """The run is over: a job that was running was `interrupted`, one that waited never ran.

    What failed or was blocked after a cancel was asked for, was so because of it.
    """
    connection.execute(
        "UPDATE run_jobs SET status = ?, finished_at = ? WHERE run_id = ? AND status = 'running'",
        (interrupted.value, now, run_id),
    )
    connection.execute(
        "UPDATE run_jobs SET status = 'cancelled', reason = 'the run ended first'"
        " WHERE run_id = ? AND status = 'pending'",
        (run_id,),
    )
    if cancelled_since is not None:
        connection.execute(
            "UPDATE run_jobs SET status = 'cancelled'"
            " WHERE run_id = ? AND status IN ('failed', 'blocked') AND finished_at >= ?",
            (run_id, cancelled_since),
        )


def list_jobs(
    connection: sqlite3.Connection,
    run_id: str,
    status: JobStatus | None = None,
    after: int = 0,
    limit: int = 10_000,
) -> list[JobRow]:
    """Jobs of a run in the order of their ids; the caller has checked whose run it is."""
    where, values = "WHERE run_id = ? AND id > ?", [run_id, after]
    if status is not None:
        where += " AND status = ?"
        values.append(status.value)
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM run_jobs {where} ORDER BY id LIMIT ?", (*values, limit)
    )
    return [JobRow(*row) for row in rows]


def verified_outputs(connection: sqlite3.Connection, run_id: str) -> dict[str, bool]:
    """Declared output paths, and whether the job that makes each is done, so that it was verified.

    Paths of which no job is known are left out; the caller has checked whose run it is.
    """
    rows = connection.execute(
        "SELECT path, status IS NOT NULL AND status IN ('success', 'skipped')"
        " FROM run_outputs LEFT JOIN run_jobs USING (run_id, job)"
        " WHERE run_id = ? AND job IS NOT NULL",
        (run_id,),
    )
    return {str(row[0]): bool(row[1]) for row in rows}


def find_job(connection: sqlite3.Connection, run_id: str, job_id: int) -> JobRow | None:
    """One job of a run; the caller has checked whose run it is."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM run_jobs WHERE run_id = ? AND id = ?", (run_id, job_id)
    ).fetchone()
    return None if row is None else JobRow(*row)


def count_jobs(connection: sqlite3.Connection, run_id: str) -> dict[str, int]:
    """How many jobs of a run are in each state; states without jobs are left out."""
    rows = connection.execute(
        "SELECT status, count(*) FROM run_jobs WHERE run_id = ? GROUP BY status", (run_id,)
    )
    return {str(row[0]): int(row[1]) for row in rows}
