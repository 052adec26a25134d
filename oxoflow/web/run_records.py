"""Read what a run's directory says of its jobs and their results (spec/oxo-flow-api.md 5.12).

Rules write there, so nothing in it is trusted: the state file is copied, no link followed, and the
copy is read within bounds; so no writer waits for us, and none can pull the file from under us.
Knows no Flask and no database, so that it runs in a text worker, where what hangs is ended.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from oxoflow.engine.records import Detail, ListedOutput
from oxoflow.engine.state import State
from oxoflow.errors import InvalidInput, OxoflowError, WorkflowError
from oxoflow.lang.parse import parse_workflow
from oxoflow.settings import load_limits
from oxoflow.workspace import (
    RECORDS,
    WORKFLOW_FILE,
    directory_below,
    inside_path,
    open_regular,
    read_small,
)

STATE = f"{RECORDS}/state.sqlite"
LARGEST_STATE = 512 * 1024**2  # bytes of the file, and of its log
LARGEST_VALUE = 64 * 1024**2
LARGEST_TEXT = 4 * 1024**2
READ_SECONDS = 3.0  # for everything; what is not told by then is counted
HASH_SECONDS = 1.0  # for all outputs whose content nobody knows yet
LARGEST_HASHED = 1 << 30  # bytes; what is larger could not be read in that time
LONGEST_COMMAND = 4000  # characters
LONGEST_NAME = 4096  # characters of a path or a job's name
LONGEST_WORD = 300  # characters of a version or a run's name
MOST_VERSIONS = 500  # lines of one environment
MOST_ENVIRONMENTS = 100
MOST_CHARACTERS = 4_000_000  # of all commands, and of all paths
CHUNK = 1 << 20
DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
COPIES = 3  # tries to copy a state that is being written


class _Unreadable(Exception):
    """Why the records cannot be told, in words for the report."""


def read_records(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What is recorded of the `jobs` named and of the first `most` outputs of a run directory.

    Whatever is wrong with the directory is told as `trouble`, never raised.
    """
    directory = Path(asked["directory"])
    found: dict[str, Any] = {
        "version": "", "trouble": None, "jobs": {}, "jobs_left": 0, "environments": [],
        "outputs": [], "outputs_total": 0,
    }  # fmt: skip
    try:
        if not directory.is_dir():
            raise _Unreadable("the directory of this run is gone, and its results with it")
        found["version"] = _version(directory)
        with _state(directory) as state:
            until = time.monotonic() + READ_SECONDS
            state.bound(READ_SECONDS, LARGEST_VALUE)
            outputs, found["outputs_total"] = state.listed_outputs(asked.get("most", 0))
            names = asked.get("jobs", ())
            found["jobs"], found["environments"], found["jobs_left"] = _jobs(state, names, until)
        found["outputs"] = _looked_at(directory, outputs, until)
    except _Unreadable as error:
        found["trouble"] = str(error)
    except (OxoflowError, OSError) as error:
        slow = "interrupted" in str(error)
        why = "it takes too long" if slow else "it is damaged, or no file of ours"
        found["trouble"] = f"'{STATE}' of this run cannot be read: {why}"
    return found


def _version(directory: Path) -> str:
    """The workflow's own version; empty when its text is gone or was made unreadable."""
    content = read_small(directory, WORKFLOW_FILE, LARGEST_TEXT)
    try:
        return parse_workflow((content or b"").decode(), load_limits()).version
    except (WorkflowError, UnicodeDecodeError):
        return ""


@contextlib.contextmanager
def _state(directory: Path) -> Any:
    """The run's state, from a copy that is unlinked before anything is asked of it."""
    with tempfile.TemporaryDirectory(prefix="oxoflow-report-") as place:
        copy = Path(place, "state.sqlite")
        _copy_whole(directory, copy)
        state = State.view(copy)
    try:
        yield state
    finally:
        state.close()


def _copy_whole(directory: Path, copy: Path) -> None:
    """Copy the state and its log; the log must not have begun anew meanwhile."""
    log = f"{STATE}-wal"
    for _ in range(COPIES):
        before = _head(directory, log)
        if not _copy(directory, STATE, copy):
            raise _Unreadable("nothing is recorded of this run: it has not begun, or was cleaned")
        if not _copy(directory, log, Path(f"{copy}-wal")):
            Path(f"{copy}-wal").unlink(missing_ok=True)
        if before == _head(directory, log):
            return
    raise _Unreadable("the records change faster than they can be copied; ask again")


def _head(directory: Path, name: str) -> bytes:
    descriptor = open_regular(directory, name)
    if descriptor is None:
        return b""
    with open(descriptor, "rb") as handle:
        return handle.read(32)


def _copy(directory: Path, name: str, target: Path) -> bool:
    """Copy a regular file as it is now; False when there is none."""
    descriptor = open_regular(directory, name)
    if descriptor is None:
        return False
    with open(descriptor, "rb"), open(target, "wb") as sink:
        size = os.fstat(descriptor).st_size
        if size > LARGEST_STATE:
            raise _Unreadable(f"the records of this run are too large: {size} bytes in '{name}'")
        done = 0
        while done < size and (moved := os.sendfile(sink.fileno(), descriptor, done, size - done)):
            done += moved
    return True


def _jobs(
    state: State, names: Sequence[str], until: float
) -> tuple[dict[str, Any], list[Any], int]:
    """Each job's record, the environments they name by number, and how many were left out."""
    jobs: dict[str, Any] = {}
    environments: dict[str, int] = {}
    left = MOST_CHARACTERS
    for at, name in enumerate(names):
        if left < 0 or time.monotonic() > until - HASH_SECONDS:
            return jobs, list(map(_environment, environments)), len(names) - at
        detail = state.told(name, LONGEST_COMMAND + 1)
        if detail == Detail():
            continue
        command, known = _text(detail.command, LONGEST_COMMAND + 1), detail.environment
        if isinstance(known, str) and len(environments) < MOST_ENVIRONMENTS:
            environments.setdefault(known, len(environments))
        jobs[name] = {
            "command": _cut(command),
            "run": _text(detail.run, LONGEST_WORD),
            "origin": _origin(detail.origin),
            "environment": environments.get(known) if known else None,
        }
        left -= len(name) + len(command or "")
    return jobs, list(map(_environment, environments)), 0


def _cut(command: str | None) -> str | None:
    if command is None or len(command) <= LONGEST_COMMAND:
        return command
    return f"{command[:LONGEST_COMMAND]} … (cut)"


def _environment(text: str) -> dict[str, Any]:
    known = _object(text) or {}
    versions = known.get("versions")
    lines = [str(line)[:LONGEST_WORD] for line in versions] if isinstance(versions, list) else []
    return {
        "title": str(known.get("environment"))[:LONGEST_WORD],
        "versions": lines[:MOST_VERSIONS],
        "more": max(0, len(lines) - MOST_VERSIONS),
    }


def _looked_at(
    directory: Path, outputs: Sequence[ListedOutput], until: float
) -> list[dict[str, Any]]:
    """Recorded outputs beside what stands in their place now."""
    read_until = min(until, time.monotonic() + HASH_SECONDS)
    left, found = MOST_CHARACTERS, []
    for output in outputs:
        found.append(_output(directory, output, read_until))
        left -= len(found[-1]["path"]) + len(found[-1]["job"])
        if left < 0 or time.monotonic() > until:
            break
    return found


def _output(directory: Path, output: ListedOutput, until: float) -> dict[str, Any]:
    path, size = _text(output.path) or "", output.size
    digest = _digest(output.sha256) or _digest(output.checksum)
    now, seen = _now(directory, path, output, until if digest is None else 0.0)
    return {
        "path": path,
        "job": _text(output.job) or "",
        "size": size if isinstance(size, int) and size >= 0 else None,
        "sha256": digest or seen,
        "now": "deleted as temporary" if now == "gone" and output.removed else now,
    }


def _now(
    directory: Path, path: str, output: ListedOutput, until: float
) -> tuple[str, str | None]:  # fmt: skip
    """What became of an output, and its content when there is time until then to read it."""
    try:
        inside = str(inside_path(path))
    except InvalidInput:
        return "outside of the run, not looked at", None
    if output.size == -1:
        return _directory_now(directory, inside), None
    descriptor = open_regular(directory, inside)
    if descriptor is None:
        return "gone", None
    with open(descriptor, "rb") as handle:
        facts = os.fstat(descriptor)
        if (facts.st_size, facts.st_mtime_ns) != (output.size, output.mtime_ns):
            return "changed since", None
        digest = hashlib.sha256()
        while facts.st_size <= LARGEST_HASHED and time.monotonic() < until:
            if not (data := handle.read(CHUNK)):
                return "unchanged", digest.hexdigest()
            digest.update(data)
    return "unchanged", None


def _directory_now(directory: Path, path: str) -> str:
    try:
        with directory_below(directory, path):
            return "a directory"
    except OSError:
        return "gone"


def _origin(text: object) -> dict[str, str] | None:
    """From where a result was taken: which run made it, when, and how it came here."""
    known = _object(text)
    if known is None:
        return None
    return {key: str(known.get(key) or "")[:LONGEST_WORD] for key in ("run", "made_at", "how")}


def _digest(text: object) -> str | None:
    found = DIGEST.fullmatch(text) if isinstance(text, str) else None
    return found[1] if found else None


def _text(value: object, longest: int = LONGEST_NAME) -> str | None:
    return value[:longest] if isinstance(value, str) else None


def _object(text: object) -> dict[str, Any] | None:
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
