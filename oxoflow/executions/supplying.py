"""Gather what an execution will need: definitions of sub-workflows, tool servers, limits.

Everything is copied when the execution is submitted, so that a later change of a graph or a
registration does not reach one that runs.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from oxoflow.db.graphs import find_graph
from oxoflow.db.toolservers import list_tool_servers
from oxoflow.graph import model as m
from oxoflow.graph.desk import read_beside
from oxoflow.graph.rules import bodies
from oxoflow.graph.supplies import Supplies
from oxoflow.graph.validate import validate
from oxoflow.graph.work import Limits, NodeFailure
from oxoflow.settings import Settings

STORED = "workflow:"
MOST_DOCUMENTS = 100
LIBRARY = "graphs"  # below the home: files that graphs may name as sub-workflows


def gather(
    reader: sqlite3.Connection,
    settings: Settings,
    owner: str,
    graph: m.Graph,
    graph_id: str,
    variables: Mapping[str, Any],
    continue_on_error: bool,
) -> Supplies:
    """The supplies of one execution of a user's graph."""
    servers = {
        server.server_id: {"server_type": server.server_type, **server.body}
        for server in list_tool_servers(reader, owner)
    }
    return Supplies(
        workflow_id=graph_id,
        variables=variables,
        continue_on_error=continue_on_error,
        documents=_documents(reader, settings.home / LIBRARY, owner, graph),
        servers=servers,
        limits=Limits(
            slots=settings.graph_nodes,
            allowed_hosts=settings.allowed_hosts,
            data_roots=settings.data_roots,
        ),
    )


def _documents(
    reader: sqlite3.Connection, library: Path, owner: str, graph: m.Graph
) -> dict[str, Any]:
    """The definitions that a graph needs, and those that these need; missing ones are left out."""
    found: dict[str, Any] = {}
    todo = [graph]
    while todo and len(found) < MOST_DOCUMENTS:
        for path in paths_of(todo.pop()):
            if path in found:
                continue
            document = _document(reader, library, owner, path)
            if document is not None:
                found[path] = document
                inner = validate(document).graph
                todo += [inner] if inner is not None else []
    return found


def _document(reader: sqlite3.Connection, library: Path, owner: str, path: str) -> Any:
    if path.startswith(STORED):
        row = find_graph(reader, owner, path.removeprefix(STORED).lower())
        return None if row is None else json.loads(row.document)
    try:
        return read_beside(library, path)
    except NodeFailure:
        return None  # the node will say so, if it is ever reached


def paths_of(graph: m.Graph) -> Iterator[str]:
    """The sub-workflows that a graph's nodes name, those inside bodies included."""
    todo = [node.kind for node in graph.nodes]
    while todo:
        kind = todo.pop()
        if isinstance(kind, m.SubWorkflow):
            yield kind.workflow_path
        todo += bodies(kind)
