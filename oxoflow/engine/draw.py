"""Draw a graph as DOT, clustered DOT, text, a list, Mermaid or JSON.

Owns the output shapes of spec/oxoflow-format.md 4.3 and oxo-flow-api.md 1.4. Deterministic; names
are escaped, so that none can leave its label. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from oxoflow.engine.dag import topological_order
from oxoflow.engine.select import RuleGraph, critical_path, levels, metrics, parents_of


def to_dot(graph: RuleGraph) -> str:
    """Draw for graphviz: numbered nodes with labels, one line an edge."""
    lines = ["digraph {"]
    lines += [f"    {at} [ label = {_quoted(name)} ]" for at, name in enumerate(graph.names)]
    lines += [f"    {one} -> {two} [ ]" for one, two in graph.edges]
    return "\n".join([*lines, "}", ""])


def to_clustered_dot(graph: RuleGraph) -> str:
    """Draw for graphviz with one dashed box for each level."""
    lines = [
        "digraph workflow {",
        "    rankdir=TB",
        '    node [shape=box, style="rounded,filled", fillcolor="#e8f0fe", fontname="Helvetica"]',
        '    edge [color="#666666"]',
    ]
    for number, group in enumerate(levels(graph)):
        lines += [
            f"    subgraph cluster_{number} {{",
            f'        label="Level {number}"',
            "        style=dashed",
            *[f"        {_quoted(name)}" for name in group],
            "    }",
        ]
    lines += [f"    {_quoted(one)} -> {_quoted(two)}" for one, two in graph.named_edges]
    return "\n".join([*lines, "}", ""])


def to_ascii(graph: RuleGraph) -> str:
    """Draw as text, level by level."""
    figures = metrics(graph)
    path = critical_path(graph)
    parents = parents_of(graph)
    before = {
        name: sorted(graph.names[parent] for parent in parents[at])
        for at, name in enumerate(graph.names)
    }
    titles = [
        f"Workflow DAG: {figures.node_count} rules, {figures.edge_count} dependencies",
        f"Depth: {figures.max_depth}, Width: {figures.max_width}, Critical path: {len(path)} steps",
    ]
    width = max(map(len, titles))
    lines = [f"┌{'─' * (width + 2)}┐"]
    lines += [f"│ {title:<{width}} │" for title in titles]
    lines += [f"└{'─' * (width + 2)}┘"]
    groups = levels(graph)
    for number, group in enumerate(groups):
        kind = f"parallel: {len(group)} rules" if len(group) > 1 else "sequential"
        lines += ["", f"Level {number} ({kind})"]
        for name in group:
            needs = f" [depends: {', '.join(before[name])}]" if before[name] else ""
            lines.append(f"  {_plain(name)}{_plain(needs)}")
        if number + 1 < len(groups):
            lines.append("    ↓")
    if len(path) > 1:
        lines += ["", f"Critical path: {_plain(' → '.join(path))}"]
    return "\n".join([*lines, ""])


def to_tree(graph: RuleGraph) -> str:
    """List in topological order, each with what it needs and what needs it."""
    parents = parents_of(graph)
    children: list[list[int]] = [[] for _ in graph.names]
    for one, two in graph.edges:
        children[one].append(two)
    sequence = topological_order(parents, children)
    rest = sorted(set(range(len(graph.names))) - set(sequence))
    lines = []
    for number, at in enumerate([*sequence, *rest], 1):
        needs = ", ".join(graph.names[parent] for parent in parents[at])
        lines.append(_plain(f"{number}. {graph.names[at]}" + (f" [{needs}]" if needs else "")))
        lines += [_plain(f"   ↓ {graph.names[child]}") for child in children[at]]
    return "\n".join([*lines, ""])


def to_mermaid(graph: RuleGraph) -> str:
    """Draw for Mermaid, as it stands in Markdown pages."""
    lines = ["flowchart TD"]
    lines += [f'    n{at}["{_mermaid(name)}"]' for at, name in enumerate(graph.names)]
    lines += [f"    n{one} --> n{two}" for one, two in graph.edges]
    return "\n".join([*lines, ""])


def to_json(graph: RuleGraph) -> dict[str, Any]:
    """Give nodes with their levels, edges by name, and the figures of the graph."""
    groups = levels(graph)
    level = {name: number for number, group in enumerate(groups) for name in group}
    figures = metrics(graph)
    return {
        "nodes": [
            {"id": at, "name": name, "level": level[name]} for at, name in enumerate(graph.names)
        ],
        "edges": [{"from": one, "to": two} for one, two in graph.named_edges],
        "levels": groups,
        "critical_path": critical_path(graph),
        "metrics": {
            "node_count": figures.node_count,
            "edge_count": figures.edge_count,
            "max_depth": figures.max_depth,
            "max_width": figures.max_width,
        },
    }


DRAWINGS: Mapping[str, Callable[[RuleGraph], str]] = {
    "ascii": to_ascii,
    "dot": to_dot,
    "dot-clustered": to_clustered_dot,
    "tree": to_tree,
    "mermaid": to_mermaid,
}


def _quoted(name: str) -> str:
    """Quote for DOT: a backslash or quote cannot end the label, a newline is drawn as one."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\r", "\\r").replace("\n", "\\n") + '"'


def _mermaid(name: str) -> str:
    """Escape by character codes, which Mermaid reads as text."""
    return "".join(
        char if char.isalnum() or char in "_-.:/ " else f"#{ord(char)};" for char in name
    )


def _plain(text: str) -> str:
    """Keep a name on its line: control characters become visible escapes."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
