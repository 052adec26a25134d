"""Query the library of saved workflows and their revisions; every query takes the owner."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from msgspec import Struct

KEEP = 50  # revisions of one workflow


class Listed(Struct, frozen=True):
    """A saved workflow as lists show it."""

    id: str
    name: str
    version: str
    rules_count: int
    created_at: str
    updated_at: str


class Saved(Struct, frozen=True):
    """A saved workflow with its text; `bundle` is a zip of the files that belong to it."""

    id: str
    name: str
    version: str
    rules_count: int
    created_at: str
    updated_at: str
    toml_content: str
    revision: int
    bundle: bytes | None


class Revision(Struct, frozen=True):
    """What a saved workflow was before a change; lists leave the text out."""

    revision: int
    name: str
    version: str
    rules_count: int
    created_at: str
    toml_content: str | None = None
    bundle: bytes | None = None


class Content(Struct, frozen=True):
    """What is saved under an id, old or new."""

    name: str
    version: str
    toml_content: str
    rules_count: int
    bundle: bytes | None = None


_LISTED = "id, name, version, rules_count, created_at, updated_at"
_SAVED = f"{_LISTED}, toml_content, revision, bundle"
_REVISION = "revision, name, version, rules_count, created_at"


def insert_workflow(
    connection: sqlite3.Connection, user_id: str, workflow_id: str, content: Content, now: str
) -> None:
    """Add a workflow to a user's library."""
    connection.execute(
        "INSERT INTO workflows (id, user_id, name, version, toml_content, bundle, rules_count,"
        " created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            workflow_id, user_id, content.name, content.version, content.toml_content,
            content.bundle, content.rules_count, now, now,
        ),
    )  # fmt: skip


def update_workflow(
    connection: sqlite3.Connection, user_id: str, workflow_id: str, content: Content, now: str
) -> int | None:
    """Replace a workflow's content, keeping the old as a revision; the new revision's number."""
    kept = connection.execute(
        "INSERT INTO workflow_revisions (workflow_id, revision, name, version, toml_content,"
        " bundle, rules_count, created_at) SELECT id, revision, name, version, toml_content,"
        " bundle, rules_count, updated_at FROM workflows WHERE id = ? AND user_id = ?",
        (workflow_id, user_id),
    )
    if not kept.rowcount:
        return None
    row = connection.execute(
        "UPDATE workflows SET name = ?, version = ?, toml_content = ?, bundle = ?,"
        " rules_count = ?, revision = revision + 1, updated_at = ? WHERE id = ? AND user_id = ?"
        " RETURNING revision",
        (
            content.name, content.version, content.toml_content, content.bundle,
            content.rules_count, now, workflow_id, user_id,
        ),
    ).fetchone()  # fmt: skip
    connection.execute(
        "DELETE FROM workflow_revisions WHERE workflow_id = ? AND revision < ?",
        (workflow_id, row[0] - KEEP),
    )
    return int(row[0])


def list_workflows(
    connection: sqlite3.Connection, user_id: str, limit: int = -1, offset: int = 0
) -> Sequence[Listed]:
    """A user's workflows, most recently updated first."""
    rows = connection.execute(
        f"SELECT {_LISTED} FROM workflows WHERE user_id = ?"
        " ORDER BY updated_at DESC, rowid DESC LIMIT ? OFFSET ?",
        (user_id, limit, offset),
    )
    return [Listed(*row) for row in rows]


def count_workflows(connection: sqlite3.Connection, user_id: str) -> int:
    """How many workflows a user has saved."""
    row = connection.execute("SELECT count(*) FROM workflows WHERE user_id = ?", (user_id,))
    return int(row.fetchone()[0])


def find_workflow(connection: sqlite3.Connection, user_id: str, workflow_id: str) -> Saved | None:
    """One workflow of a user; None when it is unknown or somebody else's."""
    row = connection.execute(
        f"SELECT {_SAVED} FROM workflows WHERE id = ? AND user_id = ?", (workflow_id, user_id)
    ).fetchone()
    return None if row is None else Saved(*row)


def delete_workflow(connection: sqlite3.Connection, user_id: str, workflow_id: str) -> str | None:
    """Remove one workflow of a user with its revisions; its name, or None when there was none."""
    row = connection.execute(
        "DELETE FROM workflows WHERE id = ? AND user_id = ? RETURNING name", (workflow_id, user_id)
    ).fetchone()
    return None if row is None else str(row[0])


def list_revisions(
    connection: sqlite3.Connection, user_id: str, workflow_id: str
) -> Sequence[Revision]:
    """What a user's workflow was before, newest first, without the texts."""
    rows = connection.execute(
        f"SELECT {_REVISION} FROM workflow_revisions WHERE workflow_id ="
        " (SELECT id FROM workflows WHERE id = ? AND user_id = ?) ORDER BY revision DESC",
        (workflow_id, user_id),
    )
    return [Revision(*row) for row in rows]


def find_revision(
    connection: sqlite3.Connection, user_id: str, workflow_id: str, revision: int
) -> Revision | None:
    """One earlier state of a user's workflow."""
    row = connection.execute(
        f"SELECT {_REVISION}, toml_content, bundle FROM workflow_revisions WHERE workflow_id ="
        " (SELECT id FROM workflows WHERE id = ? AND user_id = ?) AND revision = ?",
        (workflow_id, user_id, revision),
    ).fetchone()
    return None if row is None else Revision(*row)
