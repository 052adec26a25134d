"""Judge how a run ended, from its process, its record and what was asked of it.

Owns the verdict and the one terminal event. The verdict is a pure function; nothing that a rule can
write decides more than its own run's outcome.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from enum import Enum
from typing import Any

from msgspec import Struct

from oxoflow.db.events import insert_events
from oxoflow.db.instants import instant, seconds_of
from oxoflow.db.jobs import JobStatus, end_jobs
from oxoflow.db.runs import Ending, Run, Status, finish_run, requeue_run
from oxoflow.engine.rundir import RunRecord, RunState
from oxoflow.supervisor.ingest import clean, event_of

MOST_ENDED = 1000  # processes named in a receipt
_STATUS_OF = {
    RunState.SUCCESS: Status.SUCCESS,
    RunState.FAILED: Status.FAILED,
    RunState.CANCELLED: Status.CANCELLED,
}


class Evidence(Struct, frozen=True):
    """What is known about a runner that is no more."""

    exit_code: int | None  # of our own child, negative for a signal; None after a restart
    record: RunRecord | None  # `run.json`, whoever wrote it
    last_words: str  # the end of what the runner itself printed
    locked: bool  # another process holds the run directory's lock
    marked: int  # processes that still carry the run's marker


class Fate(Enum):
    """What becomes of a run whose runner is no more."""

    ENDED = "ended"  # it came to an end of its own
    LOST = "lost"  # the runner was killed or died at work: some kinds of runs are revived
    UNBEGUN = "unbegun"  # the runner did nothing: back into the queue


class Judgement(Struct, frozen=True):
    """The fate of a run, and how it ended, unless it did not begin."""

    fate: Fate
    ending: Ending | None = None


def judge(run: Run, evidence: Evidence, now: float) -> Judgement:
    """What became of the run."""
    record = evidence.record
    if record is not None and (record.run_id, record.nonce) != (run.id, run.nonce):
        record = None
    if run.cancel_requested_at is not None and (record is None or _open(record)):
        ending = _ending(run, evidence, Status.CANCELLED, now, _cut_short(evidence))
        return Judgement(Fate.ENDED, ending)
    if record is None:
        if evidence.exit_code is None and not evidence.locked:
            return Judgement(Fate.UNBEGUN)
        ending = _ending(run, evidence, Status.FAILED, now, _never_began(evidence))
        return Judgement(Fate.LOST if _was_killed(evidence) else Fate.ENDED, ending)
    if _open(record):
        ending = _ending(run, evidence, Status.FAILED, now, _lost(run, evidence))
        return Judgement(Fate.LOST, ending)
    return Judgement(Fate.ENDED, _recorded(record, evidence, now))


def _recorded(record: RunRecord, evidence: Evidence, now: float) -> Ending:
    """The end that the runner wrote down, as far as its exit code agrees."""
    status = _STATUS_OF[record.state]
    error = record.error if isinstance(record.error, str) else None
    if status is Status.SUCCESS and (evidence.exit_code or 0) > 0:
        # The record says one thing and the process another: the process is not forged. A signal
        # says nothing: it can hit a runner that has recorded its success and is about to leave.
        status, error = Status.FAILED, f"the runner ended with exit code {evidence.exit_code}"
    code = evidence.exit_code if evidence.exit_code is not None else record.exit_code
    return Ending(
        status,
        instant(now),
        exit_code=code if type(code) is int and abs(code) < 2**31 else None,
        error=None if status is Status.SUCCESS else _short(error),
        ended=tuple(clean(item) for item in record.ended[:MOST_ENDED]),
        left_alive=_whole(record.left) if status is Status.CANCELLED else None,
    )


def store_fate(
    connection: sqlite3.Connection,
    run: Run,
    judgement: Judgement,
    revive: Callable[[sqlite3.Connection, Run], None] | None,
) -> None:
    """Store what became of a started run; `revive`, where there is one, saves a lost one."""
    if judgement.ending is None:
        requeue_run(connection, run.id)
    elif judgement.fate is Fate.LOST and revive is not None:
        revive(connection, run)
    else:
        store_ending(connection, run, Status.RUNNING, judgement.ending)


def store_ending(connection: sqlite3.Connection, run: Run, leaves: Status, ending: Ending) -> bool:
    """Move the run to its final state, once, with its one terminal event."""
    if not finish_run(connection, run.id, leaves, ending):
        return False
    cancelled = ending.status is Status.CANCELLED
    interrupted = JobStatus.CANCELLED if cancelled else JobStatus.FAILED
    since = run.cancel_requested_at if cancelled else None
    end_jobs(connection, run.id, interrupted, ending.finished_at, since)
    insert_events(connection, [terminal_event(run, ending)])
    return True


TERMINAL_TYPES = {
    Status.SUCCESS: "run_completed",
    Status.FAILED: "run_failed",
    Status.CANCELLED: "run_cancelled",
}


def terminal_event(run: Run, ending: Ending) -> Any:
    """The last event of a run (spec/oxo-flow-api.md 2.2)."""
    data: dict[str, Any] = {
        "workflow_name": run.workflow_name,
        "status": ending.status.value,
        "finished_at": ending.finished_at,
    }
    if run.started_at is not None:
        took = seconds_of(ending.finished_at) - seconds_of(run.started_at)
        data["duration_secs"] = round(max(0.0, took), 3)
    if ending.status is Status.FAILED:
        data |= {"exit_code": ending.exit_code, "error": ending.error}
    if ending.status is Status.CANCELLED:
        data |= {"cancelled_at": ending.finished_at, "left": ending.left_alive or 0}
        data["ended"] = list(ending.ended)[:50]
    return event_of(run, TERMINAL_TYPES[ending.status], ending.finished_at, data)


def _ending(run: Run, evidence: Evidence, status: Status, now: float, error: str) -> Ending:
    left = evidence.marked if status is Status.CANCELLED else None
    return Ending(status, instant(now), evidence.exit_code, error, (), left)


def _open(record: RunRecord) -> bool:
    return record.state is RunState.RUNNING


def _was_killed(evidence: Evidence) -> bool:
    """Whether a runner that left no record of this life had no say in that."""
    return evidence.exit_code is not None and evidence.exit_code < 0


def _never_began(evidence: Evidence) -> str:
    if evidence.exit_code is None:
        return "lost: another process holds the run directory; cancel it there, then retry"
    words = evidence.last_words.strip()
    return _short(words) or f"the runner ended with exit code {evidence.exit_code} before it began"


def _lost(run: Run, evidence: Evidence) -> str:
    pid = run.identity.pid if run.identity else "?"
    code = evidence.exit_code
    if code is None:
        how = "ended unseen"
    else:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    words = evidence.last_words.strip()
    fact = f"lost: the runner (process {pid}) {how} and left no result; retry the run"
    return _short(f"{fact}\n{words}" if words else fact) or fact


def _cut_short(evidence: Evidence) -> str:
    if evidence.marked:
        return f"the runner ended before it had ended all of its jobs; {evidence.marked} are left"
    return "the runner ended before it recorded the cancel; no process of the run is left"


def _short(text: str | None) -> str | None:
    return None if not text else clean({"text": text})["text"]


def _whole(value: Any) -> int:
    return value if type(value) is int and 0 <= value < 2**31 else 0
