"""Ask and steer the run of a directory: `status`, `pause`, `cancel`.

Owns the three verbs. They talk to a run through `.oxo-flow/control/` and learn from its records;
they signal no process but what a dead runner left, and a runner that a signal stopped, to wake it.
"""

from __future__ import annotations

import contextlib
import json
import signal
import time
from collections.abc import Mapping
from typing import Any

from msgspec.structs import asdict

from oxoflow.commands.arguments import Arguments, Verb
from oxoflow.commands.options import JSON, WORKDIR
from oxoflow.commands.output import plural, print_json
from oxoflow.commands.results import here, record_row
from oxoflow.engine.ending import Receipt
from oxoflow.engine.events import timestamp
from oxoflow.engine.failures import STOPPED
from oxoflow.engine.identity import read_stat
from oxoflow.engine.process import signal_exactly
from oxoflow.engine.records import Record
from oxoflow.engine.recovery import end_abandoned
from oxoflow.engine.rundir import RunDirectory, RunRecord, RunState, lock_holder, write_control
from oxoflow.engine.state import State
from oxoflow.errors import RunError, UsageError

_WAIT_SECONDS = 12.0  # a cancel is confirmed within 7 s
_NUDGE_SECONDS = 1.0  # a run that is at work looks for messages more often than that
_LOOK_SECONDS = 0.05
_SHOWN = 20
_RUN_STARTED, _JOBS_PLANNED = b'"type":"run_started"', b'"type":"jobs_planned"'


def show_status(arguments: Arguments) -> int:
    """Print how the run of a directory stands; exit 1 when the last one failed."""
    directory = here(arguments)
    record = directory.read_run()
    holder = lock_holder(directory.lock)
    state = State.view(directory.state)
    try:
        jobs = _of_last_run(directory, state.records())
        errors = {
            name: state.detail(name).error for name, job in jobs.items() if job.status == "failed"
        }
    finally:
        state.close()
    found = _status(directory, record, holder, jobs, errors)
    if arguments.json:
        print_json(found)
    else:
        print("\n".join(_status_lines(found)))
    return 1 if found["state"] in ("failed", "lost") else 0


def _of_last_run(directory: RunDirectory, records: dict[str, Record]) -> dict[str, Record]:
    """Leave out what the last run was not about: rules that are gone, jobs it did not ask for."""
    try:
        content = directory.events.read_bytes()
    except OSError:
        return records
    names: set[str] = set()
    at = content.find(_JOBS_PLANNED, max(0, content.rfind(_RUN_STARTED)))
    while at >= 0:
        start, end = content.rfind(b"\n", 0, at) + 1, content.find(b"\n", at)
        with contextlib.suppress(ValueError, KeyError, TypeError, IndexError):  # a torn line
            names.update(job[0] for job in json.loads(content[start:end])["data"]["jobs"])
        at = content.find(_JOBS_PLANNED, at + 1)
    return {name: job for name, job in records.items() if name in names} if names else records


def _status(
    directory: RunDirectory,
    record: RunRecord | None,
    holder: int | None,
    jobs: Mapping[str, Record],
    errors: Mapping[str, str | None],
) -> dict[str, Any]:
    state = record.state.value if record else "none"
    if record and record.state is RunState.RUNNING:
        state = "lost" if holder is None else "paused" if is_paused(directory) else "running"
    # of a live run only its own failures: what failed earlier may still be done by it
    since = record.started_at if record and holder else None
    stands = {job.job: _standing(job, errors.get(job.job), since) for job in jobs.values()}
    counts = dict.fromkeys(("done", "failed", "stopped", "started", "planned"), 0)
    for word in stands.values():
        counts[word] += 1
    running = [job for job in jobs.values() if job.status == "started"] if holder else []
    return {
        "workdir": str(directory.root),
        "state": state,
        "suspended": record is not None and holder is not None and is_suspended(record),
        "run_id": record.run_id if record else None,
        "pid": holder,
        "started_at": record.started_at if record else None,
        "finished_at": record.finished_at if record else None,
        "exit_code": record.exit_code if record else None,
        "error": record.error if record else None,
        "jobs": counts,
        "running": [record_row(job) for job in running],
        "failed": [
            {"job": job.job, "exit_code": job.exit_code, "error": errors.get(job.job)}
            for job in jobs.values()
            if stands[job.job] == "failed"
        ],
        "stopped": [name for name, word in stands.items() if word == "stopped"],
    }


def _standing(job: Record, error: str | None, since: str | None) -> str:
    """Say how a job stands; `since` is when the live run began, None without one."""
    if job.status != "failed":
        return job.status
    if since is not None and timestamp(job.finished_at or 0.0) < since:
        return "planned"
    return "stopped" if error == STOPPED else "failed"


_COUNTED = {"done": "done", "failed": "failed", "stopped": "stopped"}
_LIVE = {"started": "running", "planned": "not done yet"}
_OVER = {"started": "interrupted", "planned": "not run"}


def _status_lines(found: Mapping[str, Any]) -> list[str]:
    words = {
        "none": "no run has been here",
        "lost": "the last run ended without a word; 'oxoflow resume' goes on",
        "running": f"running as process {found['pid']}",
        "paused": f"paused, process {found['pid']}; 'oxoflow resume' goes on",
    }
    state = found["state"]
    lines = [f"{found['workdir']}: {words.get(state, f'the last run ended: {state}')}"]
    if found["suspended"]:
        lines[0] += f", which a signal stopped (Ctrl-Z?): 'kill -CONT {found['pid']}' wakes it"
    told = {f"job '{row['job']}' failed: {row['error']}" for row in found["failed"][:_SHOWN]}
    if found["error"] and found["error"] not in told:
        lines.append(f"  {found['error']}")
    naming = _COUNTED | (_LIVE if found["pid"] else _OVER)
    counts = [f"{number} {naming[word]}" for word, number in found["jobs"].items() if number]
    if counts:
        lines.append(f"  jobs: {', '.join(counts)}")
    lines += [f"  running  {row['job']}" for row in found["running"][:_SHOWN]]
    lines += [f"  failed   {row['job']}  {row['error'] or ''}" for row in found["failed"][:_SHOWN]]
    lines += [f"  stopped  {name}" for name in found["stopped"][:_SHOWN]]
    more = len(found["failed"]) - _SHOWN
    return [*lines, *([f"  and {plural(more, 'failure')} more"] if more > 0 else [])]


def is_paused(directory: RunDirectory) -> bool:
    """Say whether the last word about pausing in the event file was 'paused'."""
    try:
        content = directory.events.read_bytes()
    except OSError:
        return False
    began = content.rfind(_RUN_STARTED)
    paused = content.rfind(b'"type":"run_paused"')
    return paused > max(began, content.rfind(b'"type":"run_resumed"'))


def is_suspended(record: RunRecord) -> bool:
    """Say whether a signal, as Ctrl-Z sends one, keeps a runner from doing anything."""
    stat = read_stat(record.pid)
    return stat is not None and stat.start_time == record.start_time and stat.state in "Tt"


def wake(record: RunRecord) -> None:
    """Let a runner go on that a signal stopped: it could not hear what it is told."""
    if is_suspended(record):
        signal_exactly(record.pid, record.start_time, signal.SIGCONT)


def live_run(directory: RunDirectory) -> RunRecord:
    """Give the run that is at work in a directory; raises UsageError when there is none."""
    record = directory.read_run()
    if lock_holder(directory.lock) is None or record is None:
        raise UsageError(f"nothing runs in '{directory.root}'; see 'oxoflow status'")
    return record


def send(directory: RunDirectory, record: RunRecord, word: str) -> None:
    """Leave a message for the run."""
    write_control(directory.control, {"type": word, "run_id": record.run_id})


def pause_run(arguments: Arguments) -> int:
    """Let a run start nothing new; what runs goes on."""
    directory = here(arguments)
    send(directory, live_run(directory), "pause")
    _answer(arguments, {"status": "pausing"}, "no new job starts until 'oxoflow resume'")
    return 0


def cancel_run(arguments: Arguments) -> int:
    """End a run and everything it started, and say what was ended."""
    directory = here(arguments)
    if is_lost(directory):
        return _end_lost(arguments, directory)
    record = live_run(directory)
    send(directory, record, "cancel")
    wake(record)
    begun = time.monotonic()
    deadline, nudged = begun + _WAIT_SECONDS, False
    while lock_holder(directory.lock) is not None:
        if not nudged and time.monotonic() > begun + _NUDGE_SECONDS:
            nudged = True  # it does not look by itself: it is reading large files, it seems
            signal_exactly(record.pid, record.start_time, signal.SIGUSR1)
        if time.monotonic() > deadline:
            raise RunError(
                f"the run in '{directory.root}' was told to end, but is still there; look again "
                "with 'oxoflow status'"
            )
        time.sleep(_LOOK_SECONDS)
    ended = directory.read_run()
    if ended is None or ended.run_id != record.run_id:
        raise RunError(f"the records of the run in '{directory.root}' are gone")
    if ended.state is not RunState.CANCELLED:
        _answer(arguments, {"status": ended.state.value}, f"it had ended: {ended.state.value}")
        return 0
    receipt = {"status": "cancelled", "ended": list(ended.ended), "left": ended.left}
    _answer(
        arguments, receipt, f"cancelled; processes ended: {len(ended.ended)}, left: {ended.left}"
    )
    return 1 if ended.left else 0


def is_lost(directory: RunDirectory) -> bool:
    """Say whether a run ended here without a word: its runner was killed."""
    record = directory.read_run()
    lost = record is not None and record.state is RunState.RUNNING
    return lost and lock_holder(directory.lock) is None


def _end_lost(arguments: Arguments, directory: RunDirectory) -> int:
    """End what a dead runner left; what it recorded stays for `resume` to go on from."""
    record = directory.read_run()
    receipt = end_abandoned(directory, record.run_id) if record else Receipt()
    ended = [asdict(process) for process in receipt.ended]
    _answer(
        arguments,
        {"status": "lost", "ended": ended, "left": receipt.left},
        f"its runner had been killed; processes ended: {len(ended)}, left: {receipt.left}",
    )
    return 1 if receipt.left else 0


def _answer(arguments: Arguments, found: Mapping[str, Any], words: str) -> None:
    if arguments.json:
        print_json(found)
    else:
        print(words)


VERBS: Mapping[str, Verb] = {
    "status": Verb("Say how the run of a directory stands.", (WORKDIR, JSON), show_status),
    "pause": Verb("Start no new job until 'resume'.", (WORKDIR, JSON), pause_run),
    "cancel": Verb(
        "Stop the run of a directory and every process it started.", (WORKDIR, JSON), cancel_run
    ),
}
