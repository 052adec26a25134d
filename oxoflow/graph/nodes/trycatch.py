"""Run a TryCatch: try, perhaps catch, in the end finally (spec/oxify-api.md 4.7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oxoflow.errors import WorkflowError
from oxoflow.graph import model as m
from oxoflow.graph.nodes.bodies import value_of
from oxoflow.graph.work import Context, NodeFailure, Outcome

FAILURES = (NodeFailure, WorkflowError)  # what a part may fail with; being stopped is no failure


def run_try_catch(kind: m.TryCatch, context: Context) -> Outcome:
    """Run the parts; `finally` always runs, without the error variable, unless all is stopped."""
    output: dict[str, Any] = {
        "try_result": None,
        "catch_result": None,
        "finally_result": None,
        "error_handled": False,
    }
    failure: NodeFailure | None = None
    try:
        output["try_result"] = _part(kind.try_expression, kind.try_body, context, "try", {})
    except FAILURES as error:
        failure = _catch(kind, context, error.message, output)
    if kind.finally_expression is not None or kind.finally_body is not None:
        try:
            output["finally_result"] = _part(
                kind.finally_expression, kind.finally_body, context, "finally", {}
            )
        except FAILURES as error:
            before = f"{failure.message}; " if failure else ""
            raise NodeFailure(f"{before}finally failed: {error.message}") from error
    if failure is not None:
        raise failure
    return Outcome(output)


def _catch(
    kind: m.TryCatch, context: Context, said: str, output: dict[str, Any]
) -> NodeFailure | None:
    """Handle the failure of `try`; the failure that is left, if any."""
    if kind.catch_expression is None and kind.catch_body is None:
        return NodeFailure(said)
    local = {kind.error_variable: said}
    try:
        output["catch_result"] = _part(
            kind.catch_expression, kind.catch_body, context, "catch", local
        )
    except FAILURES as error:
        return NodeFailure(f"{said}; catch failed: {error.message}")
    output["error_handled"] = True
    return NodeFailure(said) if kind.rethrow else None


def _part(
    expression: str | None,
    body: m.Kind | None,
    context: Context,
    step: str,
    local: Mapping[str, Any],
) -> Any:
    return value_of(body, expression or "", context.inside(step, local))
