"""Open `.oxo-flow/state.sqlite` with the tables of this version, whichever one made it.

Owns the file's DDL and the steps from earlier versions of it. What is in the tables, `state` says.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from oxoflow.engine.disk import sync
from oxoflow.errors import RunError

SCHEMA_VERSION = 3
_CONTENTS = """contents (path TEXT PRIMARY KEY, listing TEXT NOT NULL) WITHOUT ROWID;"""
_DDL = f"""
-- One row a job: all that planning needs, narrow so that one scan is cheap.
CREATE TABLE jobs (
  job TEXT PRIMARY KEY, rule TEXT NOT NULL,
  status TEXT NOT NULL,             -- planned, started, done, failed
  key TEXT, static TEXT,            -- of the last verified result; static: key without inputs
  removed INTEGER NOT NULL DEFAULT 0,  -- outputs of a temporary rule, deleted on purpose
  started_at REAL, finished_at REAL, exit_code INTEGER, attempts INTEGER,
  wall_s REAL, cpu_s REAL, peak_mb REAL, read_bytes INTEGER, written_bytes INTEGER
) WITHOUT ROWID;
-- What a person asks about one job: the parts of its key, its command, why it failed.
CREATE TABLE details (
  job TEXT PRIMARY KEY, parts TEXT, command TEXT, error TEXT, stderr_tail TEXT,
  snapshot TEXT,                    -- outputs as they were before the last start
  run TEXT,                         -- the run that made the last verified result
  environment TEXT,                 -- what it ran in, with versions (JSON)
  origin TEXT                       -- the run it was taken from instead (JSON)
);
-- Whose result each file is, as it was when verified.
CREATE TABLE outputs (
  path TEXT PRIMARY KEY, job TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
  checksum TEXT                     -- md5:... or sha256:..., where a rule asks for it
) WITHOUT ROWID;
-- What was in an output that is a directory, when it was verified: see `contents`.
CREATE TABLE {_CONTENTS}
-- Content of files by their identity, so that an unchanged file is never read twice.
CREATE TABLE files (
  path TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
  ctime_ns INTEGER NOT NULL, inode INTEGER NOT NULL, sha256 TEXT NOT NULL
) WITHOUT ROWID;
-- Results declared valid by a person after an edit.
CREATE TABLE accepted (
  job TEXT NOT NULL, at REAL NOT NULL, who TEXT NOT NULL, old_key TEXT, key TEXT NOT NULL
);
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_STEPS: Mapping[int, str] = {
    1: """
ALTER TABLE details ADD COLUMN run TEXT;
ALTER TABLE details ADD COLUMN environment TEXT;
ALTER TABLE details ADD COLUMN origin TEXT;
ALTER TABLE outputs ADD COLUMN checksum TEXT;
""",
    2: f"CREATE TABLE {_CONTENTS}",
}


class Unborn(Exception):
    """A state file without tables: nothing is known yet."""


def connect(path: Path | None, read_only: bool) -> sqlite3.Connection:
    """Connect to a state file, or to one in memory; raises Unborn and RunError."""
    if path is None or not read_only:
        return _prepared(str(path or ":memory:"), path, create=True)
    uri = path.absolute().as_uri()
    try:
        return _prepared(f"{uri}?mode=ro", path, create=False)
    except sqlite3.OperationalError:
        # a directory in which we may not write: SQLite cannot share it, but it can be read
        return _prepared(f"{uri}?mode=ro&immutable=1", path, create=False)


def _prepared(target: str, path: Path | None, *, create: bool) -> sqlite3.Connection:
    """Connect, make the tables of a new file, and refuse one of another version."""
    connection = sqlite3.connect(
        target, uri=not create, isolation_level=None, check_same_thread=False, timeout=10
    )
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0 and create:
            _make_tables(connection, path)
        elif version in _STEPS:
            connection = _brought_up(connection, version, in_place=create)
        elif version == 0:
            raise Unborn  # its first writer has not made the tables yet
        elif version != SCHEMA_VERSION:
            raise RunError(
                f"'{path}' was written by another version of oxoflow (format {version}, this one "
                f"reads {SCHEMA_VERSION}); use that version, or move the file away"
            )
    except BaseException:
        connection.close()
        raise
    return connection


def _make_tables(connection: sqlite3.Connection, path: Path | None) -> None:
    """Make the tables of a new file, and bring its beginning to the disk in one go.

    SQLite would sync it seven times. There is nothing to lose yet: without the log beside it, which
    is synced with the first jobs that are planned, the file has no tables and is made anew.
    """
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(
        f"BEGIN IMMEDIATE; {_DDL} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
    )
    connection.execute("PRAGMA synchronous = FULL")
    if path is not None:
        sync(path)
        sync(path.parent)


def _brought_up(
    connection: sqlite3.Connection, version: int, *, in_place: bool
) -> sqlite3.Connection:
    """Add what came later; beside a file that may only be read, or in a copy of it in memory."""
    if not in_place and version == 2:
        connection.execute(f"CREATE TEMP TABLE {_CONTENTS}")
        return connection
    if not in_place:
        with contextlib.closing(connection) as old:
            connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            old.backup(connection)
    steps = " ".join(_STEPS[at] for at in range(version, SCHEMA_VERSION))
    connection.executescript(
        f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
    )
    return connection
