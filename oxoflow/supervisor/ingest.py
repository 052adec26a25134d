"""Turn lines of a run's event file into rows, believing nothing in them (design, section 2).

Run and owner come from the caller, never from a line. Types are a closed table; a line of another
type is passed over, and so are the runner's own last words: a run is over when its process is, and
then `settle` writes its one terminal event. Sizes, numbers and times are bounded. Touches no disk.
"""

from __future__ import annotations

import json
import math
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct, field

from oxoflow.db.events import Event, insert_events
from oxoflow.db.instants import instant, seconds_of
from oxoflow.db.jobs import JobStatus, plan_jobs, update_job
from oxoflow.db.runs import Phase, Run, move_offset, set_idle, set_phase, set_threads
from oxoflow.engine.events import EventLine
from oxoflow.supervisor.kinds import Kind

LONGEST_TEXT = 4096  # characters of one value
LONGEST_NESTED = 12 * 1024  # characters of one list or object as JSON
LARGEST_DATA = 16 * 1024  # characters of one event's data as JSON
LONGEST_NAME = 1000
CLOCK_SLACK = 60.0  # seconds by which a runner's clock may seem to run ahead
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
_LARGEST = 2**63 - 1
_WAITS = {"run_waiting": True, "run_working": False}
_VERDICTS = frozenset({"run", "skip", "check", "blocked"})
_NUMBERS = ("duration_secs", "cpu_secs", "peak_mb")
_WHOLE = ("attempt", "exit_code", "read_bytes", "written_bytes")

Data = Mapping[str, Any]


class Harvest(Struct):
    """What some lines amount to; stored in one commit with the offset behind them."""

    events: list[Event] = field(default_factory=list)
    planned: list[tuple[str, str, str | None]] = field(default_factory=list)
    jobs: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    phase: Phase | None = None
    waits: bool | None = None  # whether the run has come to only wait, or to work again
    share: int | None = None  # threads that the run says it keeps to


def harvest(run: Run, kind: Kind, lines: list[EventLine], now: float) -> Harvest:
    """The rows for some lines of a run's event file."""
    found = Harvest()
    for line in lines:
        if kind.may_wait and line.type in _WAITS:
            found.waits = _WAITS[line.type]
            continue
        handler = _plain if line.type in kind.events else _HANDLERS.get(line.type)
        if handler is None:
            continue
        time = _time(line.time, run, now)
        data = handler(found, line, time)
        if data is None:
            continue
        if line.type == "run_started":
            data = data | {"username": run.username, "status": "running"}
            data["started_at"] = run.started_at
        found.events.append(event_of(run, line.type, time, data, line))
    return found


def event_of(run: Run, type_: str, time: str, data: Data, line: EventLine | None = None) -> Event:
    """The stored form of an event of a run; `line` is where it came from, if from its file."""
    seq = None if line is None or not 0 <= line.seq <= _LARGEST else line.seq
    body: dict[str, Any] = {"run_id": run.id}
    if line is not None:
        body |= {"seq": seq, "job": _name(line.job), "rule": _name(line.rule)}
    body |= {key: value for key, value in data.items() if key not in body}
    text = json.dumps(body)
    if len(text) > LARGEST_DATA:
        text = json.dumps({"run_id": run.id, "seq": seq, "truncated": True})
    return Event(0, run.user_id, run.id, seq, type_, time, text)


def store(connection: sqlite3.Connection, run: Run, found: Harvest, old: int, new: int) -> bool:
    """Store what was found with the offset behind it; False, and nothing, when it was already."""
    if not move_offset(connection, run.id, old, new):
        return False
    if found.planned:
        plan_jobs(connection, run.id, found.planned)
    for job, rule, values in found.jobs:
        update_job(connection, run.id, job, rule, values)
    if found.phase is not None:
        set_phase(connection, run.id, found.phase)
    if found.waits is not None:
        set_idle(connection, run.id, found.waits)
    if found.share is not None:
        set_threads(connection, run.id, found.share)
    insert_events(connection, found.events)
    return True


# One function per type: note what follows for jobs and phase, and return the data to publish, or
# None for a line that makes no sense.


def _run_started(found: Harvest, line: EventLine, time: str) -> dict[str, Any]:
    found.phase = Phase.RUNNING
    return clean(line.data)


def _paused(found: Harvest, line: EventLine, time: str) -> dict[str, Any]:
    found.phase = Phase.PAUSED
    return clean(line.data)


def _resumed(found: Harvest, line: EventLine, time: str) -> dict[str, Any]:
    found.phase = Phase.RUNNING
    return clean(line.data)


def _share(found: Harvest, line: EventLine, time: str) -> None:
    slots = line.data.get("slots")
    found.share = slots if type(slots) is int else None


def _plain(found: Harvest, line: EventLine, time: str) -> dict[str, Any]:
    return clean(line.data)


def _jobs_planned(found: Harvest, line: EventLine, time: str) -> dict[str, Any] | None:
    """Hundreds of names in a line: they become rows; the stream gets their number."""
    jobs = line.data.get("jobs")
    if not isinstance(jobs, list):
        return None
    verdicts: Counter[str] = Counter()
    for entry in jobs:
        if isinstance(entry, list) and len(entry) == 3 and all(isinstance(x, str) for x in entry):
            job, rule, verdict = entry
            if job and len(job) <= LONGEST_NAME and verdict in _VERDICTS:
                found.planned.append((_text(job), _text(rule)[:LONGEST_NAME], verdict))
                verdicts[verdict] += 1
    return {"jobs": verdicts.total(), **verdicts}


def _rule_started(found: Harvest, line: EventLine, time: str) -> dict[str, Any] | None:
    values = {"status": JobStatus.RUNNING.value, "started_at": time, "finished_at": None}
    return _about_job(found, line, values)


def _rule_completed(found: Harvest, line: EventLine, time: str) -> dict[str, Any] | None:
    return _about_job(found, line, {"status": JobStatus.SUCCESS.value, "finished_at": time})


def _rule_failed(found: Harvest, line: EventLine, time: str) -> dict[str, Any] | None:
    again = line.data.get("will_retry") is True
    status = JobStatus.PENDING if again else JobStatus.FAILED
    return _about_job(found, line, {"status": status.value, "finished_at": time})


def _rule_skipped(found: Harvest, line: EventLine, time: str) -> dict[str, Any] | None:
    return _about_job(found, line, {"status": JobStatus.SKIPPED.value, "finished_at": time})


def _rule_blocked(found: Harvest, line: EventLine, time: str) -> dict[str, Any] | None:
    return _about_job(found, line, {"status": JobStatus.BLOCKED.value, "finished_at": time})


def _about_job(found: Harvest, line: EventLine, values: dict[str, Any]) -> dict[str, Any] | None:
    if not line.job or len(line.job) > LONGEST_NAME:
        return None
    data = clean(line.data)
    for name in _NUMBERS:
        if isinstance(data.get(name), int | float) and not isinstance(data[name], bool):
            values[name] = float(data[name])
    for name in _WHOLE:
        if type(data.get(name)) is int:
            values[name] = data[name]
    for name in ("reason", "error", "stderr_tail"):
        if isinstance(data.get(name), str):
            values[name] = data[name]
    found.jobs.append((_text(line.job), _text(line.rule or line.job)[:LONGEST_NAME], values))
    return data


_HANDLERS: dict[str, Callable[[Harvest, EventLine, str], dict[str, Any] | None]] = {
    "run_started": _run_started,
    "jobs_planned": _jobs_planned,
    "rule_started": _rule_started,
    "rule_completed": _rule_completed,
    "rule_failed": _rule_failed,
    "rule_skipped": _rule_skipped,
    "rule_blocked": _rule_blocked,
    "run_paused": _paused,
    "run_resumed": _resumed,
    "run_share": _share,
    "warning": _plain,
}


def clean(data: Data) -> dict[str, Any]:
    """Event data with every value of a bounded size, and nothing that JSON or SQLite refuses."""
    found: dict[str, Any] = {}
    for name, value in list(data.items())[:64]:
        kept = _clean_value(value)
        if kept is not None or value is None:
            found[_text(str(name))[:100]] = kept
    return found


def _clean_value(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        text = _text(value)
        return text if len(text) <= LONGEST_TEXT else "…" + text[-LONGEST_TEXT:]
    if isinstance(value, int):
        return value if abs(value) <= _LARGEST else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    try:
        text = json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return None
    return value if len(text) <= LONGEST_NESTED else None


def _text(value: str) -> str:
    """Text without halves of surrogate pairs, which JSON can carry and SQLite cannot."""
    return value.encode("utf-8", "replace").decode()


def _name(value: str | None) -> str | None:
    return None if value is None else _text(value)[:LONGEST_NAME]


def _time(text: str, run: Run, now: float) -> str:
    """The line's own time, when it can be true."""
    if not _TIME.fullmatch(text):
        return instant(now)
    try:
        seconds = seconds_of(text)
    except ValueError:
        return instant(now)
    believable = seconds_of(run.created_at) - CLOCK_SLACK <= seconds <= now + CLOCK_SLACK
    return text if believable else instant(now)
