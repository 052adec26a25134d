"""Name the records that the state file takes and gives: what is known, and what changed.

Tens of thousands are made at once, so the garbage collector is not told of them: they hold texts,
numbers and each other, never in a circle. Owns no storage and no decision.
"""

from __future__ import annotations

from msgspec import Struct


class Record(Struct, frozen=True, gc=False):
    """What is known about one job. `status` is planned, started, done or failed.

    `key` and `static` belong to the last verified result, also while a later attempt runs.
    """

    job: str
    rule: str
    status: str
    key: str | None = None
    static: str | None = None
    removed: int = 0
    started_at: float | None = None
    finished_at: float | None = None
    exit_code: int | None = None
    attempts: int | None = None
    wall_s: float | None = None
    cpu_s: float | None = None
    peak_mb: float | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None


class Known(Struct, frozen=True, gc=False):
    """The few columns of a record that planning needs."""

    job: str
    status: str
    key: str | None
    static: str | None
    removed: int


class Detail(Struct, frozen=True, gc=False):
    """What a person asks about a job; `parts` is JSON, see `fingerprint`."""

    parts: str | None = None
    command: str | None = None
    error: str | None = None
    stderr_tail: str | None = None
    snapshot: str | None = None
    run: str | None = None
    environment: str | None = None
    origin: str | None = None


class OutputRecord(Struct, frozen=True, gc=False):
    """A verified output: whose it is, its size in bytes and its time; -1 for a directory's size.

    `checksum` is what the rule's `checksum` asked for, as `md5:...` or `sha256:...`; `contents` is
    what a directory holds (JSON), for the state to keep.
    """

    path: str
    job: str
    size: int
    mtime_ns: int
    checksum: str | None = None
    contents: str | None = None


class ListedOutput(Struct, frozen=True, gc=False):
    """A verified output with its content, where that is known, and whether it was deleted since.

    `removed` is 1 for an output of a temporary rule that was deleted on purpose.
    """

    path: str
    job: str
    size: int
    mtime_ns: int
    checksum: str | None
    sha256: str | None
    removed: int


class FileHash(Struct, frozen=True, gc=False):
    """The content of a file, valid as long as the four figures are those of the file."""

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    sha256: str


class Planned(Struct, frozen=True, gc=False):
    """A run is going to decide about this job; without effect on one that is done."""

    job: str
    rule: str


class Started(Struct, frozen=True, gc=False):
    """The job's command is about to start; `snapshot` says (as JSON) which outputs were there."""

    job: str
    rule: str
    at: float
    snapshot: str | None = None


class Done(Struct, frozen=True, gc=False):
    """The job's outputs were verified (or taken over: then `exit_code` is None).

    `run` made them in `environment` (JSON), or took them from `origin` (JSON).
    """

    job: str
    rule: str
    key: str
    static: str
    parts: str
    outputs: tuple[OutputRecord, ...] = ()
    started_at: float | None = None
    finished_at: float | None = None
    exit_code: int | None = None
    attempts: int | None = None
    command: str | None = None
    wall_s: float | None = None
    cpu_s: float | None = None
    peak_mb: float | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None
    run: str | None = None
    environment: str | None = None
    origin: str | None = None


class Failed(Struct, frozen=True, gc=False):
    """The job ended without a result; its outputs are not to be trusted.

    `environment` (JSON) is the one that its last command ran in.
    """

    job: str
    rule: str
    started_at: float | None = None
    finished_at: float | None = None
    exit_code: int | None = None
    attempts: int | None = None
    command: str | None = None
    error: str | None = None
    stderr_tail: str | None = None
    wall_s: float | None = None
    cpu_s: float | None = None
    peak_mb: float | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None
    environment: str | None = None


class Removed(Struct, frozen=True, gc=False):
    """The outputs of a temporary rule were deleted on purpose; its result stays known."""

    job: str


class Forgotten(Struct, frozen=True, gc=False):
    """Drop what is known about a job."""

    job: str


class Accepted(Struct, frozen=True, gc=False):
    """A person declared the present outputs valid for the present definition."""

    job: str
    rule: str
    at: float
    who: str
    old_key: str | None
    key: str
    static: str
    parts: str
    outputs: tuple[OutputRecord, ...] = ()


Change = Planned | Started | Done | Failed | FileHash | Removed | Forgotten | Accepted
