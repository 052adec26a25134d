"""Keep what is known about a working directory's jobs in `.oxo-flow/state.sqlite`.

Owns the file's queries and the records they take and give (design, section 5); its tables are in
`statetables`. One thread writes, in batches; nothing here decides whether a job must run.

A job is `planned` on disk before the first command of its run starts, `started` before its own
command, and `done` only after its outputs were verified: what a crash leaves is never `done`.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import starmap
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import asdict, replace

from oxoflow.engine.files import DIRECTORY_SIZE
from oxoflow.engine.records import (
    Accepted,
    Change,
    Detail,
    Done,
    Failed,
    FileHash,
    Forgotten,
    Known,
    ListedOutput,
    OutputRecord,
    Planned,
    Record,
    Removed,
    Started,
)
from oxoflow.engine.statetables import Unborn, connect
from oxoflow.errors import DiskTrouble, RunError

_Row = TypeVar("_Row", Record, Known, OutputRecord, FileHash)
_STATEMENTS: Mapping[type, tuple[str, ...]] = {
    Planned: (
        # what is known already says more: done has a key, started and failed are not trusted
        "INSERT OR IGNORE INTO jobs (job, rule, status) VALUES (:job, :rule, 'planned')",
    ),
    Started: (
        "INSERT INTO jobs (job, rule, status, started_at) VALUES (:job, :rule, 'started', :at)"
        " ON CONFLICT (job) DO UPDATE SET status = 'started', rule = :rule, started_at = :at",
        "INSERT INTO details (job, snapshot) VALUES (:job, :snapshot)"
        " ON CONFLICT (job) DO UPDATE SET snapshot = :snapshot",
    ),
    Done: (
        "INSERT OR REPLACE INTO jobs (job, rule, status, key, static, started_at, finished_at,"
        " exit_code, attempts, wall_s, cpu_s, peak_mb, read_bytes, written_bytes) VALUES"
        " (:job, :rule, 'done', :key, :static, :started_at, :finished_at, :exit_code, :attempts,"
        " :wall_s, :cpu_s, :peak_mb, :read_bytes, :written_bytes)",
        "INSERT OR REPLACE INTO details (job, parts, command, run, environment, origin)"
        " VALUES (:job, :parts, :command, :run, :environment, :origin)",
    ),
    Failed: (
        "INSERT INTO jobs (job, rule, status, started_at, finished_at, exit_code, attempts,"
        " wall_s, cpu_s, peak_mb, read_bytes, written_bytes) VALUES"
        " (:job, :rule, 'failed', :started_at, :finished_at, :exit_code, :attempts,"
        " :wall_s, :cpu_s, :peak_mb, :read_bytes, :written_bytes)"
        " ON CONFLICT (job) DO UPDATE SET rule = :rule, status = 'failed',"
        " started_at = :started_at, finished_at = :finished_at, exit_code = :exit_code,"
        " attempts = :attempts, wall_s = :wall_s, cpu_s = :cpu_s, peak_mb = :peak_mb,"
        " read_bytes = :read_bytes, written_bytes = :written_bytes",
        "INSERT INTO details (job, command, error, stderr_tail, environment) VALUES"
        " (:job, :command, :error, :stderr_tail, :environment) ON CONFLICT (job) DO UPDATE SET"
        " command = :command, error = :error, stderr_tail = :stderr_tail, snapshot = NULL,"
        " environment = :environment, origin = NULL",
    ),
    FileHash: (
        "INSERT OR REPLACE INTO files (path, size, mtime_ns, ctime_ns, inode, sha256)"
        " VALUES (:path, :size, :mtime_ns, :ctime_ns, :inode, :sha256)",
    ),
    Removed: ("UPDATE jobs SET removed = 1 WHERE job = :job",),
    Forgotten: (
        "DELETE FROM jobs WHERE job = :job",
        "DELETE FROM details WHERE job = :job",
    ),
    Accepted: (
        "INSERT INTO jobs (job, rule, status, key, static) VALUES (:job, :rule, 'done', :key,"
        " :static) ON CONFLICT (job) DO UPDATE SET status = 'done', key = :key, static = :static",
        "INSERT INTO details (job, parts) VALUES (:job, :parts)"
        " ON CONFLICT (job) DO UPDATE SET parts = :parts",
        "INSERT INTO accepted (job, at, who, old_key, key)"
        " VALUES (:job, :at, :who, :old_key, :key)",
    ),
}
_INSERT_OUTPUT = (
    "INSERT OR REPLACE INTO outputs (path, job, size, mtime_ns, checksum) VALUES (?, ?, ?, ?, ?)"
)
_INSERT_CONTENTS = "INSERT OR REPLACE INTO contents (path, listing) VALUES (?, ?)"


class State:
    """The open state file of one working directory.

    `State(path)` creates what is missing; `State.view(path)` writes nothing and is empty when
    there is no file. One lock guards the connection, so any thread may call any method.
    """

    def __init__(self, path: Path | None, *, read_only: bool = False) -> None:
        self._path = path
        self._lock = threading.Lock()
        with self._troubles():
            self._connection = connect(path, read_only)

    @classmethod
    def view(cls, path: Path) -> State:
        """Open for reading only; an absent file reads as an empty state."""
        if not path.exists():
            return cls(None)
        try:
            return cls(path, read_only=True)
        except Unborn:
            return cls(None)

    def close(self) -> None:
        """Fold the write-ahead log into the file, so that a plain copy of it is whole."""
        with self._lock, self._troubles():
            self._connection.close()

    def records(self) -> dict[str, Record]:
        """Give the narrow record of every job."""
        rows = self._all(
            "SELECT job, rule, status, key, static, removed, started_at, finished_at, exit_code,"
            " attempts, wall_s, cpu_s, peak_mb, read_bytes, written_bytes FROM jobs"
        )
        return _by_name(Record, rows)

    def known(self) -> dict[str, Known]:
        """Give what planning needs of every job, in one scan."""
        rows = self._all("SELECT job, status, key, static, removed FROM jobs")
        return _by_name(Known, rows)

    def outputs(self) -> dict[str, OutputRecord]:
        """Give the recorded outputs by path."""
        rows = self._all("SELECT path, job, size, mtime_ns, checksum FROM outputs")
        return _by_name(OutputRecord, rows)

    def output_globs(self) -> list[str]:
        """Give the outputs of finished jobs that are globs: what they match is on no record."""
        rows = self._all(
            "SELECT DISTINCT value FROM jobs JOIN details USING (job),"
            " json_each(iif(json_valid(parts), parts, '{}'), '$.output')"
            " WHERE status = 'done' AND value GLOB '*[*?[]*'"
        )
        return [row[0] for row in rows]

    def contents(self, path: str) -> str | None:
        """Give what an output that is a directory held when it was verified (JSON)."""
        rows = self._all("SELECT listing FROM contents WHERE path = ?", path)
        return rows[0][0] if rows else None

    def files(self) -> dict[str, FileHash]:
        """Give the known contents by path."""
        rows = self._all("SELECT path, size, mtime_ns, ctime_ns, inode, sha256 FROM files")
        return _by_name(FileHash, rows)

    def detail(self, job: str) -> Detail:
        """Give what is known about one job beyond its record; all None when unknown."""
        rows = self._all(
            "SELECT parts, command, error, stderr_tail, snapshot, run, environment, origin"
            " FROM details WHERE job = ?",
            job,
        )
        return Detail(*rows[0]) if rows else Detail()

    def bound(self, seconds: float, largest: int) -> None:
        """End queries after a time, and refuse values of more bytes: for a file of others."""
        until = time.monotonic() + seconds
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, largest)
        self._connection.set_progress_handler(lambda: time.monotonic() > until, 10_000)

    def told(self, job: str, longest: int) -> Detail:
        """Give how a job ran: the first characters of its command, and where its result is from."""
        rows = self._all(
            "SELECT substr(command, 1, ?), run, environment, origin FROM details WHERE job = ?",
            longest,
            job,
        )
        command, run, environment, origin = rows[0] if rows else (None,) * 4
        return Detail(command=command, run=run, environment=environment, origin=origin)

    def listed_outputs(self, most: int) -> tuple[list[ListedOutput], int]:
        """Give the first verified outputs by path, and how many there are."""
        verified = "FROM outputs JOIN jobs USING (job) WHERE jobs.status = 'done'"
        rows = self._all(
            "SELECT path, job, size, mtime_ns, checksum, (SELECT sha256 FROM files WHERE"
            " files.path = outputs.path AND files.size = outputs.size"
            f" AND files.mtime_ns = outputs.mtime_ns), removed {verified} ORDER BY path LIMIT ?",
            most,
        )
        return list(starmap(ListedOutput, rows)), self._all(f"SELECT count(*) {verified}")[0][0]

    def rule_of(self, job: str) -> str | None:
        """Give the rule that a job was made from; None for a job that is not known."""
        rows = self._all("SELECT rule FROM jobs WHERE job = ?", job)
        return rows[0][0] if rows else None

    def commands(self) -> dict[str, str]:
        """Give the last command of every job that has run."""
        return dict(self._all("SELECT job, command FROM details WHERE command IS NOT NULL"))

    def accepted(self, job: str) -> list[tuple[float, str]]:
        """Give when and by whom results of a job were accepted, oldest first."""
        return self._all("SELECT at, who FROM accepted WHERE job = ? ORDER BY at", job)

    def acceptance(self, job: str) -> tuple[float, str] | None:
        """Give when and by whom the present result of a job was accepted; None when it ran."""
        rows = self._all(
            "SELECT at, who FROM accepted JOIN jobs USING (job) WHERE job = ?"
            " AND accepted.key = jobs.key AND at >= ifnull(finished_at, 0)"
            " ORDER BY at DESC LIMIT 1",
            job,
        )
        return (rows[0][0], rows[0][1]) if rows else None

    def meta(self, name: str) -> str | None:
        """Give a named text kept with the state."""
        rows = self._all("SELECT value FROM meta WHERE name = ?", name)
        return str(rows[0][0]) if rows else None

    def set_meta(self, name: str, value: str) -> None:
        """Keep a text under a name."""
        with self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def apply(self, changes: Sequence[Change]) -> None:
        """Write changes in one transaction, in the order of their kinds (a start before an end).

        A job may start and end within one batch, but not twice. Raises DiskTrouble.
        """
        try:
            self._apply(changes)
        except UnicodeEncodeError:  # of a file's name that is not UTF-8
            self._apply([kept for kept in map(_as_text, changes) if kept is not None])

    def _apply(self, changes: Sequence[Change]) -> None:
        by_kind: dict[type, list[Change]] = {}
        for change in changes:
            by_kind.setdefault(type(change), []).append(change)
        # what nobody may lose to a power cut is synced: a job that was planned is never adopted
        durable = Planned in by_kind
        with self._transaction(durable=durable) as connection:
            for kind, statements in _STATEMENTS.items():
                rows = [asdict(change) for change in by_kind.get(kind, ())]
                for statement in statements:
                    connection.executemany(statement, rows)
            outputs = [
                output
                for change in changes
                if isinstance(change, Done | Accepted)
                for output in change.outputs
            ]
            files = [(o.path, o.job, o.size, o.mtime_ns, o.checksum) for o in outputs]
            connection.executemany(_INSERT_OUTPUT, files)
            held = [(o.path, o.contents or "{}") for o in outputs if o.size == DIRECTORY_SIZE]
            connection.executemany(_INSERT_CONTENTS, held)

    def mark_planned(self, rows: Sequence[Planned]) -> None:
        """Record, durably, which jobs a run is about to touch; call before the first command."""
        self.apply(rows)

    def mark_started(self, rows: Sequence[Started]) -> None:
        """Record that commands are about to start."""
        self.apply(rows)

    def mark_done(self, rows: Sequence[Done]) -> None:
        """Record verified results."""
        self.apply(rows)

    def mark_failed(self, rows: Sequence[Failed]) -> None:
        """Record jobs that ended without a result."""
        self.apply(rows)

    def _all(self, query: str, *values: Any) -> list[Any]:
        with self._lock, self._troubles():
            return self._connection.execute(query, values).fetchall()

    @contextlib.contextmanager
    def _transaction(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        with self._lock, self._troubles():
            connection = self._connection
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _troubles(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise DiskTrouble(
                f"'{self._path}' could not be used: {error}; check that the disk has room and is "
                "writable, then run again: finished jobs are kept",
                detail=str(error),
            ) from error
        except sqlite3.DatabaseError as error:
            raise RunError(
                f"'{self._path}' is damaged ({error}); move it away and run again: results newer "
                "than their inputs are then taken over"
            ) from error


def _as_text(change: Change) -> Change | None:
    """Give a change as SQLite can keep it; None for a file that would be known by another name."""
    if isinstance(change, FileHash) and _plain(change.path) != change.path:
        return None
    texts = {name: value for name, value in asdict(change).items() if isinstance(value, str)}
    change = replace(change, **{name: _plain(value) for name, value in texts.items()})
    if isinstance(change, Done | Accepted):
        known = (each for each in change.outputs if _plain(each.path) == each.path)
        change = replace(change, outputs=tuple(replace(o, job=change.job) for o in known))
    return change


def _plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _by_name(kind: type[_Row], rows: Iterable[tuple[Any, ...]]) -> dict[str, _Row]:
    """Give rows as records by their first column."""
    return {row[0]: kind(*row) for row in rows}
