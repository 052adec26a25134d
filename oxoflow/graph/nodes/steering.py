"""Run the kinds that only steer: Start, End and IfElse (spec/oxify-api.md 4.2, 4.6)."""

from __future__ import annotations

from oxoflow.graph import model as m
from oxoflow.graph.evaluate import condition
from oxoflow.graph.work import Context, Outcome


def run_start(kind: m.Start, context: Context) -> Outcome:
    """Begin."""
    return Outcome({})


def run_end(kind: m.End, context: Context) -> Outcome:
    """End; the variable `result`, if there is one, is the answer."""
    try:
        return Outcome({"result": context.scope.lookup("result")})
    except KeyError:
        return Outcome({})


def run_if_else(kind: m.IfElse, context: Context) -> Outcome:
    """Decide between two branches."""
    verdict = condition(kind.expression, context.scope.lookup)
    return Outcome(
        {
            "expression": kind.expression,
            "condition_met": verdict,
            "next_branch": "true" if verdict else "false",
            "next_node": kind.true_branch if verdict else kind.false_branch,
        }
    )
