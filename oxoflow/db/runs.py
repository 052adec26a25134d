"""Query runs: the owner's view of them, and the conditional steps that move their state forward.

Every step names the state it leaves, and answers whether it happened: of two that race, one wins.
Rows are an index of the run directories; nothing here looks at a disk.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from enum import Enum
from typing import Any

from msgspec import Struct, field

from oxoflow.engine.identity import ProcessIdentity


class Status(Enum):
    """What the API says about a run (spec/oxo-flow-api.md 4.1)."""

    PENDING = "pending"  # waits for its turn
    RUNNING = "running"  # its runner was started
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Phase(Enum):
    """Where exactly a run stands that is not over."""

    QUEUED = "queued"
    STARTING = "starting"  # the process is there, its first event is not
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLING = "cancelling"


FINAL = frozenset({Status.SUCCESS, Status.FAILED, Status.CANCELLED})


class Options(Struct, frozen=True):
    """What a submission asked for beyond the text; None and empty mean the default."""

    max_jobs: int | None = None
    keep_going: bool | None = None
    targets: tuple[str, ...] = ()
    samples: tuple[str, ...] = ()
    config: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()  # paths of what came with the submission
    seeded: bool = False  # something is copied into the directory before the runner begins
    force: tuple[str, ...] = ()  # rules that run whatever is known of them
    no_cache: bool = False  # results of other runs are neither taken nor left

    def to_json(self) -> str:
        return json.dumps(
            {
                "max_jobs": self.max_jobs, "keep_going": self.keep_going,
                "targets": self.targets, "samples": self.samples, "config": dict(self.config),
                "files": self.files, "seeded": self.seeded, "force": self.force,
                "no_cache": self.no_cache,
            },
            ensure_ascii=False,
        )  # fmt: skip

    @staticmethod
    def from_json(text: str) -> Options:
        body = json.loads(text)
        return Options(
            body.get("max_jobs"), body.get("keep_going"), tuple(body.get("targets", ())),
            tuple(body.get("samples", ())), body.get("config", {}), tuple(body.get("files", ())),
            bool(body.get("seeded")), tuple(body.get("force", ())), bool(body.get("no_cache")),
        )  # fmt: skip


class NewRun(Struct, frozen=True):
    """What a submission stores; `answer` is kept only with an idempotency key."""

    id: str
    user_id: str
    workflow_name: str
    rules_total: int
    created_at: str
    options: Options = Options()
    kind: str = "workflow"
    retry_of: str | None = None
    tags: tuple[str, ...] = ()
    idempotency_key: str | None = None
    answer: str | None = None
    outputs: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # path to rule, job


class Run(Struct, frozen=True):
    """One run as it is stored, with its owner's name."""

    id: str
    user_id: str
    username: str
    kind: str
    workflow_name: str
    status: Status
    phase: Phase | None
    options: Options
    threads: int | None
    idle: bool  # it only waits: for a person, a timer, another run
    identity: ProcessIdentity | None  # the only process that may be signalled for it
    nonce: str | None
    rules_total: int
    created_at: str
    started_at: str | None
    finished_at: str | None
    exit_code: int | None
    error: str | None
    cancel_requested_at: str | None
    ended: tuple[Mapping[str, Any], ...]
    left_alive: int | None
    event_offset: int
    retry_of: str | None
    tags: tuple[str, ...]
    idempotency_key: str | None
    answer: str | None

    @property
    def final(self) -> bool:
        return self.status in FINAL


class Ending(Struct, frozen=True):
    """How a run ended: what is stored about it, and told in its last event."""

    status: Status
    finished_at: str
    exit_code: int | None = None
    error: str | None = None
    ended: tuple[Mapping[str, Any], ...] = ()
    left_alive: int | None = None


LISTED = (
    "id", "user_id", "workflow_name", "status", "pid", "started_at", "finished_at", "phase",
    "created_at",
)  # fmt: skip
_SELECT = """
SELECT runs.id, user_id, username, kind, workflow_name, status, phase, options, threads, idle, pid,
       start_time, boot_id, nonce, rules_total, runs.created_at, started_at, finished_at,
       exit_code, error, cancel_requested_at, ended, left_alive, event_offset, retry_of, tags,
       idempotency_key, answer
FROM runs JOIN users ON users.id = user_id
"""


def _run(row: sqlite3.Row) -> Run:
    identity = None
    if row["pid"] is not None:
        identity = ProcessIdentity(row["pid"], row["start_time"], row["boot_id"])
    return Run(
        id=row["id"],
        user_id=row["user_id"],
        username=row["username"],
        kind=row["kind"],
        workflow_name=row["workflow_name"],
        status=Status(row["status"]),
        phase=None if row["phase"] is None else Phase(row["phase"]),
        options=Options.from_json(row["options"]),
        threads=row["threads"],
        idle=bool(row["idle"]),
        identity=identity,
        nonce=row["nonce"],
        rules_total=row["rules_total"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        exit_code=row["exit_code"],
        error=row["error"],
        cancel_requested_at=row["cancel_requested_at"],
        ended=tuple(json.loads(row["ended"] or "[]")),
        left_alive=row["left_alive"],
        event_offset=row["event_offset"],
        retry_of=row["retry_of"],
        tags=tuple(json.loads(row["tags"])),
        idempotency_key=row["idempotency_key"],
        answer=row["answer"],
    )


def insert_run(connection: sqlite3.Connection, run: NewRun) -> None:
    """Queue a new run; raises sqlite3.IntegrityError when its idempotency key was used."""
    connection.execute(
        "INSERT INTO runs (id, user_id, kind, workflow_name, options, rules_total, created_at,"
        " ordered_at, retry_of, tags, idempotency_key, answer)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            run.id, run.user_id, run.kind, run.workflow_name, run.options.to_json(),
            run.rules_total, run.created_at, "~" + run.created_at, run.retry_of,
            json.dumps(run.tags), run.idempotency_key, run.answer,
        ),
    )  # fmt: skip
    connection.executemany(
        "INSERT INTO run_outputs (run_id, path, rule, job) VALUES (?, ?, ?, ?)",
        [(run.id, path, rule, job) for path, (rule, job) in run.outputs.items()],
    )


def declared_outputs(connection: sqlite3.Connection, run_id: str) -> dict[str, str]:
    """Declared output paths of a run and their rules; the caller has checked whose run it is."""
    rows = connection.execute("SELECT path, rule FROM run_outputs WHERE run_id = ?", (run_id,))
    return {str(row[0]): str(row[1]) for row in rows}


def find_run(connection: sqlite3.Connection, user_id: str, run_id: str) -> Run | None:
    """A user's own run; a foreign one is not found."""
    row = connection.execute(
        _SELECT + "WHERE runs.id = ? AND user_id = ?", (run_id, user_id)
    ).fetchone()
    return None if row is None else _run(row)


def find_run_of_anyone(connection: sqlite3.Connection, run_id: str) -> Run | None:
    """Any run, for the supervisor; never for a view."""
    row = connection.execute(_SELECT + "WHERE runs.id = ?", (run_id,)).fetchone()
    return None if row is None else _run(row)


def find_run_by_key(connection: sqlite3.Connection, user_id: str, key: str) -> Run | None:
    """The run that a user submitted under an idempotency key."""
    row = connection.execute(
        _SELECT + "WHERE user_id = ? AND idempotency_key = ?", (user_id, key)
    ).fetchone()
    return None if row is None else _run(row)


def list_runs(
    connection: sqlite3.Connection,
    user_id: str,
    status: Status | None,
    limit: int,
    offset: int,
    kind: str = "workflow",
) -> list[dict[str, Any]]:
    """A user's runs as lists show them: waiting ones first, then the newest start first.

    Plain columns, because a list may be long: `limit` -1 is all of them.
    """
    where, values = "WHERE user_id = ? AND kind = ?", [user_id, kind]
    if status is not None:
        where += " AND status = ?"
        values.append(status.value)
    rows = connection.execute(
        f"SELECT {', '.join(LISTED)} FROM runs {where}"
        " ORDER BY ordered_at DESC, id LIMIT ? OFFSET ?",
        (*values, limit, offset),
    )
    return [dict(zip(LISTED, row, strict=True)) for row in rows]


def count_runs(
    connection: sqlite3.Connection, user_id: str | None = None, kind: str | None = "workflow"
) -> dict[Status, int]:
    """How many runs a user (or everybody) has in each state; `kind` None counts every kind."""
    rows = connection.execute(
        "SELECT status, sum(number) FROM run_counts"
        " WHERE kind = coalesce(?, kind) AND user_id = coalesce(?, user_id) GROUP BY status",
        (kind, user_id),
    )
    return {Status(row[0]): int(row[1]) for row in rows}


def set_threads(connection: sqlite3.Connection, run_id: str, threads: int) -> None:
    """Note how many threads a live run holds from now on."""
    connection.execute(
        "UPDATE runs SET threads = ? WHERE id = ? AND status = 'running'", (threads, run_id)
    )


def started_runs(connection: sqlite3.Connection) -> list[Run]:
    """What was started and is not known to have ended."""
    rows = connection.execute(_SELECT + "WHERE status = 'running' ORDER BY started_at")
    return [_run(row) for row in rows]


def start_run(
    connection: sqlite3.Connection,
    run_id: str,
    identity: ProcessIdentity,
    nonce: str,
    threads: int,
    now: str,
) -> bool:
    """pending to running: record the process that waits for our word to begin."""
    cursor = connection.execute(
        "UPDATE runs SET status = 'running', phase = 'starting', pid = ?, start_time = ?,"
        " boot_id = ?, nonce = ?, threads = ?, started_at = ?, ordered_at = ?"
        " WHERE id = ? AND status = 'pending'",
        (identity.pid, identity.start_time, identity.boot_id, nonce, threads, now, now, run_id),
    )
    return cursor.rowcount == 1


def requeue_run(connection: sqlite3.Connection, run_id: str) -> bool:
    """running back to pending: only for a runner that ended before it did anything."""
    cursor = connection.execute(
        "UPDATE runs SET status = 'pending', phase = 'queued', pid = NULL, start_time = NULL,"
        " boot_id = NULL, nonce = NULL, threads = NULL, idle = 0, started_at = NULL,"
        " ordered_at = '~' || created_at WHERE id = ? AND status = 'running'",
        (run_id,),
    )
    return cursor.rowcount == 1


def finish_run(connection: sqlite3.Connection, run_id: str, leaves: Status, ending: Ending) -> bool:
    """pending or running to a final state."""
    cursor = connection.execute(
        "UPDATE runs SET status = ?, phase = NULL, finished_at = ?, exit_code = ?, error = ?,"
        " ended = ?, left_alive = ?,"
        " ordered_at = CASE WHEN started_at IS NULL THEN created_at ELSE ordered_at END"
        " WHERE id = ? AND status = ?",
        (
            ending.status.value, ending.finished_at, ending.exit_code, ending.error,
            json.dumps(ending.ended) if ending.ended else None, ending.left_alive,
            run_id, leaves.value,
        ),
    )  # fmt: skip
    return cursor.rowcount == 1


def ask_cancel(connection: sqlite3.Connection, run_id: str, now: str) -> bool:
    """Note that a started run is to end; True also when that was asked for before."""
    cursor = connection.execute(
        "UPDATE runs SET phase = 'cancelling',"
        " cancel_requested_at = coalesce(cancel_requested_at, ?)"
        " WHERE id = ? AND status = 'running'",
        (now, run_id),
    )
    return cursor.rowcount == 1


def set_phase(connection: sqlite3.Connection, run_id: str, phase: Phase) -> None:
    """Note a phase of a started run, unless it is being cancelled."""
    connection.execute(
        "UPDATE runs SET phase = ? WHERE id = ? AND status = 'running' AND phase <> 'cancelling'",
        (phase.value, run_id),
    )


def set_idle(connection: sqlite3.Connection, run_id: str, idle: bool) -> None:
    """Note whether a started run only waits for somebody, and so holds no slot."""
    connection.execute(
        "UPDATE runs SET idle = ? WHERE id = ? AND status = 'running'", (int(idle), run_id)
    )


def move_offset(connection: sqlite3.Connection, run_id: str, old: int, new: int) -> bool:
    """Note how far a live run's event file has become rows, in the commit that stores them."""
    cursor = connection.execute(
        "UPDATE runs SET event_offset = ? WHERE id = ? AND event_offset = ? AND status = 'running'",
        (new, run_id, old),
    )
    return cursor.rowcount == 1


def delete_run(connection: sqlite3.Connection, user_id: str, run_id: str) -> bool:
    """Remove a user's run that is over, and its jobs."""
    cursor = connection.execute(
        "DELETE FROM runs WHERE id = ? AND user_id = ?"
        " AND status IN ('success', 'failed', 'cancelled')",
        (run_id, user_id),
    )
    return cursor.rowcount == 1
