"""Run a Parallel node: its tasks at a time, until the strategy is satisfied (spec 4.7)."""

from __future__ import annotations

import contextlib
from typing import Any

from oxoflow.errors import OxoflowError
from oxoflow.graph import model as m
from oxoflow.graph.nodes.bodies import value_of
from oxoflow.graph.nodes.crew import Ended, as_ended
from oxoflow.graph.work import Context, NodeFailure, Outcome, Token


def run_parallel(kind: m.Parallel, context: Context) -> Outcome:
    """Run the tasks; `timeout_ms` bounds them all together."""
    seconds = None if kind.timeout_ms is None else kind.timeout_ms / 1000
    token = Token(context.token, seconds)
    try:
        results = _results(kind, context.inside("tasks", {}, token))
    finally:
        token.close()
    return Outcome({"strategy": kind.strategy.value, "results": results})


def _results(kind: m.Parallel, context: Context) -> dict[str, Any]:
    def one(index: int, inner: Context) -> Any:
        task = kind.tasks[index]
        return value_of(task.body, task.expression, inner.inside(f"body[{task.id}]", {}))

    found: dict[str, Any] = {}
    last: OxoflowError | None = None
    outcomes = as_ended(one, len(kind.tasks), context, kind.max_concurrency)
    with contextlib.closing(outcomes):
        for ended in outcomes:
            name = kind.tasks[ended.index].id
            found[name] = _told(ended)
            if isinstance(ended.error, OxoflowError):
                last = ended.error
                if kind.strategy is m.Strategy.WAIT_ALL:
                    raise _failure(f"Task '{name}' failed: {last.message}", last)
            elif kind.strategy is m.Strategy.RACE:
                return found
    if kind.strategy is m.Strategy.RACE and last is not None:
        raise _failure(f"All tasks failed; the last: {last.message}", last)
    return {task.id: found[task.id] for task in kind.tasks if task.id in found}


def _told(ended: Ended) -> dict[str, Any]:
    """One entry of the results; what is no failure of a task goes up."""
    if ended.error is None:
        return {"status": "success", "value": ended.value}
    if isinstance(ended.error, OxoflowError):
        return {"status": "error", "error": ended.error.message}
    raise ended.error


def _failure(message: str, cause: OxoflowError) -> NodeFailure:
    """A failure that may be retried if its cause may."""
    return NodeFailure(message, retry=isinstance(cause, NodeFailure) and cause.retry)
