"""Query the tool servers (MCP) that users registered for their graphs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from msgspec import Struct


class ToolServer(Struct, frozen=True):
    """One registered server; `body` holds endpoint or command, weight and tags."""

    server_id: str
    server_type: str
    body: Mapping[str, Any]
    created_at: str


def insert_tool_server(connection: sqlite3.Connection, user_id: str, server: ToolServer) -> None:
    """Register a server; raises sqlite3.IntegrityError when the user has one of this id."""
    connection.execute(
        "INSERT INTO tool_servers (user_id, server_id, server_type, body, created_at)"
        " VALUES (?, ?, ?, ?, ?)",
        (user_id, server.server_id, server.server_type, json.dumps(dict(server.body)),
         server.created_at),
    )  # fmt: skip


def list_tool_servers(connection: sqlite3.Connection, user_id: str) -> list[ToolServer]:
    """A user's servers by id."""
    rows = connection.execute(
        "SELECT server_id, server_type, body, created_at FROM tool_servers WHERE user_id = ?"
        " ORDER BY server_id",
        (user_id,),
    )
    return [ToolServer(row[0], row[1], json.loads(row[2]), row[3]) for row in rows]


def delete_tool_server(connection: sqlite3.Connection, user_id: str, server_id: str) -> bool:
    """Forget a user's server."""
    cursor = connection.execute(
        "DELETE FROM tool_servers WHERE user_id = ? AND server_id = ?", (user_id, server_id)
    )
    return cursor.rowcount == 1
