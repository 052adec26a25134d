"""The schema and its versions: a home that an earlier oxoflow wrote is opened with all it holds."""

import hashlib
import re
import sqlite3
from pathlib import Path

import pytest

from oxoflow.db import Database, schema
from oxoflow.db.home import open_database
from oxoflow.errors import OxoflowError, UsageError

# What schema.sql means, by version. A home that was made by a version lives on: whoever changes the
# tables afterwards raises SCHEMA_VERSION, writes the step into MIGRATIONS, keeps the old schema.sql
# as tests/db/schemas/<version>.sql and adds a line here. Before a version was ever given to
# anybody, its line may be changed instead.
MEANING = {1: "dd1e5c08c4b5020c", 2: "40851779e252ae3c", 3: "e9d07d8f0d9655aa"}

OLD = """
CREATE TABLE users (id TEXT PRIMARY KEY, name TEXT NOT NULL) STRICT;
CREATE TABLE things (
    id INTEGER PRIMARY KEY, owner TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE
) STRICT;
INSERT INTO users VALUES ('u1', 'ada'), ('u2', 'ben');
INSERT INTO things (owner) VALUES ('u1'), ('u1'), ('u2');
PRAGMA user_version = 1;
"""
NEW = """
CREATE TABLE users (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, role TEXT NOT NULL) STRICT;
CREATE TABLE things (
    id INTEGER PRIMARY KEY, owner TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE
) STRICT;
CREATE INDEX things_of_owner ON things (owner);
"""
# The usual way to change a table in SQLite: make it anew, and drop the old one.
REBUILD = """
CREATE TABLE newer (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, role TEXT NOT NULL) STRICT;
INSERT INTO newer SELECT id, name, 'user' FROM users;
DROP TABLE users;
ALTER TABLE newer RENAME TO users;
"""
INDEX = "CREATE INDEX things_of_owner ON things (owner);"


def meaning(connection: sqlite3.Connection) -> set[tuple[str, str, str]]:
    """The tables, indexes and triggers of a file, comments and blanks aside."""
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    plain = ((kind, name, re.sub(r"--[^\n]*", "", sql)) for kind, name, sql in rows)
    return {(kind, name, re.sub(r"[\s\"]+", "", sql)) for kind, name, sql in plain}


def meaning_of(*scripts: str) -> set[tuple[str, str, str]]:
    connection = sqlite3.connect(":memory:")
    for script in scripts:
        connection.executescript(script)
    found = meaning(connection)
    connection.close()
    return found


@pytest.fixture
def older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that version 1 wrote, in the eyes of a version 3."""
    path = tmp_path / "oxoflow.db"
    connection = sqlite3.connect(path)
    connection.executescript(OLD)
    connection.close()
    (tmp_path / "schema.sql").write_text(NEW)
    monkeypatch.setattr(schema, "SCHEMA", tmp_path / "schema.sql")
    monkeypatch.setattr(schema, "SCHEMA_VERSION", 3)
    monkeypatch.setattr(schema, "MIGRATIONS", {1: REBUILD, 2: INDEX})
    return path


def rows(path: Path) -> tuple[int, list[str], int]:
    connection = sqlite3.connect(path)
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    names = [row[0] for row in connection.execute("SELECT name FROM users ORDER BY name")]
    things = connection.execute("SELECT count(*) FROM things").fetchone()[0]
    connection.close()
    return version, names, things


def test_an_older_file_comes_to_the_present_schema_with_every_row(older: Path) -> None:
    db = Database(older)
    found = meaning(db.read())
    assert db.write(lambda c: c.execute("PRAGMA foreign_keys").fetchone()[0]) == 1
    db.close()
    assert rows(older) == (3, ["ada", "ben"], 3)
    assert found == meaning_of(NEW)
    Database(older).close()
    assert rows(older) == (3, ["ada", "ben"], 3)


@pytest.mark.parametrize("version", [0, 2])
def test_a_file_starts_where_it_stands(
    older: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    older.unlink()
    if version:
        monkeypatch.setattr(schema, "SCHEMA_VERSION", version)
        older.with_name("schema.sql").write_text(NEW.replace(INDEX, ""))
        Database(older).close()
        monkeypatch.setattr(schema, "SCHEMA_VERSION", 3)
        older.with_name("schema.sql").write_text("not used;")
    db = Database(older)
    assert meaning(db.read()) == meaning_of(NEW)
    db.close()
    assert rows(older)[0] == 3


@pytest.mark.parametrize(
    ("step", "why"),
    [
        ("DELETE FROM things; INSERT INTO nowhere VALUES (1);", "nowhere"),
        ("DELETE FROM users WHERE id = 'u2';", "'things' refers to nothing"),
    ],
)
def test_a_step_that_fails_changes_nothing(
    older: Path, monkeypatch: pytest.MonkeyPatch, step: str, why: str
) -> None:
    monkeypatch.setattr(schema, "MIGRATIONS", {1: REBUILD, 2: step})
    with pytest.raises(OxoflowError, match=rf"version 1.*to 3.*{why}.*nothing was changed"):
        Database(older)
    assert rows(older) == (1, ["ada", "ben"], 3)
    with pytest.raises(UsageError, match=rf"oxoflow.db cannot be opened: .*{why}"):
        open_database(older.parent)


def test_the_tables_of_a_version_stay_what_they_were() -> None:
    text = repr(sorted(meaning_of(schema.SCHEMA.read_text())))
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert digest == MEANING.get(schema.SCHEMA_VERSION), (
        f"schema.sql is {digest} now, and homes that version {schema.SCHEMA_VERSION} made would "
        "lack what is new: see the comment at the top of this file"
    )


def test_every_earlier_version_leads_to_the_present_one() -> None:
    assert (
        set(schema.MIGRATIONS)
        == set(range(1, schema.SCHEMA_VERSION))
        == set(MEANING) - {schema.SCHEMA_VERSION}
    )
    kept = Path(__file__).with_name("schemas")
    for version in schema.MIGRATIONS:
        steps = [schema.MIGRATIONS[each] for each in range(version, schema.SCHEMA_VERSION)]
        before = (kept / f"{version}.sql").read_text()
        assert meaning_of(before, *steps) == meaning_of(schema.SCHEMA.read_text())
