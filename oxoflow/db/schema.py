"""Bring a database file to the present schema, from nothing or from any earlier version.

Owns the version number and the way from each version to the next; the tables themselves stand in
schema.sql. A step is all or nothing: a file that cannot be brought up stays as it was.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from oxoflow.errors import OxoflowError

SCHEMA = Path(__file__).resolve().parents[2] / "schema.sql"
SCHEMA_VERSION = 3
MIGRATIONS: dict[int, str] = {  # version n: the script that leads from n to n + 1
    1: "ALTER TABLE run_outputs ADD COLUMN job TEXT;",
    2: "ALTER TABLE executions ADD COLUMN batch TEXT;"
    "ALTER TABLE executions ADD COLUMN at_once INTEGER;"
    "CREATE INDEX executions_of_batch ON executions (batch) WHERE batch IS NOT NULL;",
}


def prepare(connection: sqlite3.Connection) -> None:
    """Make the present schema of the file; raises OxoflowError when that is impossible.

    `connection` is in autocommit mode and has no transaction open.
    """
    connection.execute("PRAGMA journal_mode = WAL")
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise OxoflowError(
            f"the database has schema version {version}, this oxoflow knows {SCHEMA_VERSION}: "
            "start the newer oxoflow or restore a backup"
        )
    if version < SCHEMA_VERSION:
        # A step may make a table anew. With references enforced, dropping the old one would delete
        # every row that refers to it; SQLite can switch that only outside of a transaction.
        connection.execute("PRAGMA foreign_keys = OFF")
        try:
            _bring_up(connection, version)
        finally:
            connection.execute("PRAGMA foreign_keys = ON")


def _bring_up(connection: sqlite3.Connection, version: int) -> None:
    steps = [MIGRATIONS[number] for number in range(version, SCHEMA_VERSION)] if version else []
    script = "\n".join(steps or [SCHEMA.read_text(encoding="utf-8")])
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{script}")
        broken = connection.execute("PRAGMA foreign_key_check").fetchone()
        if broken is not None:
            raise sqlite3.IntegrityError(f"a row of '{broken[0]}' refers to nothing")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if not version:
            raise
        raise OxoflowError(
            f"its schema version {version} cannot be brought to {SCHEMA_VERSION} ({error}); "
            "nothing was changed: start the oxoflow that wrote it"
        ) from error
