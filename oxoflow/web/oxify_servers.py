"""Register the tool servers (MCP) that a user's graphs may call (spec/oxify-api.md 1.3).

A registration is copied into every execution that starts after it. The server itself never calls
a tool: that is done by executions.
"""

from __future__ import annotations

import re
import sqlite3
from typing import Any

from flask import Response, g

from oxoflow.db.audit import append_deed
from oxoflow.db.instants import instant
from oxoflow.db.toolservers import (
    ToolServer,
    delete_tool_server,
    insert_tool_server,
    list_tool_servers,
)
from oxoflow.errors import Conflict, InvalidInput, NotFound
from oxoflow.web.deeds import deed
from oxoflow.web.http import reply, services
from oxoflow.web.oxify import body, make_blueprint

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
RESERVED = frozenset({"fs", "oxo"})  # what these mean in a Tool node is fixed

blueprint = make_blueprint(__name__)


@blueprint.get("/api/v1/mcp/servers")
def listing() -> Response:
    """One's own servers; `health` is unknown until an execution calls them."""
    found = list_tool_servers(services().db.read(), g.account.id)
    return reply({"servers": [_shown(server) for server in found]})


def _shown(server: ToolServer) -> dict[str, Any]:
    return {
        "server_id": server.server_id,
        "transport_type": server.server_type,
        "health": "Unknown",
        "weight": server.body.get("weight", 1),
        "tags": server.body.get("tags", []),
        "metrics": {"request_count": 0, "error_count": 0, "avg_response_time_ms": 0},
    }


@blueprint.post("/api/v1/mcp/servers/register")
def register() -> Response:
    """Remember a server under an id."""
    server = _read(body())
    owner, now = g.account.id, instant()
    what = deed("register_tool_server", f"{server.server_id} {server.server_type}")

    def work(connection: sqlite3.Connection) -> None:
        insert_tool_server(connection, owner, server)
        append_deed(connection, what, now)

    try:
        services().db.write(work)
    except sqlite3.IntegrityError:
        raise Conflict(f"A server '{server.server_id}' is registered already") from None
    return reply({"server_id": server.server_id, "message": "Server registered"}, 201)


def _read(given: dict[str, Any]) -> ToolServer:
    server_id, kind = given["server_id"], given["server_type"].lower()
    if not NAME.fullmatch(server_id) or server_id in RESERVED:
        raise InvalidInput("'server_id' must have 1 to 100 letters, digits, '.', '_' or '-', "
                           "and be neither fs nor oxo")  # fmt: skip
    detail: dict[str, Any] = {
        "weight": given.get("weight", 1),
        "tags": [tag[:100] for tag in given.get("tags", [])][:50],
    }
    if kind == "stdio":
        detail["command"] = words = given.get("command", [])
        if not words or any("\0" in word for word in words):
            raise InvalidInput("a stdio server needs a 'command': a list of words")
    elif kind == "http":
        detail["endpoint"] = given.get("endpoint", "")
        if not detail["endpoint"].startswith(("http://", "https://")):
            raise InvalidInput("an http server needs an 'endpoint': an http or https address")
    else:
        raise InvalidInput("'server_type' must be http or stdio")
    return ToolServer(server_id, kind, detail, instant())


@blueprint.delete("/api/v1/mcp/servers/unregister")
def unregister() -> Response:
    """Forget a server."""
    server_id = body()["server_id"]
    owner = g.account.id
    what = deed("unregister_tool_server", server_id[:100])

    def work(connection: sqlite3.Connection) -> bool:
        if not delete_tool_server(connection, owner, server_id):
            return False
        append_deed(connection, what, instant())
        return True

    if not services().db.write(work):
        raise NotFound(f"Server '{server_id[:100]}' not found")
    return reply({"server_id": server_id, "message": "Server unregistered"})
