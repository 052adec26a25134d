"""Look at workflow texts for anonymous callers: no disk, no network, bounded time.

Owns how a text becomes what the verbs show, and the words for one that cannot. Knows no route.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oxoflow.engine.checking import Checked, check_text
from oxoflow.engine.dag import Dag, topological_order
from oxoflow.engine.select import RuleGraph, parents_of, rule_graph
from oxoflow.errors import Diagnostic, GraphError, ParseError, Severity, WorkflowError
from oxoflow.lang.deadline import Deadline
from oxoflow.lang.model import Workflow
from oxoflow.lang.positions import locate
from oxoflow.settings import load_limits

SECONDS = 3.0  # for one text


def look_at(text: str) -> Checked:
    """Everything that can be said about a text; raises ParseError when it is no workflow."""
    checked = check_text(text, deadline=Deadline.after(SECONDS), limits=load_limits())
    if checked.workflow is None:
        raise ParseError(worded(checked.diagnostics), checked.diagnostics)
    return checked


def graph_of(text: str) -> tuple[Workflow, Dag, RuleGraph]:
    """A text's workflow, its jobs' DAG and that folded to rules; raises GraphError without one."""
    checked = look_at(text)
    if checked.workflow is None or checked.dag is None:
        raise GraphError(worded(checked.errors), checked.errors)
    return checked.workflow, checked.dag, folded(checked.workflow, checked.dag)


def folded(workflow: Workflow, dag: Dag) -> RuleGraph:
    """The DAG with one node a rule, in file order, rules without jobs included."""
    return rule_graph(dag, workflow.rules)


def rule_order(graph: RuleGraph) -> list[str]:
    """Rule names in an order in which they can run, ties as in the file."""
    parents = parents_of(graph)
    children: list[list[int]] = [[] for _ in graph.names]
    for producer, consumer in graph.edges:
        children[producer].append(consumer)
    order = topological_order(parents, children)
    # Two rules can need each other's jobs in turn although the jobs form no cycle.
    rest = [at for at in range(len(graph.names)) if at not in set(order)]
    return [graph.names[at] for at in (*order, *rest)]


def located(error: WorkflowError, text: str) -> WorkflowError:
    """The same error, naming the line of what is wrong; the error itself if it does already."""
    found = tuple(locate(text, error.diagnostics))
    first = next((item for item in found if item.severity is Severity.ERROR), None)
    if first is None or f"line {first.line}" in error.message:
        return error
    return type(error)(worded(found), found)


def worded(diagnostics: Sequence[Diagnostic]) -> str:
    """What is wrong, in one line; the first error stands for all."""
    errors = [item for item in diagnostics if item.severity is Severity.ERROR]
    if not errors:
        return "the workflow cannot be planned"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return placed(errors[0]) + more


def placed(diagnostic: Diagnostic) -> str:
    """A message with its place, unless it names a line itself, and with its cure."""
    cure = f"; {diagnostic.suggestion}" if diagnostic.suggestion else ""
    file = f"'{diagnostic.file}' " if diagnostic.file else ""
    if diagnostic.line is None or f"line {diagnostic.line}" in diagnostic.message:
        return f"{file}{diagnostic.message}{cure}"
    column = f" column {diagnostic.column}" if diagnostic.column else ""
    return f"{diagnostic.message} ({file}line {diagnostic.line}{column}){cure}"


def shown(diagnostic: Diagnostic) -> dict[str, Any]:
    """A diagnostic as JSON (spec/oxo-flow-api.md 5.1); `file` when it is about an included one."""
    return {
        "severity": diagnostic.severity.value,
        "code": diagnostic.code,
        "message": diagnostic.message,
        "rule": diagnostic.rule,
        "suggestion": diagnostic.suggestion,
        "line": diagnostic.line,
        "column": diagnostic.column,
        **({"file": diagnostic.file} if diagnostic.file else {}),
    }


def counted(diagnostics: Sequence[Diagnostic]) -> dict[str, int]:
    """How many diagnostics there are of each severity."""
    return {
        f"{severity.value}_count": sum(item.severity is severity for item in diagnostics)
        for severity in Severity
    }
