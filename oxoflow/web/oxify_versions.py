"""Keep, list, compare and restore versions of graphs (spec/oxify-api.md 1.3)."""

from __future__ import annotations

import json
import re
import sqlite3
from typing import Any

from flask import Response, g, request

from oxoflow.db.audit import append_deed
from oxoflow.db.graphs import VersionRow, find_version, insert_version, list_versions
from oxoflow.db.instants import instant
from oxoflow.errors import InvalidInput, NotFound
from oxoflow.graph.document import dump
from oxoflow.web.deeds import deed
from oxoflow.web.http import reply, services
from oxoflow.web.oxify import body, caller, graph_of, make_blueprint
from oxoflow.web.oxify_graphs import own_graph, put_document

blueprint = make_blueprint(__name__)


def _keep(graph_id: str, description: str | None) -> VersionRow:
    """Keep what a graph is now."""
    row = own_graph(graph_id)
    by = caller().username
    what = deed("save_version", f"{row.id} {row.name}")

    def work(connection: sqlite3.Connection) -> VersionRow:
        now = instant()
        append_deed(connection, what, now)
        return insert_version(connection, row, description, by, now)

    return services().db.write(work)


def _own_version(graph_id: str, text: str) -> VersionRow:
    row = own_graph(graph_id)
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise InvalidInput(f"'{text[:60]}' is not the number of a version")
    version = find_version(services().db.read(), g.owner, row.id, int(text))
    if version is None:
        raise NotFound(f"Version {text} of workflow {row.id} not found")
    return version


def _summary(version: VersionRow) -> dict[str, Any]:
    return {
        "id": version.id,
        "workflow_id": version.graph_id,
        "version": version.version,
        "description": version.description,
        "workflow_name": version.workflow_name,
        "created_at": version.created_at,
        "created_by": version.created_by,
    }


@blueprint.post("/api/v1/workflows/<item:workflow_id>/versions")
def keep(workflow_id: str) -> Response:
    """Keep a graph as it is under the next number."""
    description = body(may_be_empty=True).get("description")
    version = _keep(workflow_id, description)
    said = f"Version {version.version} created successfully"
    return reply({"id": version.id, "version": version.version, "message": said}, 201)


@blueprint.get("/api/v1/workflows/<item:workflow_id>/versions")
def listing(workflow_id: str) -> Response:
    """The versions of a graph, the newest first."""
    row = own_graph(workflow_id)
    found = list_versions(services().db.read(), g.owner, row.id)
    return reply({"versions": [_summary(version) for version in found], "total": len(found)})


@blueprint.get("/api/v1/workflows/<item:workflow_id>/versions/compare")
def compare(workflow_id: str) -> Response:
    """What differs between two versions, in numbers."""
    first, second = (_own_version(workflow_id, _asked(name)) for name in ("v1", "v2"))
    return reply({"version1": first.version, "version2": second.version, **_changes(first, second)})


def _asked(name: str) -> str:
    text = request.args.get(name)
    if text is None:
        raise InvalidInput(f"'{name}' is missing in the query: compare with ?v1=NUMBER&v2=NUMBER")
    return text


def _changes(first: VersionRow, second: VersionRow) -> dict[str, Any]:
    one, two = json.loads(first.document), json.loads(second.document)
    nodes = [{node["id"] for node in document["nodes"]} for document in (one, two)]
    edges = [
        {(edge["from"], edge["to"], edge["label"], edge["condition"]) for edge in document["edges"]}
        for document in (one, two)
    ]
    return {
        "nodes_added": len(nodes[1] - nodes[0]),
        "nodes_removed": len(nodes[0] - nodes[1]),
        "edges_added": len(edges[1] - edges[0]),
        "edges_removed": len(edges[0] - edges[1]),
        "name_changed": one["metadata"]["name"] != two["metadata"]["name"],
        "description_changed": one["metadata"]["description"] != two["metadata"]["description"],
    }


@blueprint.get("/api/v1/workflows/<item:workflow_id>/versions/<item:version>")
def one(workflow_id: str, version: str) -> Response:
    """One version with its document."""
    found = _own_version(workflow_id, version)
    shown = _summary(found)
    del shown["workflow_name"]
    return reply(shown | {"workflow": json.loads(found.document)})


@blueprint.post("/api/v1/workflows/<item:workflow_id>/versions/<item:version>/restore")
def restore(workflow_id: str, version: str) -> Response:
    """Make a graph what it was, and keep that as a new version."""
    found = _own_version(workflow_id, version)
    row = own_graph(workflow_id)
    put_document(row, dump(graph_of(json.loads(found.document))), "restore_version")
    new = _keep(workflow_id, f"Restored from version {found.version}")
    said = f"Workflow restored to version {found.version}"
    return reply({"message": said, "new_version": new.version})
