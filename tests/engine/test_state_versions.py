"""State files of earlier versions are read, and taken over by the first run that writes."""

import contextlib
import sqlite3

import pytest

from oxoflow.engine.records import Detail, Done, OutputRecord
from oxoflow.engine.rundir import RunDirectory
from oxoflow.engine.state import State
from oxoflow.engine.statetables import SCHEMA_VERSION
from tests.engine.running import execute, records, rule

# The tables as version 1 made them.
VERSION_1 = """
CREATE TABLE jobs (
  job TEXT PRIMARY KEY, rule TEXT NOT NULL, status TEXT NOT NULL, key TEXT, static TEXT,
  removed INTEGER NOT NULL DEFAULT 0,
  started_at REAL, finished_at REAL, exit_code INTEGER, attempts INTEGER,
  wall_s REAL, cpu_s REAL, peak_mb REAL, read_bytes INTEGER, written_bytes INTEGER
) WITHOUT ROWID;
CREATE TABLE details (
  job TEXT PRIMARY KEY, parts TEXT, command TEXT, error TEXT, stderr_tail TEXT, snapshot TEXT
);
CREATE TABLE outputs (
  path TEXT PRIMARY KEY, job TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE files (
  path TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
  ctime_ns INTEGER NOT NULL, inode INTEGER NOT NULL, sha256 TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE accepted (
  job TEXT NOT NULL, at REAL NOT NULL, who TEXT NOT NULL, old_key TEXT, key TEXT NOT NULL
);
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
PRAGMA user_version = 1;
"""
VERSION_2 = f"""{VERSION_1}
ALTER TABLE details ADD COLUMN run TEXT;
ALTER TABLE details ADD COLUMN environment TEXT;
ALTER TABLE details ADD COLUMN origin TEXT;
ALTER TABLE outputs ADD COLUMN checksum TEXT;
PRAGMA user_version = 2;
"""
VERSIONS = {1: VERSION_1, 2: VERSION_2}
ROWS = """
INSERT INTO jobs (job, rule, status, key, static, wall_s) VALUES ('a', 'r', 'done', 'k', 's', 2.5);
INSERT INTO details (job, parts, command) VALUES ('a', '{"command":"x"}', 'x');
INSERT INTO outputs (path, job, size, mtime_ns) VALUES ('a.txt', 'a', 3, 77);
INSERT INTO files VALUES ('a.txt', 3, 77, 78, 9, 'abc');
INSERT INTO accepted VALUES ('a', 5.0, 'me', NULL, 'k');
INSERT INTO meta VALUES ('reentries', '[]');
"""


@pytest.fixture(params=VERSIONS)
def old(tmp_path, request):
    path = tmp_path / "state.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(VERSIONS[request.param] + ROWS)
    return path


def version_of(path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


def shape_of(path) -> dict[str, list[tuple]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master")]
        return {
            name: [row[1:] for row in connection.execute(f"PRAGMA table_info({name})")]
            for name in names
            if not name.startswith("sqlite_")
        }


def assert_nothing_is_lost(state: State) -> None:
    record = state.records()["a"]
    assert (record.rule, record.status, record.key, record.wall_s) == ("r", "done", "k", 2.5)
    assert state.detail("a") == Detail('{"command":"x"}', "x")
    assert state.outputs() == {"a.txt": OutputRecord("a.txt", "a", 3, 77)}
    assert state.files()["a.txt"].sha256 == "abc"
    assert state.accepted("a") == [(5.0, "me")]
    assert state.meta("reentries") == "[]"


def test_a_writer_takes_an_earlier_version_over_with_all_that_is_in_it(old, tmp_path):
    state = State(old)
    assert_nothing_is_lost(state)
    state.mark_done(
        [Done("b", "r", "k2", "s", "{}", (OutputRecord("b", "b", 1, 1, "md5:x"),), run="run-1")]
    )
    assert state.contents("b") is None
    assert state.detail("b").run == "run-1"
    assert state.outputs()["b"].checksum == "md5:x"
    state.close()
    assert version_of(old) == SCHEMA_VERSION
    State(tmp_path / "new.sqlite").close()
    assert shape_of(old) == shape_of(tmp_path / "new.sqlite")


def test_a_reader_sees_an_earlier_version_and_changes_nothing(old):
    before, version = old.read_bytes(), version_of(old)
    state = State.view(old)
    assert_nothing_is_lost(state)
    assert state.contents("a.txt") is None
    state.close()
    assert old.read_bytes() == before
    assert version_of(old) == version


def test_a_take_over_that_is_cut_short_leaves_the_old_version(old):
    with contextlib.closing(sqlite3.connect(old)) as connection:
        connection.executescript("BEGIN IMMEDIATE; ALTER TABLE details ADD COLUMN other TEXT;")
    assert version_of(old) < SCHEMA_VERSION
    state = State(old)
    assert_nothing_is_lost(state)
    state.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_run_over_an_earlier_version_repeats_nothing(tmp_path, version):
    """What a run of this version left, put back into the tables of an earlier one."""
    text = rule("a", "echo a > a", output=["a"]) + rule("b", "cp a b", input=["a"], output=["b"])
    assert execute(tmp_path, text).exit_code == 0
    path, old = RunDirectory(tmp_path).state, tmp_path / "old.sqlite"
    with contextlib.closing(sqlite3.connect(old)) as connection:
        connection.executescript(VERSIONS[version])
        connection.execute("ATTACH ? AS now", (str(path),))
        for table, columns in shape_of(old).items():
            names = ", ".join(column[0] for column in columns)
            connection.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM now.{table}")
        connection.commit()
    old.replace(path)
    assert version_of(path) < SCHEMA_VERSION
    assert execute(tmp_path, text).counts.skipped == 2
    assert version_of(path) == SCHEMA_VERSION
    assert records(tmp_path)["b"].status == "done"
