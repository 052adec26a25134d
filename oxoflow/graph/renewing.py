"""Give a graph new ids throughout, so that it can stand beside the one it came from. Pure."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from oxoflow.graph.model import Edge, Graph, IfElse, Node


def renewed(graph: Graph, new_id: Callable[[], str], name: str | None = None) -> Graph:
    """The graph with new ids for itself, its nodes and edges, and its branches following them."""
    ids = {node.id: new_id() for node in graph.nodes}
    nodes = tuple(_node(node, ids) for node in graph.nodes)
    edges = tuple(
        Edge(ids[edge.source], ids[edge.target], new_id(), edge.label, edge.condition)
        for edge in graph.edges
    )
    metadata = replace(
        graph.metadata,
        id=new_id(),
        name=name or graph.metadata.name,
        created_at=None,
        updated_at=None,
    )
    return Graph(metadata, nodes, edges)


def _node(node: Node, ids: dict[str, str]) -> Node:
    kind = node.kind
    if isinstance(kind, IfElse):
        kind = replace(kind, true_branch=ids[kind.true_branch], false_branch=ids[kind.false_branch])
    return replace(node, id=ids[node.id], kind=kind)
