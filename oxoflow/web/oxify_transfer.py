"""Export and import graphs as files, and save, fetch or delete many at a time (spec 1.3)."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterable
from typing import Any

from flask import Response, g, request
from msgspec.structs import replace

from oxoflow.db.audit import append_deed
from oxoflow.db.graphs import delete_graph, find_graph, insert_graph
from oxoflow.db.instants import instant
from oxoflow.errors import Conflict, InvalidInput, NotFound, WorkflowError
from oxoflow.graph import late
from oxoflow.graph import model as m
from oxoflow.graph.reading import parse_text
from oxoflow.graph.renewing import renewed
from oxoflow.graph.shapes import Problems, label
from oxoflow.web.deeds import deed
from oxoflow.web.http import compact, reply, services
from oxoflow.web.oxify import (
    Refusal,
    attempt,
    body,
    graph_of,
    make_blueprint,
    uuid_of,
)
from oxoflow.web.oxify_graphs import document_of, new_row, own_graph, remove_graph, save_graph

FORMATS = {"json": "application/json", "yaml": "application/x-yaml"}

blueprint = make_blueprint(__name__)


def _format(text: str, known: Iterable[str] = FORMATS) -> str:
    if text.lower() not in FORMATS:
        said = f"'{text[:60]}' is no format; there are {', '.join(known)}"
        raise Refusal(400, "InvalidFormat", said)
    return text.lower()


@blueprint.get("/api/v1/workflows/<item:workflow_id>/export")
def export(workflow_id: str) -> Response:
    """A graph as a file."""
    row = own_graph(workflow_id)
    form = _format(request.args.get("format", "json"))
    document = document_of(row)
    text = compact(document) if form == "json" else late.load("graph.yamltext:write_yaml")(document)
    response = Response(text.encode(), content_type=FORMATS[form])
    name = f"workflow_{row.id}.{form}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@blueprint.post("/api/v1/workflows/import")
def bring_in() -> Response:
    """Save a graph from the text of a file, under new ids unless the old ones are to be kept."""
    given = body()
    form, content = given["format"], given["content"]
    graph = _from_rules(content) if form.lower() == "oxoflow" else _from_file(content, form)
    name = _new_name(given.get("new_name"))
    if given.get("generate_new_id", True):
        graph = renewed(graph, lambda: str(uuid.uuid4()), name)
    elif name is not None:
        graph = replace(graph, metadata=replace(graph.metadata, name=name))
    row = save_graph(graph)
    said = "Workflow imported successfully"
    return reply({"id": row.id, "name": row.name, "message": said}, 201)


def _new_name(given: str | None) -> str | None:
    """The name that a graph is to get; what no graph can be called is InvalidInput."""
    problems: Problems = []
    name = None if given is None else label(given, "new_name", problems)
    if problems:
        raise InvalidInput(str(problems[0]))
    return name


def _from_file(content: str, form: str) -> m.Graph:
    as_yaml = _format(form, ("json", "yaml", "oxoflow")) == "yaml"
    try:
        document = parse_text(content, as_yaml)
    except InvalidInput as error:
        raise Refusal(400, "ParseError", f"The content cannot be read: {error.message}") from None
    return graph_of(document)


def _from_rules(content: str) -> m.Graph:
    """A `.oxoflow` workflow as a graph (7.4)."""
    try:
        graph: m.Graph = late.load("graph.fromrules:graph_of_text")(content)
    except WorkflowError as error:
        said = error.diagnostics[0].message if error.diagnostics else error.message
        raise Refusal(400, "ParseError", f"The content cannot be read: {said}") from None
    return graph


@blueprint.post("/api/v1/workflows/batch")
def save_many() -> Response:
    """Save up to a hundred graphs; with `atomic` all of them or none."""
    given = body()
    documents = given["workflows"]
    if given.get("atomic"):
        ids = _save_all([graph_of(document) for document in documents])
        return _results([{"id": each, "success": True, "error": None} for each in ids])
    results = []
    for document in documents:
        found, error = attempt(lambda each=document: _saved(each))  # type: ignore[misc]
        results.append(
            {"id": found["id"] if found else None, "success": error is None, "error": error}
        )
    return _results(results)


def _saved(document: Any) -> dict[str, Any]:
    return {"id": save_graph(graph_of(document)).id}


def _save_all(graphs: list[m.Graph]) -> list[str]:
    rows = [new_row(graph) for graph in graphs]
    deeds = [deed("save_graph", f"{row.id} {row.name}") for row in rows]

    def work(connection: sqlite3.Connection) -> None:
        for row, what in zip(rows, deeds, strict=True):
            insert_graph(connection, row)
            append_deed(connection, what, instant())

    try:
        services().db.write(work)
    except sqlite3.IntegrityError:
        raise Conflict("A workflow with one of these ids exists already") from None
    return [row.id for row in rows]


def _results(results: list[dict[str, Any]]) -> Response:
    indexed = [{"index": index, **result} for index, result in enumerate(results)]
    succeeded = sum(bool(result["success"]) for result in results)
    return reply(
        {
            "results": indexed,
            "total": len(results),
            "succeeded": succeeded,
            "failed": len(results) - succeeded,
        }
    )


@blueprint.post("/api/v1/workflows/batch/get")
def get_many() -> Response:
    """Up to a hundred graphs by their ids."""
    results = []
    for text in body()["ids"]:
        graph_id = uuid_of(text, "workflow id")
        row = find_graph(services().db.read(), g.owner, graph_id)
        document = None if row is None else json.loads(row.document)
        results.append({"id": graph_id, "workflow": document, "found": row is not None})
    found = sum(bool(result["found"]) for result in results)
    return reply({"results": results, "total": len(results), "found": found})


@blueprint.delete("/api/v1/workflows/batch")
def delete_many() -> Response:
    """Delete up to a hundred graphs; with `atomic` all of them or none."""
    given = body()
    ids = [uuid_of(text, "workflow id") for text in given["ids"]]
    if given.get("atomic"):
        _delete_all(ids)
        gone = dict.fromkeys(ids, True)
    else:
        gone = {graph_id: remove_graph(graph_id) for graph_id in dict.fromkeys(ids)}
    results = [
        {
            "id": graph_id,
            "success": gone[graph_id],
            "error": None if gone[graph_id] else f"Workflow {graph_id} not found",
        }
        for graph_id in ids
    ]
    succeeded = sum(bool(result["success"]) for result in results)
    return reply(
        {
            "results": results,
            "total": len(results),
            "succeeded": succeeded,
            "failed": len(results) - succeeded,
        }
    )


def _delete_all(ids: list[str]) -> None:
    owner = g.owner
    deeds = {graph_id: deed("delete_graph", graph_id) for graph_id in ids}

    def work(connection: sqlite3.Connection) -> None:
        for graph_id, what in deeds.items():
            if not delete_graph(connection, owner, graph_id):
                raise NotFound(f"Workflow {graph_id} not found; none was deleted")
            append_deed(connection, what, instant())

    services().db.write(work)
