"""Run a SubWorkflow: another graph, in this process, with its own names (spec 4.7).

Owns what goes in and out. The nodes inside are steps of this node: remembered one by one, so that a
crash repeats none, and not listed among the results.
"""

from __future__ import annotations

import contextlib
from typing import Any

from oxoflow.errors import InvalidInput
from oxoflow.graph import model as m
from oxoflow.graph.compile import Step, compile_graph
from oxoflow.graph.driver import Driver, Options
from oxoflow.graph.journal import is_repeatable
from oxoflow.graph.results import How, NodeResult, result_of
from oxoflow.graph.scope import Values
from oxoflow.graph.template import resolve
from oxoflow.graph.validate import read_graph
from oxoflow.graph.work import Context, NodeFailure, Outcome

MAX_DEPTH = 8


def run_sub_workflow(kind: m.SubWorkflow, context: Context) -> Outcome:
    """Load, validate, run, extract."""
    if context.depth >= MAX_DEPTH:
        raise NodeFailure(f"sub-workflows are nested deeper than {MAX_DEPTH}", retry=False)
    try:
        graph = read_graph(context.desk.document(kind.workflow_path))
    except InvalidInput as error:
        raise NodeFailure(
            f"sub-workflow '{kind.workflow_path}' is not valid: {error.message}", retry=False
        ) from None
    values, ended, count = _run(graph, _inputs(kind, context), context)
    context.token.check()
    if ended is not None:
        raise NodeFailure(f"sub-workflow '{graph.metadata.name}' failed: {ended}")
    variables = values.variables()
    named = kind.output_variable
    output = {
        "sub_workflow_id": graph.metadata.id,
        "execution_state": "Completed",
        "node_count": count,
        "output": variables.get(named) if named else variables,
    }
    return Outcome(output, {named: variables.get(named)} if named else {})


def _inputs(kind: m.SubWorkflow, context: Context) -> dict[str, Any]:
    inputs = context.scope.variables() if kind.inherit_context else {}
    for name, template in kind.input_mappings.items():
        inputs[name] = resolve(template, context.scope.lookup)
    return inputs


def _run(
    graph: m.Graph, inputs: dict[str, Any], context: Context
) -> tuple[Values, str | None, int]:
    """The values at the end, the error if any, and how many nodes ran."""
    program = compile_graph(graph)
    nodes = [step.node for step in program.steps]
    values = Values(inputs, (node.id for node in nodes), (node.name for node in nodes))
    place = f"{context.at}/"
    options = Options(
        slots=context.desk.limits.slots, look_seconds=5.0, place=place, depth=context.depth + 1
    )
    with contextlib.ExitStack() as stack:
        reporter = _Silent(context, stack)
        driver = Driver(program, values, context.desk, reporter, context.token, options)
        known = _known(program.steps, place, context)
        driver.restore(known)
        with context.token.calling(lambda: driver.post(_nothing)):
            ending = driver.run()
    return values, ending.error, len(known) + reporter.count


def _known(steps: tuple[Step, ...], place: str, context: Context) -> dict[str, NodeResult]:
    """The nodes that an earlier life ended."""
    found = {}
    for step in steps:
        memory = context.desk.step(place + step.node.id)
        if memory is not None:
            how = How(memory["output"]["how"])
            found[step.node.id] = result_of(
                step.node, how, 0.0, 0.0, output=memory["output"]["output"],
                error=memory["output"]["error"], variables=memory["variables"],
            )  # fmt: skip
    return found


class _Silent:
    """The reporter of a sub-workflow: remembers, tells nobody, and waits as its node waits."""

    def __init__(self, context: Context, stack: contextlib.ExitStack) -> None:
        self._context = context
        self._stack = stack
        self._must_sync = False
        self.count = 0

    def started(self, step: Step) -> None:
        self.count += 1

    def ended(self, step: Step, result: NodeResult) -> None:
        at = f"{self._context.at}/{step.node.id}"
        body = {"how": result.how.value, "output": result.output, "error": result.error}
        self._context.desk.note(at, body, result.variables)
        self._must_sync = self._must_sync or not is_repeatable(step.node.kind)

    def commit(self) -> None:
        self._context.desk.commit(self._must_sync)
        self._must_sync = False

    def retrying(self, step: Step, retry: int, most: int, seconds: float, reason: str) -> None:
        return

    def failed_attempts(self, step: Step) -> int:
        return self._context.desk.failed_attempts(f"{self._context.at}/{step.node.id}")

    def attempt_failed(self, step: Step, number: int) -> None:
        self._context.desk.note_attempt(f"{self._context.at}/{step.node.id}", number)

    def look(self, driver: Driver) -> None:
        return

    def settled(self, driver: Driver) -> None:
        return

    def waiting(self, only: bool) -> None:
        if only:
            self._stack.enter_context(self._context.seat.waiting())
        else:
            self._stack.close()


def _nothing() -> None:
    return
