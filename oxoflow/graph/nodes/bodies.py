"""Compute the value of a pass: its body, a node kind, or else its expression (spec 4.7).

Owns the memory of passes done before a crash: a pass with a body is never run twice.
"""

from __future__ import annotations

from typing import Any

from oxoflow.graph import model as m
from oxoflow.graph.template import resolve
from oxoflow.graph.work import Context


def value_of(body: m.Kind | None, expression: str, context: Context) -> Any:
    """The value that `context`, one step of a node, comes to."""
    context.token.check()
    if body is None:
        return resolve(expression, context.scope.lookup)
    done = context.desk.remembered(context)
    if done is not None:
        return done["output"]
    outcome = context.desk.run(body, context)
    context.desk.remember(context, outcome)
    return outcome.output
