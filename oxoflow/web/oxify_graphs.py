"""Save, list, show, replace, delete and judge graphs (spec/oxify-api.md 1.2)."""

from __future__ import annotations

import json
import sqlite3
import uuid
from typing import Any

from flask import Response, g

from oxoflow.db.audit import append_deed
from oxoflow.db.graphs import (
    GraphRow,
    count_graphs,
    delete_graph,
    find_graph,
    insert_graph,
    list_graphs,
    replace_graph,
)
from oxoflow.db.instants import instant
from oxoflow.errors import Conflict, NotFound
from oxoflow.graph import model as m
from oxoflow.graph.document import dump
from oxoflow.graph.validate import validate
from oxoflow.web.deeds import deed
from oxoflow.web.http import compact, reply, services
from oxoflow.web.oxify import body, caller, graph_of, make_blueprint, page, uuid_of

blueprint = make_blueprint(__name__)


def own_graph(graph_id: str) -> GraphRow:
    """A graph that the caller may see; raises NotFound."""
    row = find_graph(services().db.read(), g.owner, uuid_of(graph_id, "workflow id"))
    if row is None:
        raise NotFound(f"Workflow {graph_id.lower()} not found")
    return row


def document_of(row: GraphRow) -> dict[str, Any]:
    """The document as it is served."""
    found: dict[str, Any] = json.loads(row.document)
    return found


def save_graph(graph: m.Graph) -> GraphRow:
    """Save a new graph of the caller's; raises Conflict when its id is taken."""
    row = new_row(graph)

    def work(connection: sqlite3.Connection) -> None:
        insert_graph(connection, row)
        append_deed(connection, what, instant())

    what = deed("save_graph", f"{row.id} {row.name}")
    try:
        services().db.write(work)
    except sqlite3.IntegrityError:
        raise Conflict(f"A workflow with the id {row.id} exists already; PUT replaces it") from None
    return row


def new_row(graph: m.Graph) -> GraphRow:
    """A graph as it is to be saved: with an id, dates, and an id for every edge."""
    now = instant()
    document = dump(graph)
    about = document["metadata"]
    about["id"] = about["id"] or str(uuid.uuid4())
    about["created_at"] = about["created_at"] or now
    about["updated_at"] = about["updated_at"] or now
    for edge in document["edges"]:
        edge["id"] = edge["id"] or str(uuid.uuid4())
    return GraphRow(about["id"], caller().user_id, about["name"], compact(document), now, now)


@blueprint.post("/api/v1/workflows")
def create() -> Response:
    """Save a graph."""
    row = save_graph(graph_of(body()["workflow"]))
    return reply({"id": row.id, "message": "Workflow created successfully"}, 201)


@blueprint.get("/api/v1/workflows")
def listing() -> Response:
    """All graphs that the caller may see, the oldest first."""
    limit, offset = page()
    reader = services().db.read()
    rows = list_graphs(reader, g.owner, limit, offset)
    return reply(
        {"workflows": [document_of(row) for row in rows], "total": count_graphs(reader, g.owner)}
    )


@blueprint.get("/api/v1/workflows/<item:workflow_id>")
def one(workflow_id: str) -> Response:
    """One graph."""
    return reply({"workflow": document_of(own_graph(workflow_id))})


@blueprint.put("/api/v1/workflows/<item:workflow_id>")
def replace(workflow_id: str) -> Response:
    """Put a whole new document in the place of the old one; the id of the path is the graph's."""
    graph = graph_of(body()["workflow"])
    put_document(own_graph(workflow_id), dump(graph))
    return reply({"message": "Workflow updated successfully"})


def put_document(row: GraphRow, document: dict[str, Any], action: str = "update_graph") -> None:
    """Replace a graph's document, keeping its id and the date of its making."""
    now = instant()
    about = document["metadata"]
    about["id"] = row.id
    about["created_at"] = document_of(row)["metadata"]["created_at"]
    about["updated_at"] = now
    for edge in document["edges"]:
        edge["id"] = edge["id"] or str(uuid.uuid4())
    what = deed(action, f"{row.id} {about['name']}")
    owner: str | None = g.owner

    def work(connection: sqlite3.Connection) -> bool:
        text = compact(document)
        if not replace_graph(connection, owner, row.id, about["name"], text, now):
            return False
        append_deed(connection, what, now)
        return True

    if not services().db.write(work):
        raise NotFound(f"Workflow {row.id} not found")


@blueprint.delete("/api/v1/workflows/<item:workflow_id>")
def delete(workflow_id: str) -> Response:
    """Delete a graph; its executions stay."""
    if not remove_graph(uuid_of(workflow_id, "workflow id")):
        raise NotFound(f"Workflow {workflow_id.lower()} not found")
    return reply({"message": "Workflow deleted successfully"})


def remove_graph(graph_id: str) -> bool:
    """Delete a graph of the caller's; False when there is none."""
    what = deed("delete_graph", graph_id)
    owner: str | None = g.owner

    def work(connection: sqlite3.Connection) -> bool:
        if not delete_graph(connection, owner, graph_id):
            return False
        append_deed(connection, what, instant())
        return True

    return services().db.write(work)


@blueprint.post("/api/v1/workflows/validate")
def judge() -> Response:
    """Everything that is wrong or strange about a document; saves nothing."""
    return reply(validate(body()["workflow"]).as_json())
