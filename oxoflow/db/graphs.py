"""Query saved graphs and their versions; the owner is part of every statement.

`owner` None stands for an admin, who sees everybody's.
"""

from __future__ import annotations

import sqlite3
import uuid

from msgspec import Struct


class GraphRow(Struct, frozen=True):
    """One saved graph; `document` is JSON text."""

    id: str
    user_id: str
    name: str
    document: str
    created_at: str
    updated_at: str


class VersionRow(Struct, frozen=True):
    """One kept version of a graph."""

    id: str
    graph_id: str
    version: int
    description: str | None
    workflow_name: str
    document: str
    created_at: str
    created_by: str


_GRAPH = "SELECT id, user_id, name, document, created_at, updated_at FROM graphs"
_VERSION = (
    "SELECT v.id, v.graph_id, v.version, v.description, v.workflow_name, v.document,"
    " v.created_at, v.created_by FROM graph_versions v JOIN graphs g ON g.id = v.graph_id"
)


def insert_graph(connection: sqlite3.Connection, row: GraphRow) -> None:
    """Save a new graph; raises sqlite3.IntegrityError when the id is taken by anybody."""
    connection.execute(
        "INSERT INTO graphs (id, user_id, name, document, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (row.id, row.user_id, row.name, row.document, row.created_at, row.updated_at),
    )


def find_graph(connection: sqlite3.Connection, owner: str | None, graph_id: str) -> GraphRow | None:
    """A graph of this owner; a foreign one is not found."""
    row = connection.execute(
        _GRAPH + " WHERE id = ? AND (? IS NULL OR user_id = ?)", (graph_id, owner, owner)
    ).fetchone()
    return None if row is None else GraphRow(*row)


def list_graphs(
    connection: sqlite3.Connection, owner: str | None, limit: int, offset: int
) -> list[GraphRow]:
    """A page of graphs, the oldest first."""
    rows = connection.execute(
        _GRAPH + " WHERE (? IS NULL OR user_id = ?) ORDER BY created_at, id LIMIT ? OFFSET ?",
        (owner, owner, limit, offset),
    )
    return [GraphRow(*row) for row in rows]


def count_graphs(connection: sqlite3.Connection, owner: str | None) -> int:
    """How many graphs there are."""
    row = connection.execute(
        "SELECT count(*) FROM graphs WHERE (? IS NULL OR user_id = ?)", (owner, owner)
    ).fetchone()
    return int(row[0])


def replace_graph(
    connection: sqlite3.Connection,
    owner: str | None,
    graph_id: str,
    name: str,
    document: str,
    now: str,
) -> bool:
    """Put a new document in the place of the old one."""
    cursor = connection.execute(
        "UPDATE graphs SET name = ?, document = ?, updated_at = ?"
        " WHERE id = ? AND (? IS NULL OR user_id = ?)",
        (name, document, now, graph_id, owner, owner),
    )
    return cursor.rowcount == 1


def delete_graph(connection: sqlite3.Connection, owner: str | None, graph_id: str) -> bool:
    """Remove a graph and its versions; its executions stay."""
    cursor = connection.execute(
        "DELETE FROM graphs WHERE id = ? AND (? IS NULL OR user_id = ?)", (graph_id, owner, owner)
    )
    return cursor.rowcount == 1


def insert_version(
    connection: sqlite3.Connection, graph: GraphRow, description: str | None, by: str, now: str
) -> VersionRow:
    """Keep what a graph is now under the next number."""
    row = connection.execute(
        "SELECT coalesce(max(version), 0) + 1 FROM graph_versions WHERE graph_id = ?", (graph.id,)
    ).fetchone()
    version = VersionRow(
        str(uuid.uuid4()), graph.id, int(row[0]), description, graph.name, graph.document, now, by
    )
    connection.execute(
        "INSERT INTO graph_versions (id, graph_id, version, description, workflow_name, document,"
        " created_at, created_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            version.id, version.graph_id, version.version, version.description,
            version.workflow_name, version.document, version.created_at, version.created_by,
        ),
    )  # fmt: skip
    return version


def list_versions(
    connection: sqlite3.Connection, owner: str | None, graph_id: str
) -> list[VersionRow]:
    """The versions of a graph, the newest first."""
    rows = connection.execute(
        _VERSION + " WHERE v.graph_id = ? AND (? IS NULL OR g.user_id = ?) ORDER BY v.version DESC",
        (graph_id, owner, owner),
    )
    return [VersionRow(*row) for row in rows]


def find_version(
    connection: sqlite3.Connection, owner: str | None, graph_id: str, version: int
) -> VersionRow | None:
    """One version of a graph."""
    row = connection.execute(
        _VERSION + " WHERE v.graph_id = ? AND v.version = ? AND (? IS NULL OR g.user_id = ?)",
        (graph_id, version, owner, owner),
    ).fetchone()
    return None if row is None else VersionRow(*row)
