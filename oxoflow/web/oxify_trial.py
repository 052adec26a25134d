"""Try a graph out: execute it, wait for its end, and compare its answer (spec 1.3, test).

At most half of the request threads wait; beyond that the answer is 503.
"""

from __future__ import annotations

import time
from typing import Any

from flask import Response

from oxoflow.db.executions import find_execution
from oxoflow.errors import Unavailable
from oxoflow.executions import showing
from oxoflow.graph.evaluate import equal
from oxoflow.graph.jsontext import compact
from oxoflow.graph.template import parsed
from oxoflow.web.deeds import deed
from oxoflow.web.http import reply, services
from oxoflow.web.oxify import body, caller, graph_of, make_blueprint
from oxoflow.web.oxify_graphs import document_of, own_graph
from oxoflow.web.waiting import may_wait

USUAL_MS = 30_000  # how long a trial may take when nothing else is said
ANSWERS = ("result", "output")  # the variables that hold an answer, in this order

blueprint = make_blueprint(__name__)


@blueprint.post("/api/v1/workflows/<item:workflow_id>/test")
def try_out(workflow_id: str) -> Response:
    """Execute and compare; a graph that fails or takes too long has not passed."""
    given = body(may_be_empty=True)
    row = own_graph(workflow_id)
    expected, limit = given.get("expected_output"), given.get("timeout_ms", USUAL_MS)
    variables = {
        name: parsed(value) if isinstance(value, str) else value
        for name, value in given.get("inputs", {}).items()
    }
    with may_wait() as patient:
        if not patient:
            raise Unavailable("Too many requests wait already", retry_after=10)
        began = time.monotonic()
        execution_id = services().executions.start(
            caller(), graph_of(document_of(row)), row.id, variables,
            deed("test_graph", f"{row.id} {row.name}"),
        )  # fmt: skip
        ended = services().executions.await_end(execution_id, limit / 1000)
    spent = round((time.monotonic() - began) * 1000)
    found = find_execution(services().db.read(), None, execution_id)
    detail = {} if found is None else showing.detail(services().workspace, found)
    return reply(
        {
            **_verdict(detail, expected, ended, limit),
            "execution_id": execution_id,
            "expected_output": expected,
            "execution_time_ms": spent,
        }
    )


def _verdict(
    detail: dict[str, Any], expected: str | None, ended: bool, limit: int
) -> dict[str, Any]:
    state = detail.get("state")
    if not ended:
        return {"passed": False, "output": None, "error": f"Timed out after {limit} ms"}
    if state != "Completed":
        error = state.get("Failed") if isinstance(state, dict) else state
        return {"passed": False, "output": None, "error": error}
    output = _output(detail["variables"])
    passed = expected is None or is_same(output, expected)
    error = None if passed else "The output is not what was expected"
    return {"passed": passed, "output": output, "error": error}


def _output(variables: dict[str, Any]) -> str:
    """The JSON text of the answer; `{}` when no variable holds one."""
    return next((compact(variables[name]) for name in ANSWERS if name in variables), "{}")


def is_same(output: str, expected: str) -> bool:
    """Equal as trimmed text or as JSON; a text answer may be given without its quotes."""
    if output.strip() == expected.strip():
        return True
    value = parsed(output)
    bare = isinstance(value, str) and value.strip() == expected.strip()
    return bare or equal(value, parsed(expected))
