"""Run a Loop: one pass per item, while a condition holds, or a number of times (spec 4.7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from oxoflow.graph import model as m
from oxoflow.graph.evaluate import condition
from oxoflow.graph.nodes.bodies import value_of
from oxoflow.graph.nodes.crew import each
from oxoflow.graph.template import lookup_path, render
from oxoflow.graph.work import Context, NodeFailure, Outcome


def run_loop(kind: m.Loop, context: Context) -> Outcome:
    """Run the passes; results stand in the order of the passes."""
    results = VARIANTS[type(kind.loop_type)](kind, context)
    word = type(kind.loop_type).__name__.lower()
    return Outcome({"loop_type": word, "iterations": len(results), "results": results})


def _for_each(kind: m.Loop, context: Context) -> list[Any]:
    loop = kind.loop_type
    assert isinstance(loop, m.ForEach)
    items = _items(loop.collection_path, context)
    if len(items) > kind.max_iterations:
        raise NodeFailure(
            f"'{loop.collection_path}' has {len(items)} items, max_iterations is "
            f"{kind.max_iterations}",
            retry=False,
        )

    def one(index: int, inner: Context) -> Any:
        local = {loop.item_variable: items[index]}
        if loop.index_variable:
            local[loop.index_variable] = index
        return value_of(kind.body, loop.body_expression, inner.inside(f"body[{index}]", local))

    if loop.parallel:
        return each(one, len(items), context, loop.max_concurrency)
    return [one(index, context) for index in range(len(items))]


def _items(path: str, context: Context) -> list[Any]:
    name = path.strip().removeprefix("{{").removesuffix("}}").strip()
    try:
        items = lookup_path(name, context.scope.lookup)
    except KeyError:
        raise NodeFailure(f"Variable not found: {name}", retry=False) from None
    if not isinstance(items, list):
        raise NodeFailure(f"'{name}' is not a list", retry=False)
    return items


def _while(kind: m.Loop, context: Context) -> list[Any]:
    loop = kind.loop_type
    assert isinstance(loop, m.While)
    results: list[Any] = []
    while True:
        context.token.check()
        local: dict[str, Any] = {"last": results[-1] if results else None}
        if loop.counter_variable:
            local[loop.counter_variable] = len(results)
        inner = context.inside(f"body[{len(results)}]", local)
        if not condition(loop.condition, inner.scope.lookup):
            return results
        if len(results) >= kind.max_iterations:
            raise NodeFailure(
                f"the condition still holds after max_iterations = {kind.max_iterations} passes",
                retry=False,
            )
        results.append(value_of(kind.body, loop.body_expression, inner))


def _repeat(kind: m.Loop, context: Context) -> list[Any]:
    loop = kind.loop_type
    assert isinstance(loop, m.Repeat)
    text = render(loop.count, context.scope.lookup).strip()
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise NodeFailure(f"count '{text[:60]}' is not a whole number from 0", retry=False)
    count = int(text)
    if count > kind.max_iterations:
        raise NodeFailure(f"count is {count}, max_iterations is {kind.max_iterations}", retry=False)
    results: list[Any] = []
    for index in range(count):
        local: dict[str, Any] = {"last": results[-1] if results else None}
        if loop.index_variable:
            local[loop.index_variable] = index
        inner = context.inside(f"body[{index}]", local)
        results.append(value_of(kind.body, loop.body_expression, inner))
    return results


VARIANTS: dict[type, Callable[[m.Loop, Context], list[Any]]] = {
    m.ForEach: _for_each,
    m.While: _while,
    m.Repeat: _repeat,
}
