"""Judge each node by itself: what its kind must have (rows 7 to 14) and what looks strange in it.

Owns one function per kind, found through two tables; sees no other node but by id. The order of
the findings of one node is that of spec/oxify-api.md section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from oxoflow.graph import late
from oxoflow.graph import model as m
from oxoflow.graph.expression import ExpressionError, parse
from oxoflow.graph.findings import Finding

RUNTIMES = ("python", "shell", "bash")
PROVIDERS = ("openai", "anthropic", "claude", "ollama", "local", "llamacpp")
DATABASES = ("sqlite", "fts5")
READERS = ("mock", "tesseract")

Said = Iterator[tuple[str, str]]  # code and message


def _blank(text: str | None) -> bool:
    return text is not None and not text.strip()


def _if_else(kind: m.IfElse, ids: frozenset[str]) -> Said:
    for word, branch in (("true", kind.true_branch), ("false", kind.false_branch)):
        if branch not in ids:
            yield "InvalidConditionalBranch", f"{word}_branch {branch} is not a node of the graph"


def _switch(kind: m.Switch, ids: frozenset[str]) -> Said:
    if _blank(kind.switch_on):
        yield "SwitchNodeEmptyExpression", "switch_on is empty"
    if not kind.cases and kind.default_case is None:
        yield "SwitchNodeNoCases", "has neither cases nor a default_case"
    for at, case in enumerate(kind.cases):
        if _blank(case.match_value):
            yield "SwitchCaseEmptyMatch", f"match_value of case {at} is empty"


def _parallel(kind: m.Parallel, ids: frozenset[str]) -> Said:
    if not kind.tasks:
        yield "ParallelNodeNoTasks", "has no tasks"
    seen: set[str] = set()
    for task in kind.tasks:
        if _blank(task.expression):
            yield "ParallelTaskEmptyExpression", f"the expression of task '{task.id}' is empty"
        if task.id in seen:
            yield "ParallelDuplicateTaskId", f"task id '{task.id}' is used twice"
        seen.add(task.id)


def _approval(kind: m.Approval, ids: frozenset[str]) -> Said:
    if _blank(kind.message):
        yield "ApprovalEmptyMessage", "message is empty"


def _form(kind: m.Form, ids: frozenset[str]) -> Said:
    if not kind.fields:
        yield "FormNoFields", "has no fields"
    seen: set[str] = set()
    for field in kind.fields:
        if _blank(field.label):
            yield "FormFieldEmptyLabel", f"the label of field '{field.id}' is empty"
        if field.id in seen:
            yield "FormDuplicateFieldId", f"field id '{field.id}' is used twice"
        seen.add(field.id)


def _loop(kind: m.Loop, ids: frozenset[str]) -> Said:
    if isinstance(kind.loop_type, m.ForEach) and _blank(kind.loop_type.collection_path):
        yield "LoopEmptyCollectionPath", "collection_path is empty"
    if _blank(kind.loop_type.body_expression):
        yield "LoopEmptyBodyExpression", "body_expression is empty"


def _try_catch(kind: m.TryCatch, ids: frozenset[str]) -> Said:
    if _blank(kind.try_expression):
        yield "TryCatchEmptyTryExpression", "try_expression is empty"


def _sub_workflow(kind: m.SubWorkflow, ids: frozenset[str]) -> Said:
    if _blank(kind.workflow_path):
        yield "SubWorkflowEmptyPath", "workflow_path is empty"


ERRORS: dict[type, Callable[[Any, frozenset[str]], Said]] = {
    m.IfElse: _if_else,
    m.Switch: _switch,
    m.Parallel: _parallel,
    m.Approval: _approval,
    m.Form: _form,
    m.Loop: _loop,
    m.TryCatch: _try_catch,
    m.SubWorkflow: _sub_workflow,
}


def bodies(kind: m.Kind) -> list[m.Kind]:
    """The node kinds inside a node kind (4.7), one level down."""
    if isinstance(kind, m.Loop):
        found = [kind.body]
    elif isinstance(kind, m.Parallel):
        found = [task.body for task in kind.tasks]
    elif isinstance(kind, m.TryCatch):
        found = [kind.try_body, kind.catch_body, kind.finally_body]
    else:
        found = []
    return [body for body in found if body is not None]


def errors_of(node: m.Node, ids: frozenset[str]) -> list[Finding]:
    """What is wrong with a node, its bodies included."""
    found: list[Finding] = []
    todo: list[m.Kind] = [node.kind]
    while todo:
        kind = todo.pop(0)
        judge = ERRORS.get(type(kind))
        for code, message in judge(kind, ids) if judge else ():
            found.append(Finding(code, f"Node '{node.name}': {message}", node.id))
        todo += bodies(kind)
    return found


def _supported(code: str, value: str, known: tuple[str, ...], what: str) -> Said:
    if value.lower() not in known:
        yield code, f"{what} '{value[:60]}' is not available here; there are {', '.join(known)}"


def _readable(source: str, what: str) -> Said:
    try:
        parse(source)
    except ExpressionError as error:
        yield "UnparsableExpression", f"{what} cannot be read: {error.message}"


def _usable(pattern: str, what: str) -> Said:
    try:
        late.load("lang.patterns:compile_pattern")(pattern)
    except ValueError as error:
        yield "InvalidRegex", f"{what}: '{pattern[:100]}' cannot be used: {error}"


def _strange(kind: m.Kind) -> Said:
    if isinstance(kind, m.Code):
        yield from _supported("UnsupportedRuntime", kind.runtime, RUNTIMES, "runtime")
    elif isinstance(kind, m.Llm):
        yield from _supported("UnsupportedProvider", kind.provider, PROVIDERS, "provider")
    elif isinstance(kind, m.Vision):
        yield from _supported("UnsupportedProvider", kind.provider, READERS, "provider")
    elif isinstance(kind, m.Retriever):
        yield from _supported("UnsupportedProvider", kind.db_type, DATABASES, "db_type")
    elif isinstance(kind, m.IfElse):
        yield from _readable(kind.expression, "expression")
    elif isinstance(kind, m.Loop) and isinstance(kind.loop_type, m.While):
        yield from _readable(kind.loop_type.condition, "condition")
    elif isinstance(kind, m.Switch):
        for case in kind.cases:
            if case.match_value.startswith("regex:"):
                yield from _usable(case.match_value.removeprefix("regex:"), "case")
    elif isinstance(kind, m.Form):
        for field in kind.fields:
            pattern = (field.validation or {}).get("pattern")
            if isinstance(pattern, str):
                yield from _usable(pattern, f"field '{field.id}'")


def warnings_of(node: m.Node) -> list[Finding]:
    """What will probably not work as meant in a node, its bodies included."""
    found: list[Finding] = []
    todo: list[m.Kind] = [node.kind]
    while todo:
        kind = todo.pop(0)
        for code, message in _strange(kind):
            found.append(Finding(code, f"Node '{node.name}': {message}", node.id))
        todo += bodies(kind)
    return found


def edge_warnings(edge: m.Edge) -> list[Finding]:
    """What is strange about an edge's condition."""
    if edge.condition and edge.condition.strip():
        return [
            Finding(code, f"Edge {edge.source} to {edge.target}: {message}")
            for code, message in _readable(edge.condition, "condition")
        ]
    return []
