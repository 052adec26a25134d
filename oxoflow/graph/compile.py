"""Compile a graph into numbered steps with guarded links: a pure function (spec/oxify-api.md 4.1).

Owns reachability, levels, ancestors and the guards of links (4.2). Takes a graph whose references
resolve and which has no cycle: `validate` has seen to it, `compile_graph` refuses what it missed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from oxoflow.errors import GraphError
from oxoflow.graph.evaluate import condition
from oxoflow.graph.model import Edge, End, Graph, IfElse, Node, Start, Switch

Lookup = Callable[[str], Any]


class Link(Struct, frozen=True):
    """An edge between steps, and what must hold for it once its source has succeeded."""

    source: int
    target: int
    verdict: bool | None = None  # of an IfElse
    case: str | None = None  # of a Switch
    condition: str | None = None


class Step(Struct, frozen=True):
    """A node that the execution may run."""

    number: int
    node: Node
    level: int
    ancestors: int  # bit n is set when step n lies on a path to this one
    incoming: tuple[Link, ...]
    outgoing: tuple[Link, ...]


class Program(Struct, frozen=True):
    """The steps reachable from Start, numbered in an order in which sources come first."""

    steps: tuple[Step, ...]
    levels: int
    ends: tuple[int, ...]  # the numbers of End steps


def wires(graph: Graph) -> list[tuple[str, str]]:
    """Source and target of every edge, implied branches of IfElse included (4.2)."""
    written = [(edge.source, edge.target) for edge in graph.edges]
    return written + [(edge.source, edge.target) for edge in _implied(graph)]


def compile_graph(graph: Graph) -> Program:
    """The program of a valid graph; raise GraphError for a cycle or an unknown node."""
    nodes = {node.id: node for node in graph.nodes}
    edges = [*graph.edges, *_implied(graph)]
    for edge in edges:
        if edge.source not in nodes or edge.target not in nodes:
            raise GraphError(f"edge from {edge.source} to {edge.target} names an unknown node")
    start = next((node.id for node in graph.nodes if isinstance(node.kind, Start)), None)
    if start is None:
        raise GraphError("the graph has no Start node")
    reached = reachable([start], ((edge.source, edge.target) for edge in edges))
    kept = [edge for edge in edges if edge.source in reached]
    order = sort(
        [node.id for node in graph.nodes if node.id in reached],
        [(edge.source, edge.target) for edge in kept],
    )
    if order is None:
        raise GraphError("the graph has a cycle")
    return _number(order, nodes, kept)


def _number(order: list[str], nodes: dict[str, Node], edges: list[Edge]) -> Program:
    number = {node_id: at for at, node_id in enumerate(order)}
    incoming: list[list[Link]] = [[] for _ in order]
    outgoing: list[list[Link]] = [[] for _ in order]
    for edge in edges:
        link = _link(edge, nodes[edge.source], number)
        incoming[link.target].append(link)
        outgoing[link.source].append(link)
    steps: list[Step] = []
    for at, node_id in enumerate(order):
        level, ancestors = 0, 0
        for link in incoming[at]:
            above = steps[link.source]
            level = max(level, above.level + 1)
            ancestors |= above.ancestors | 1 << above.number
        steps.append(
            Step(at, nodes[node_id], level, ancestors, tuple(incoming[at]), tuple(outgoing[at]))
        )
    ends = tuple(step.number for step in steps if isinstance(step.node.kind, End))
    return Program(tuple(steps), max(step.level for step in steps) + 1, ends)


def _implied(graph: Graph) -> list[Edge]:
    """The edges that IfElse branches have without being drawn (4.2 a)."""
    drawn = {(edge.source, edge.target) for edge in graph.edges}
    implied = []
    for node in graph.nodes:
        if isinstance(node.kind, IfElse):
            for branch in dict.fromkeys((node.kind.true_branch, node.kind.false_branch)):
                if (node.id, branch) not in drawn:
                    implied.append(Edge(node.id, branch))
    return implied


def _link(edge: Edge, source: Node, number: dict[str, int]) -> Link:
    verdict: bool | None = None
    case: str | None = None
    if isinstance(source.kind, IfElse):
        verdict = _verdict(edge, source.kind)
    elif isinstance(source.kind, Switch):
        case = edge.label or None
    wanted = edge.condition if edge.condition and edge.condition.strip() else None
    return Link(number[edge.source], number[edge.target], verdict, case, wanted)


def _verdict(edge: Edge, kind: IfElse) -> bool | None:
    """The verdict under which an edge of an IfElse is active; None: under either."""
    if edge.target in (kind.true_branch, kind.false_branch):
        if kind.true_branch == kind.false_branch:
            return None
        return edge.target == kind.true_branch
    if edge.label in ("true", "false"):
        return edge.label == "true"
    return None


def is_active(link: Link, output: Any, lookup: Lookup) -> bool:
    """Whether a link is active after its source succeeded with `output` (4.2).

    `lookup` sees what the source's successors see. Raises ExpressionError when the condition has
    no truth. An output without a verdict (a node that was skipped by its timeout) decides nothing.
    """
    verdict = output.get("condition_met") if isinstance(output, dict) else None
    if link.verdict is not None and isinstance(verdict, bool) and verdict is not link.verdict:
        return False
    if link.case is not None and isinstance(output, dict) and "matched_case" in output:
        cases = (output["matched_case"], output["result"])
        if link.case not in cases:
            return False
    return link.condition is None or condition(link.condition, lookup)


def reachable(starts: Iterable[str], pairs: Iterable[tuple[str, str]]) -> set[str]:
    """All nodes on paths from `starts`, themselves included."""
    children: dict[str, list[str]] = {}
    for source, target in pairs:
        children.setdefault(source, []).append(target)
    seen = set(starts)
    todo = list(seen)
    while todo:
        for child in children.get(todo.pop(), ()):
            if child not in seen:
                seen.add(child)
                todo.append(child)
    return seen


def sort(ids: Iterable[str], pairs: Iterable[tuple[str, str]]) -> list[str] | None:
    """An order with sources first, equal ones as they came; None when there is a cycle."""
    order, left = _kahn(ids, pairs)
    return None if left else order


def unsortable(ids: Iterable[str], pairs: Iterable[tuple[str, str]]) -> set[str]:
    """The nodes on cycles and below them: what Kahn's algorithm leaves over."""
    return _kahn(ids, pairs)[1]


def _kahn(ids: Iterable[str], pairs: Iterable[tuple[str, str]]) -> tuple[list[str], set[str]]:
    waiting = dict.fromkeys(ids, 0)
    children: dict[str, list[str]] = {}
    for source, target in pairs:
        waiting[target] += 1
        children.setdefault(source, []).append(target)
    ready = deque(node_id for node_id, count in waiting.items() if not count)
    order: list[str] = []
    while ready:
        node_id = ready.popleft()
        order.append(node_id)
        del waiting[node_id]
        for child in children.get(node_id, ()):
            waiting[child] -= 1
            if not waiting[child]:
                ready.append(child)
    return order, set(waiting)
