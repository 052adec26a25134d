"""The database: group commit, savepoints, trouble that passes, and a private file."""

import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from oxoflow.db import Database, DatabaseTrouble
from oxoflow.db.schema import SCHEMA_VERSION
from oxoflow.errors import OxoflowError
from tests.patience import PATIENCE


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "x.db", busy_ms=50)
    yield database
    database.close()


def put(name: str, value: str = "v") -> Callable[[sqlite3.Connection], object]:
    return lambda connection: connection.execute(
        "INSERT INTO settings VALUES (?, ?)", (name, value)
    )


def names(db: Database) -> list[str]:
    return [row["name"] for row in db.read().execute("SELECT name FROM settings ORDER BY name")]


def test_a_result_is_returned_after_its_commit(db: Database) -> None:
    def work(connection: sqlite3.Connection) -> int:
        return connection.execute("INSERT INTO settings VALUES ('a', '1') RETURNING 7").fetchone()[
            0
        ]

    assert db.write(work) == 7
    assert names(db) == ["a"]


def test_the_file_is_private_durable_and_checked(db: Database) -> None:
    for path in db.path.parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path

    def pragmas(connection: sqlite3.Connection) -> list[object]:
        asked = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "user_version")
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in asked]

    assert db.write(pragmas) == ["wal", 2, 1, 50, SCHEMA_VERSION]


def test_a_failing_function_takes_nobody_with_it(db: Database) -> None:
    gate = threading.Event()

    def fail(connection: sqlite3.Connection) -> None:
        put("half")(connection)
        raise ValueError("on purpose")

    blocker = db.submit(lambda connection: gate.wait(PATIENCE) and None)
    before, failing, after = db.submit(put("a")), db.submit(fail), db.submit(put("b"))
    gate.set()  # now the three behind the blocker make one group
    blocker.result()
    before.result()
    after.result()
    with pytest.raises(ValueError, match="on purpose"):
        failing.result()
    assert names(db) == ["a", "b"]


def test_nothing_of_a_group_is_seen_before_its_commit(db: Database) -> None:
    entered, gate = threading.Event(), threading.Event()

    def work(connection: sqlite3.Connection) -> None:
        put("a")(connection)
        entered.set()
        gate.wait(PATIENCE)

    future = db.submit(work)
    assert entered.wait(PATIENCE)
    assert names(db) == []
    gate.set()
    future.result()
    assert names(db) == ["a"]


def test_many_threads_write_without_a_lock_error(db: Database) -> None:
    def work(number: int) -> None:
        for step in range(20):
            db.write(put(f"{number}-{step}"))

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))
    assert len(names(db)) == 320


def test_a_function_may_not_write_again(db: Database) -> None:
    with pytest.raises(RuntimeError, match="may not write again"):
        db.write(lambda connection: db.write(put("a")))


def test_readers_cannot_write(db: Database) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        put("a")(db.read())


def test_each_thread_keeps_its_reader(db: Database) -> None:
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(db.read).result()
        assert pool.submit(db.read).result() is other
    assert db.read() is db.read()
    assert db.read() is not other


def test_a_lock_held_by_another_process_is_trouble_that_passes(db: Database) -> None:
    other = sqlite3.connect(db.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseTrouble, match="cannot be written") as caught:
        db.write(put("a"))
    assert "locked" in (caught.value.detail or "")
    other.execute("ROLLBACK")
    other.close()
    db.write(put("b"))
    assert names(db) == ["b"]


def test_a_full_disk_is_trouble_that_passes(db: Database) -> None:
    db.write(put("a"))

    def limit(connection: sqlite3.Connection, pages: int) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")

    pages = db.read().execute("PRAGMA page_count").fetchone()[0]
    db.write(lambda connection: limit(connection, pages))
    with pytest.raises((DatabaseTrouble, sqlite3.OperationalError), match=r"full|cannot be"):
        db.write(put("big", "x" * 1_000_000))
    assert names(db) == ["a"]
    db.write(lambda connection: limit(connection, 1_000_000))
    db.write(put("big", "x" * 1_000_000))
    assert names(db) == ["a", "big"]
    assert db.read().execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_close_finishes_what_waits_and_refuses_more(tmp_path: Path) -> None:
    db = Database(tmp_path / "x.db")
    futures = [db.submit(put(str(number))) for number in range(50)]
    db.close()
    db.close()
    assert all(future.result() for future in futures)
    with pytest.raises(DatabaseTrouble):
        db.write(put("late"))
    again = Database(tmp_path / "x.db")
    assert len(names(again)) == 50
    again.close()


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(OxoflowError, match=r"schema version 999.*newer oxoflow"):
        Database(path)


def test_deleting_a_user_deletes_what_it_owns(db: Database) -> None:
    def work(connection: sqlite3.Connection) -> None:
        connection.execute(
            "INSERT INTO users (id, username, role, created_at, updated_at)"
            " VALUES ('u', 'u', 'user', 't', 't')"
        )
        connection.execute("INSERT INTO sessions VALUES ('h', 'u', 't', 't', NULL, NULL)")
        connection.execute("DELETE FROM users")

    db.write(work)
    assert db.read().execute("SELECT count(*) FROM sessions").fetchone()[0] == 0
