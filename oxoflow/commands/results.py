"""Show and judge what runs left behind: `records`, `logs`, `accept`.

Owns the three verbs; what is known is in `engine.state`, what a key is in `engine.fingerprint`.
"""

from __future__ import annotations

import codecs
import getpass
import json
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from oxoflow.commands.arguments import Arguments, Verb
from oxoflow.commands.loading import find_place, load
from oxoflow.commands.options import COMPOSING, JSON, WORKDIR, value
from oxoflow.commands.output import plural, print_json
from oxoflow.engine.accept import accept
from oxoflow.engine.capacity import Limits, find_capacity
from oxoflow.engine.dag import nearest
from oxoflow.engine.events import timestamp
from oxoflow.engine.files import absolute
from oxoflow.engine.options import RunOptions
from oxoflow.engine.plan import Planner, PlanOptions
from oxoflow.engine.records import Record
from oxoflow.engine.reentry import Reentries
from oxoflow.engine.rundir import RunDirectory, WorkdirLock
from oxoflow.engine.state import State
from oxoflow.errors import UsageError

COLUMNS = (
    "job", "rule", "status", "exit_code", "attempts", "started_at", "finished_at",
    "wall_s", "cpu_s", "peak_mb", "read_bytes", "written_bytes",
)  # fmt: skip
_STREAMS = ("stdout", "stderr")
_PIECE = 1_048_576  # bytes that are read at once
_JOBS_NAMED = 10
_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def here(arguments: Arguments) -> RunDirectory:
    """Give the directory that a verb without a workflow is about."""
    root = Path(arguments.workdir or ".")
    if not root.is_dir():
        raise UsageError(f"--workdir '{root}' is no directory; correct the path")
    return RunDirectory(absolute(root))


def show_records(arguments: Arguments) -> int:
    """Print one row a job that ran, as TSV or JSON."""
    state = State.view(here(arguments).state)
    try:
        records = state.records()
    finally:
        state.close()
    rows = [record_row(record) for record in _in_order(records.values())]
    if arguments.json:
        print_json({"records": rows})
    else:
        print("\t".join(COLUMNS))
        for row in rows:
            print("\t".join(_cell(row[column]) for column in COLUMNS))
    return 0


def record_row(record: Record) -> dict[str, Any]:
    """Give a record under its column names, times as on the wire.

    What is known of an earlier attempt is left out of a job that has started again.
    """
    row = {column: getattr(record, column) for column in COLUMNS}
    if record.status == "started":
        row |= dict.fromkeys(COLUMNS[COLUMNS.index("finished_at") :])
        row |= {"exit_code": None, "attempts": None}
    for column in ("started_at", "finished_at"):
        row[column] = timestamp(row[column]) if row[column] is not None else None
    return row


def _in_order(records: Iterable[Record]) -> list[Record]:
    return sorted(records, key=lambda record: (record.started_at or float("inf"), record.job))


def _cell(item: Any) -> str:
    if item is None:
        return ""
    text = f"{item:.3f}" if isinstance(item, float) else str(item)
    return text.translate(_ESCAPED)


def show_logs(arguments: Arguments) -> int:
    """Print what a job wrote to its streams, piece by piece: a log may be larger than memory."""
    directory = here(arguments)
    streams = dict(zip(_STREAMS, directory.job_logs(arguments.job), strict=True))
    if not any(path.is_file() for path in streams.values()):
        raise UsageError(_no_log(directory, arguments.job))
    wanted = [arguments.stream] if arguments.stream else list(streams)
    if arguments.json:
        _print_log_json(arguments.job, {name: streams[name] for name in wanted})
        return 0
    written = [name for name in wanted if streams[name].is_file() and streams[name].stat().st_size]
    sys.stdout.flush()
    for name in written:
        if len(written) > 1:
            sys.stdout.buffer.write(f"==> {name} <==\n".encode())
        with open(streams[name], "rb") as log:
            shutil.copyfileobj(log, sys.stdout.buffer)
    sys.stdout.buffer.flush()
    if not written:
        print(
            f"oxoflow: job '{arguments.job}' wrote nothing to {' or '.join(wanted)}",
            file=sys.stderr,
        )
    return 0


def _print_log_json(job: str, logs: Mapping[str, Path]) -> None:
    """Print one JSON document; the text is turned into JSON as it is read."""
    print("{\n " + f'"job": {json.dumps(job)}', end="")
    for name, path in logs.items():
        print(f',\n "{name}": "', end="")
        for text in _texts(path) if path.is_file() else ():
            print(json.dumps(text)[1:-1], end="")
        print('"', end="")
    print("\n}")


def _texts(path: Path) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    with open(path, "rb") as log:
        while piece := log.read(_PIECE):
            yield decoder.decode(piece)
    yield decoder.decode(b"", final=True)


def _no_log(directory: RunDirectory, job: str) -> str:
    state = State.view(directory.state)
    try:
        records = state.records()
        error = state.detail(job).error
    finally:
        state.close()
    names = sorted(records)
    if job in records:
        return f"job '{job}' has no log: {error or 'it has not started'}"
    jobs = [name for name in names if records[name].rule == job]
    if jobs:
        more = f" and {len(jobs) - _JOBS_NAMED} more" if len(jobs) > _JOBS_NAMED else ""
        shown = ", ".join(jobs[:_JOBS_NAMED])
        return (
            f"'{job}' is a rule, and {plural(len(jobs), 'job')} of it ran: {shown}{more}; name one"
        )
    return f"no job '{job}' has run in '{directory.root}'{nearest(job, names)}"


def accept_results(arguments: Arguments) -> int:
    """Record that the present outputs of jobs are valid for their present definition."""
    for name in arguments.jobs:
        if name.endswith(".oxoflow") and Path(name).is_file():
            raise UsageError(f"'{name}' is no job; name the workflow file with --workflow")
    arguments.file = arguments.workflow
    place = find_place(arguments)
    loaded = load(arguments, place)
    directory = RunDirectory(place.workdir)
    directory.create()
    lock = WorkdirLock(directory.lock)
    lock.acquire()
    try:
        state = State(directory.state)
        try:
            loaded = Reentries(state, place.workdir, RunOptions(place.workdir)).replay(loaded)
            capacity = find_capacity(loaded.workflow, Limits())
            planner = Planner(loaded, state, place.workdir, PlanOptions(), capacity)
            accepted = accept(planner, state, arguments.jobs, _who(), time.time())
        finally:
            state.close()
    finally:
        lock.release()
    names = [change.job for change in accepted]
    if arguments.json:
        print_json({"accepted": names})
    else:
        for name in names:
            print(name)
        print(f"{plural(len(names), 'result')} accepted")
    return 0


def _who() -> str:
    """Name whoever accepts; in a container a user need not have a name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


VERBS: Mapping[str, Verb] = {
    "records": Verb(
        "List the jobs that ran here as TSV: times, CPU seconds, peak memory, bytes, exit codes.",
        (WORKDIR, JSON),
        show_records,
    ),
    "logs": Verb(
        "Show what a job wrote.",
        (
            value("job", metavar="JOB", help="the job's name"),
            value("--stream", choices=_STREAMS, help="one stream only"),
            WORKDIR,
            JSON,
        ),
        show_logs,
    ),
    "accept": Verb(
        "Declare the results of jobs valid for their present definition, after a harmless edit.",
        (
            value("jobs", nargs="+", metavar="JOB", help="jobs or rules"),
            value("--workflow", metavar="FILE", help="the workflow file (default: as for run)"),
            *COMPOSING,
            JSON,
        ),
        accept_results,
        overrides=True,
    ),
}
