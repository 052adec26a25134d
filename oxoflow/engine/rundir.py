"""Know the layout of `.oxo-flow/` and read and write the records that a run shares with others.

Owns `run.json`, the workdir lock, control messages, log file names and the launch pipe (design 2).
It starts no process and judges no run. What stands in these files may have been written by a rule:
readers get None or nothing for what does not have the right shape, never an exception.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import struct
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import quote

from msgspec import Struct, field
from msgspec.structs import asdict, fields

from oxoflow.engine.disk import replace_file, trouble
from oxoflow.engine.identity import ProcessIdentity, boot_id, identify, new_id
from oxoflow.errors import UsageError, WorkdirLocked

__all__ = [
    "MARKER",
    "ControlMessage",
    "Launch",
    "ProcessIdentity",
    "RunDirectory",
    "RunRecord",
    "RunState",
    "WorkdirLock",
    "await_launch",
    "boot_id",
    "identify",
    "lock_holder",
    "log_name",
    "read_control",
    "write_control",
]

MARKER = "OXORUN_ID"  # the environment variable that every process of a run carries
_NAME_LIMIT = 200
_PLAIN_NAME = re.compile(rf"[\w.-]{{1,{_NAME_LIMIT}}}", re.ASCII)  # as most jobs have
_RECORD_LIMIT = 8 * 1_048_576
_CONTROL_LIMIT = 1_048_576
_FLOCK = "hhqqi4x"  # struct flock of 64-bit Linux: type, whence, start, length, pid


class RunState(Enum):
    """Where a run stands according to its own runner; only `running` is not final."""

    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"


class RunRecord(Struct, frozen=True):
    """`run.json`: who runs here, since when, and how it ended."""

    run_id: str
    nonce: str | None
    pid: int
    start_time: int
    boot_id: str
    started_at: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    state: RunState = RunState.RUNNING
    exit_code: int | None = None
    finished_at: str | None = None
    error: str | None = None
    ended: tuple[Mapping[str, Any], ...] = ()
    left: int = 0

    @property
    def identity(self) -> ProcessIdentity:
        """The runner's process."""
        return ProcessIdentity(self.pid, self.start_time, self.boot_id)


class ControlMessage(Struct, frozen=True):
    """One file of `control/`: its name (which orders it), its type and the whole object."""

    name: str
    type: str
    body: Mapping[str, Any]


class Launch(Struct, frozen=True):
    """What the server hands to a runner that it starts."""

    nonce: str
    run_id: str


class RunDirectory(Struct, frozen=True):
    """The paths of one working directory."""

    root: Path

    @property
    def records(self) -> Path:
        """`.oxo-flow/`, where everything that is ours is kept."""
        return self.root / ".oxo-flow"

    @property
    def run_json(self) -> Path:
        return self.records / "run.json"

    @property
    def events(self) -> Path:
        return self.records / "events.jsonl"

    @property
    def control(self) -> Path:
        return self.records / "control"

    @property
    def logs(self) -> Path:
        return self.records / "logs"

    @property
    def state(self) -> Path:
        return self.records / "state.sqlite"

    @property
    def lock(self) -> Path:
        return self.records / "lock"

    @property
    def started(self) -> Path:
        """Which commands the last run started (`journal`)."""
        return self.records / "started"

    @property
    def execution_log(self) -> Path:
        return self.root / "execution.log"

    def create(self) -> None:
        """Make the directories that a run needs; raises DiskTrouble."""
        try:
            for path in (self.records, self.control, self.logs):
                path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise trouble(self.records, error) from error

    def job_logs(self, job: str) -> tuple[Path, Path]:
        """The files that take a job's stdout and stderr."""
        name = log_name(job)
        return self.logs / f"{name}.out", self.logs / f"{name}.err"

    def write_run(self, record: RunRecord) -> None:
        """Replace `run.json`; raises DiskTrouble."""
        body = asdict(record) | {"schema": 1, "state": record.state.value}
        replace_file(self.run_json, json.dumps(body, indent=1).encode())

    def read_run(self) -> RunRecord | None:
        """The run recorded here; None when there is none or the file is not ours."""
        body = _read_object(self.run_json, _RECORD_LIMIT)
        if body is None:
            return None
        try:
            known = {item.name for item in fields(RunRecord)}
            values = {key: value for key, value in body.items() if key in known}
            values["state"] = RunState(values["state"])
            values["ended"] = tuple(dict(item) for item in values.get("ended") or ())
            record = RunRecord(**values)
        except (KeyError, TypeError, ValueError):
            return None
        well_typed = (
            isinstance(record.run_id, str)
            and type(record.pid) is int
            and type(record.start_time) is int
            and isinstance(record.boot_id, str)
            and isinstance(record.settings, dict)
        )
        return record if well_typed else None


def log_name(job: str) -> str:
    """A job's name as a file name: percent-encoded, and cut at 200 bytes with a hash behind."""
    if _PLAIN_NAME.fullmatch(job):
        return job
    name = quote(job, safe="").replace("~", "%7E")
    if len(name) <= _NAME_LIMIT:
        return name
    return f"{name[:_NAME_LIMIT]}-{hashlib.sha256(job.encode()).hexdigest()[:16]}"


class WorkdirLock:
    """The exclusive right to run in a directory (spec 5.12); the kernel ends it with its owner.

    It is a POSIX lock: closing *any* descriptor of the file in this process gives it up, so the
    process that holds it must never call `lock_holder` on the same directory.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock or raise WorkdirLocked at once, naming the holder."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise trouble(self._path, error) from error
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            try:
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise trouble(self._path, error) from error  # nobody can lock there
                holder = _query(descriptor)
            finally:
                os.close(descriptor)
            who = f"process {holder}" if holder else "another process"
            raise WorkdirLocked(
                f"'{self._path.parent.parent}' is in use by a run of {who}; wait for it, or stop "
                "it with 'oxoflow cancel'"
            ) from error
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back; the file stays."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def lock_holder(path: Path) -> int | None:
    """The pid of the process that holds a lock file; takes nothing. None when it is free.

    Raises DiskTrouble where the file system knows no locks.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return _query(descriptor)
    except OSError as error:
        raise trouble(path, error) from error
    finally:
        os.close(descriptor)


def _query(descriptor: int) -> int | None:
    question = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, question))
    return None if kind == fcntl.F_UNLCK else int(pid)


def write_control(directory: Path, body: Mapping[str, Any]) -> str:
    """Leave a message for the runner, after all that are there; returns its file name."""
    directory.mkdir(parents=True, exist_ok=True)
    last = max((_number(name) for name in os.listdir(directory)), default=0)
    name = f"{last + 1:06d}-{new_id()}.json"
    replace_file(directory / name, json.dumps(dict(body)).encode())
    return name


def read_control(directory: Path, seen: Iterable[str] = ()) -> list[ControlMessage]:
    """The messages that are not in `seen`, in order; what is no message is left out."""
    known = set(seen)
    try:
        names = sorted(n for n in os.listdir(directory) if n.endswith(".json") and n[0] != ".")
    except OSError:
        return []
    messages = []
    for name in names:
        if name not in known:
            body = _read_object(directory / name, _CONTROL_LIMIT)
            if body is not None and isinstance(body.get("type"), str):
                messages.append(ControlMessage(name, body["type"], body))
    return messages


def _number(name: str) -> int:
    digits = name.partition("-")[0]
    return int(digits) if digits.isascii() and digits.isdigit() else 0


def _read_object(path: Path, limit: int) -> dict[str, Any] | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as handle:
            content = handle.read(limit + 1)
        body = json.loads(content) if len(content) <= limit else None
    except (OSError, ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def await_launch(text: str) -> Launch | None:
    """Wait for the server's word (`--launch NONCE:FD:RUN_ID`); None: it went away, do nothing."""
    nonce, _, rest = text.partition(":")
    number, _, run_id = rest.partition(":")
    if not (nonce and number.isascii() and number.isdigit() and run_id):
        raise UsageError("--launch takes NONCE:FD:RUN_ID and is used by the server only")
    descriptor = int(number)
    try:
        word = os.read(descriptor, 1)
    except OSError as error:
        raise UsageError(f"--launch: descriptor {descriptor} cannot be read") from error
    finally:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    return Launch(nonce, run_id) if word else None
