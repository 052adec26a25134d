"""Build graph documents from names: ids follow from the names, edges are pairs of names."""

import itertools
import uuid
from typing import Any

SPACE = uuid.UUID("00000000-0000-4000-8000-0000000000aa")


def node_id(name: str) -> str:
    return str(uuid.uuid5(SPACE, name))


def node(name: str, kind: str, config: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    tagged: dict[str, Any] = {"type": kind}
    if config is not None:
        tagged["config"] = config
    return {"id": node_id(name), "name": name, "kind": tagged, **more}


def code(
    name: str, text: str, output: str = "", inputs: list[str] | None = None, **more: Any
) -> Any:
    runtime = more.pop("runtime", "python")
    config = {"runtime": runtime, "code": text, "inputs": inputs or [], "output": output}
    return node(name, "Code", config, **more)


def shell(
    name: str, text: str, output: str = "", inputs: list[str] | None = None, **more: Any
) -> Any:
    return code(name, text, output, inputs, runtime="shell", **more)


def if_else(name: str, expression: str, true: str, false: str) -> dict[str, Any]:
    return node(
        name,
        "IfElse",
        {"expression": expression, "true_branch": node_id(true), "false_branch": node_id(false)},
    )


def edge(source: str, target: str, **more: Any) -> dict[str, Any]:
    return {"from": node_id(source), "to": node_id(target), **more}


def document(nodes: list[Any], edges: list[Any], name: str = "A graph") -> dict[str, Any]:
    """Edges are given as `edge(…)` or as text: "a b c" is a to b and b to c."""
    drawn: list[Any] = []
    for entry in edges:
        if isinstance(entry, str):
            words = entry.split()
            drawn += [edge(a, b) for a, b in itertools.pairwise(words)]
        else:
            drawn.append(entry)
    return {"metadata": {"name": name}, "nodes": nodes, "edges": drawn}


def line(*middle: dict[str, Any], name: str = "A line") -> dict[str, Any]:
    """Start, the nodes given, End, one after the other."""
    nodes = [node("Start", "Start"), *middle, node("End", "End")]
    edges = [{"from": a["id"], "to": b["id"]} for a, b in itertools.pairwise(nodes)]
    return {"metadata": {"name": name}, "nodes": nodes, "edges": edges}
