"""Judge a whole document as a graph: every rule of spec/oxify-api.md section 3, in its order.

Owns the order of errors (the first one is what a refused request is told) and the statistics. All
rules are applied as far as the document can be read, so that one look shows everything wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from oxoflow.errors import InvalidInput
from oxoflow.graph import model as m
from oxoflow.graph.compile import reachable, sort, unsortable, wires
from oxoflow.graph.document import MAX_EDGES, MAX_NODES, READERS
from oxoflow.graph.findings import Finding, Report
from oxoflow.graph.rules import edge_warnings, errors_of, warnings_of
from oxoflow.graph.shapes import BAD, Problem, Problems, check_json, word_of

ROOT = "workflow"


class _Reading(Struct, frozen=True):
    """A document as far as it can be read."""

    metadata: m.Metadata | None
    nodes: tuple[m.Node, ...]  # those that have the right shape
    edges: tuple[m.Edge, ...]
    kinds: tuple[tuple[str, str], ...]  # id and type of every node, as written
    problems: tuple[Problem, ...]
    whole: bool  # whether everything could be read


def validate(document: Any) -> Report:
    """Every error and warning of a document, and its graph when the shape is right."""
    problems: Problems = []
    if not isinstance(document, dict):
        return _refused("InvalidField", f"{ROOT}: expected an object, found {word_of(document)}")
    if not check_json(document, ROOT, problems):
        return _refused("InvalidField", str(problems[0]))
    if document.get("nodes") == []:
        return _refused("EmptyWorkflow", "Workflow must have at least one node")
    reading = _read(document)
    errors = [*_doubled(reading), *_shape_errors(reading), *_structure(reading)]
    graph = None
    if reading.whole and reading.metadata is not None:
        graph = m.Graph(reading.metadata, reading.nodes, reading.edges)
    warnings: list[Finding] = []
    depth = 0
    if graph is not None and not any(finding.code in UNLINKED for finding in errors):
        order = sort([node.id for node in graph.nodes], wires(graph))
        if order is None:
            errors.append(_cycle(graph))
        else:
            warnings += _paths(graph)
            depth = _depth(graph, order)
        warnings += _oddities(graph)
    return Report(graph, tuple(errors), tuple(warnings), _stats(reading, depth))


UNLINKED = frozenset({"InvalidNodeReference", "InvalidConditionalBranch", "DuplicateNodeId"})


def read_graph(document: Any) -> m.Graph:
    """The graph of a document; raise InvalidInput with the message of its first error."""
    report = validate(document)
    if report.errors or report.graph is None:
        raise InvalidInput(report.errors[0].message)
    return report.graph


def _refused(code: str, message: str) -> Report:
    stats = {"total_nodes": 0, "total_edges": 0, "start_nodes": 0, "end_nodes": 0}
    return Report(
        None, (Finding(code, message),), (), {**stats, "max_depth": 0, "node_type_counts": {}}
    )


def _read(document: dict[str, Any]) -> _Reading:
    problems: Problems = []
    metadata = _required(document, "metadata", problems)
    if metadata is not None:
        metadata = READERS[m.Metadata](metadata, f"{ROOT}.metadata", problems)
    raw_nodes = _items(document, "nodes", MAX_NODES, problems)
    raw_edges = _items(document, "edges", MAX_EDGES, problems)
    nodes = [
        READERS[m.Node](node, f"{ROOT}.nodes[{at}]", problems) for at, node in enumerate(raw_nodes)
    ]
    edges = [
        READERS[m.Edge](edge, f"{ROOT}.edges[{at}]", problems) for at, edge in enumerate(raw_edges)
    ]
    return _Reading(
        metadata if isinstance(metadata, m.Metadata) else None,
        tuple(node for node in nodes if node is not BAD),
        tuple(edge for edge in edges if edge is not BAD),
        tuple(_id_and_type(node) for node in raw_nodes),
        tuple(problems),
        not problems,
    )


def _required(document: dict[str, Any], key: str, problems: Problems) -> Any:
    if key not in document:
        problems.append(Problem(f"{ROOT}.{key}", "is missing"))
    elif document[key] is None:
        problems.append(Problem(f"{ROOT}.{key}", "may not be null"))
    return document.get(key)


def _items(document: dict[str, Any], key: str, most: int, problems: Problems) -> list[Any]:
    items = _required(document, key, problems)
    if items is None:
        return []
    path = f"{ROOT}.{key}"
    if not isinstance(items, list):
        problems.append(Problem(path, f"expected a list, found {word_of(items)}"))
        return []
    if len(items) > most:
        problems.append(
            Problem(path, f"has {len(items)} items, at most {most} are taken; use SubWorkflows")
        )
        return []
    return items


def _id_and_type(node: Any) -> tuple[str, str]:
    kind = node.get("kind") if isinstance(node, dict) else None
    name = kind.get("type") if isinstance(kind, dict) else None
    node_id = node.get("id") if isinstance(node, dict) else None
    return (
        node_id.lower() if isinstance(node_id, str) else "",
        name if isinstance(name, str) else "",
    )


def _doubled(reading: _Reading) -> list[Finding]:
    counts = Counter(node_id for node_id, _ in reading.kinds if node_id)
    return [
        Finding("DuplicateNodeId", f"Node id {node_id} is used {count} times", node_id)
        for node_id, count in counts.items()
        if count > 1
    ]


def _shape_errors(reading: _Reading) -> list[Finding]:
    found = [Finding(problem.code, str(problem)) for problem in reading.problems]
    return sorted(found, key=lambda finding: finding.code != "UnknownNodeType")


def _structure(reading: _Reading) -> list[Finding]:
    """Rows 2 to 14."""
    found: list[Finding] = []
    if reading.kinds:
        found += _ends(reading, "Start") + _ends(reading, "End")
    ids = frozenset(node_id for node_id, _ in reading.kinds)
    for edge in reading.edges:
        for word, node_id in (("from", edge.source), ("to", edge.target)):
            if node_id not in ids:
                found.append(
                    Finding(
                        "InvalidNodeReference",
                        f"Edge {edge.source} to {edge.target}: '{word}' is not a node",
                    )
                )
    for node in reading.nodes:
        found += errors_of(node, ids)
    return found


def _ends(reading: _Reading, name: str) -> list[Finding]:
    there = [node_id for node_id, kind in reading.kinds if kind == name]
    if not there:
        return [Finding(f"No{name}Node", f"Workflow must have at least one {name} node")]
    if len(there) > 1:
        message = f"Workflow must have one {name} node, found {len(there)}: {', '.join(there)}"
        return [Finding(f"Multiple{name}Nodes", message)]
    return []


def _cycle(graph: m.Graph) -> Finding:
    """Name the nodes that lie on cycles or between them."""
    pairs = wires(graph)
    below = unsortable({node.id for node in graph.nodes}, pairs)
    inside = [(target, source) for source, target in pairs if source in below and target in below]
    left = unsortable(below, inside)
    names = [f"'{node.name}'" for node in graph.nodes if node.id in left]
    shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    return Finding("CycleDetected", f"Workflow has a cycle through {shown}")


def _paths(graph: m.Graph) -> list[Finding]:
    """Rows 16 to 18."""
    pairs = wires(graph)
    starts = [node.id for node in graph.nodes if isinstance(node.kind, m.Start)]
    ends = [node.id for node in graph.nodes if isinstance(node.kind, m.End)]
    from_start = reachable(starts, pairs)
    to_end = reachable(ends, ((target, source) for source, target in pairs))
    found: list[Finding] = []
    for node in graph.nodes:
        if node.id not in from_start:
            message = f"Node '{node.name}' is not reachable from Start and will not run"
            found.append(Finding("UnreachableNode", message, node.id))
    for node in graph.nodes:
        if node.id not in to_end:
            message = f"Node '{node.name}' has no path to End"
            found.append(Finding("DeadEndNode", message, node.id))
    counts = Counter((edge.source, edge.target) for edge in graph.edges)
    for (source, target), count in counts.items():
        if count > 1:
            message = f"{count} edges lead from {source} to {target}"
            found.append(Finding("DuplicateEdge", message))
    return found


def _oddities(graph: m.Graph) -> list[Finding]:
    """The warnings beyond upstream's."""
    found: list[Finding] = []
    if graph.metadata.schedule is not None and graph.metadata.schedule.enabled:
        message = "The schedule is kept but not acted on: nothing starts this workflow by itself"
        found.append(Finding("ScheduleIgnored", message))
    seen: set[str] = set()
    for node in graph.nodes:
        if node.name in seen:
            message = f"Node name '{node.name}' is used more than once; the first keeps its alias"
            found.append(Finding("DuplicateNodeName", message, node.id))
        seen.add(node.name)
    found += _undrawn(graph)
    for node in graph.nodes:
        found += warnings_of(node)
    for edge in graph.edges:
        found += edge_warnings(edge)
    return found


def _undrawn(graph: m.Graph) -> Iterable[Finding]:
    drawn = {(edge.source, edge.target) for edge in graph.edges}
    for node in graph.nodes:
        if isinstance(node.kind, m.IfElse):
            branches = (("true", node.kind.true_branch), ("false", node.kind.false_branch))
            for word, branch in branches:
                if (node.id, branch) not in drawn:
                    message = f"Node '{node.name}': its {word} branch has no edge; one is implied"
                    yield Finding("BranchWithoutEdge", message, node.id)


def _depth(graph: m.Graph, order: list[str]) -> int:
    """The number of nodes on the longest path."""
    children: dict[str, list[str]] = {}
    for source, target in wires(graph):
        children.setdefault(source, []).append(target)
    depth = dict.fromkeys(order, 1)
    for node_id in order:
        for child in children.get(node_id, ()):
            depth[child] = max(depth[child], depth[node_id] + 1)
    return max(depth.values(), default=0)


def _stats(reading: _Reading, depth: int) -> dict[str, Any]:
    counts = Counter(kind for _, kind in reading.kinds if kind)
    return {
        "total_nodes": len(reading.kinds),
        "total_edges": len(reading.edges),
        "start_nodes": counts.get("Start", 0),
        "end_nodes": counts.get("End", 0),
        "max_depth": depth,
        "node_type_counts": dict(counts),
    }
