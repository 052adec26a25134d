"""Take over a working directory from a run whose runner died.

Owns the two duties of design 5: end what still lives of that run, and remove what its interrupted
jobs left half-done. But for `end_abandoned`, to be called under the workdir lock, before anything
new is recorded.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from oxoflow.engine.cages import remove_cages
from oxoflow.engine.ending import Receipt, end_dead_run
from oxoflow.engine.events import Event, EventWriter, read_events
from oxoflow.engine.journal import Start, read_journal
from oxoflow.engine.outputs import clean_up
from oxoflow.engine.records import Failed, Record
from oxoflow.engine.rundir import (
    ProcessIdentity,
    RunDirectory,
    RunRecord,
    RunState,
    lock_holder,
)
from oxoflow.engine.state import State
from oxoflow.errors import RunError

INTERRUPTED = "interrupted: the run ended before the job did"


def end_predecessor(directory: RunDirectory) -> Receipt | None:
    """End what lives of a run that never ended; None when the last run ended properly.

    Raises RunError when something cannot be ended: two runs must not write the same files.
    """
    previous = directory.read_run()
    if previous is None or previous.state is not RunState.RUNNING:
        return None
    receipt = end_dead_run(previous.run_id, _started(directory, previous), directory.root)
    remove_cages(previous.run_id)
    if receipt.left:
        raise RunError(
            f"{receipt.left} processes of the interrupted run {previous.run_id} in "
            f"'{directory.root}' cannot be ended; end them by hand, then run again"
        )
    return receipt


def end_abandoned(directory: RunDirectory, run_id: str) -> Receipt:
    """End what lives of a run whose runner is gone, without the lock; who was ended.

    As soon as another run holds that, it is for that one to do: it may have processes of its own,
    and it is one itself, even if it has come to its end since we looked.
    """
    record = _unended(directory, run_id)
    if record is None:
        return Receipt()
    receipt = end_dead_run(
        run_id,
        _started(directory, record),
        directory.root,
        superseded=lambda: (
            lock_holder(directory.lock) is not None or _unended(directory, run_id) is None
        ),
    )
    remove_cages(run_id)
    return receipt


def _unended(directory: RunDirectory, run_id: str) -> RunRecord | None:
    """The record of a run, if it is the last one here and has not told its end."""
    record = directory.read_run()
    if record is None or record.run_id != run_id or record.state is not RunState.RUNNING:
        return None
    return record


def _started(directory: RunDirectory, record: RunRecord) -> list[ProcessIdentity]:
    """The processes of which a run noted that it started them."""
    starts = read_journal(directory.started, record.boot_id).values()
    return [start.process for start in starts if start.process is not None]


def clean_after(directory: RunDirectory, state: State) -> tuple[str, ...]:
    """Undo what interrupted jobs left, and record them as failed; the names of these jobs."""
    starts = read_journal(directory.started, "")
    if not starts:
        return ()
    records = state.records()
    interrupted = [s for s in starts.values() if not _has_ended(s, records.get(s.job))]
    _tell_unsaid_ends(directory, [records[s.job] for s in starts.values() if s not in interrupted])
    if not interrupted:
        return ()
    now = time.time()
    for start in interrupted:
        clean_up(str(directory.root), start.outputs, start.before)
    state.mark_failed(
        [
            Failed(s.job, _rule(s, records), s.at, now, None, None, error=INTERRUPTED)
            for s in interrupted
        ]
    )
    return tuple(start.job for start in interrupted)


def _tell_unsaid_ends(directory: RunDirectory, ended: Sequence[Record]) -> None:
    """Write the events of jobs whose record reached the disk and whose event did not.

    State is written before its event, so only the last group of a dead run can be concerned.
    """
    done = {record.job: record for record in ended if record.status == "done"}
    told: set[str | None] = set()
    offset = 0
    while done:
        found, end = read_events(directory.events, offset)
        for event in found:
            if event.type == "run_started":
                told.clear()
            elif event.type == "rule_completed":
                told.add(event.job)
        if end == offset:
            break
        offset = end
    untold = [_completion(record) for job, record in done.items() if job not in told]
    if untold:
        events = EventWriter(directory.events)
        events.write(untold)
        events.close()


def _completion(record: Record) -> Event:
    figures = {
        "exit_code": record.exit_code,
        "duration_secs": record.wall_s,
        "cpu_secs": record.cpu_s,
        "peak_mb": record.peak_mb,
        "read_bytes": record.read_bytes,
        "written_bytes": record.written_bytes,
        "attempt": record.attempts,
    }
    return Event("rule_completed", record.job, record.rule, figures)


def _has_ended(start: Start, record: Record | None) -> bool:
    """True when the record is that of this very start: its end reached the disk.

    No two times are compared but those of one start: the clock may have been set meanwhile.
    """
    return (
        record is not None and record.status in ("done", "failed") and record.started_at == start.at
    )


def _rule(start: Start, records: dict[str, Record]) -> str:
    record = records.get(start.job)
    return record.rule if record is not None else start.job
