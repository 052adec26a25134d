"""Do the verbs on workflow texts: fields in, fields out, nothing else touched.

Owns what each verb answers (spec/oxo-flow-api.md 1.4, 5). Knows no Flask and no database, so that
it runs in a process of its own (`textworker`), where a hostile text can be stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import asdict

from oxoflow.engine.draw import to_dot
from oxoflow.engine.load import load_text
from oxoflow.errors import Diagnostic, ParseError, Severity, WorkflowError
from oxoflow.lang.container import export
from oxoflow.lang.deadline import Deadline
from oxoflow.lang.diff import diff
from oxoflow.lang.format import format_workflow
from oxoflow.lang.lint import lint as lint_workflow
from oxoflow.lang.parse import parse_workflow
from oxoflow.lang.positions import locate
from oxoflow.lang.summary import detail, outputs_to_clean, stats
from oxoflow.report.model import to_json
from oxoflow.report.page import to_html
from oxoflow.report.workflow import report_workflow
from oxoflow.settings import load_limits
from oxoflow.web.looking import (
    SECONDS,
    counted,
    folded,
    graph_of,
    located,
    look_at,
    placed,
    rule_order,
    shown,
)
from oxoflow.web.planning import plan_launch
from oxoflow.web.previews import dry_run_body
from oxoflow.web.run_records import read_records

Fields = Mapping[str, Any]
Answer = dict[str, Any]


def validate(asked: Fields) -> Answer:
    """Say whether a text can run; what is wrong is data, never an error."""
    try:
        checked = look_at(asked["toml_content"])
    except ParseError as error:
        found = error.diagnostics
        worst = [item for item in found if item.severity is Severity.ERROR]
        errors = [f"{item.code}: {placed(item)}" for item in worst] or [error.message]
        return _verdict(errors, None, None)
    workflow, dag = checked.workflow, checked.dag
    assert workflow is not None
    return _verdict(
        [f"{item.code}: {placed(item)}" for item in checked.errors],
        len(workflow.rules),
        len(folded(workflow, dag).edges) if dag else None,
    )


def _verdict(errors: list[str], rules: int | None, edges: int | None) -> Answer:
    """Exactly the keys of the first API; `lint` tells errors as data, with line and column."""
    return {
        "valid": not errors,
        "errors": errors,
        "rules_count": rules,
        "edges_count": edges,
    }


def count(asked: Fields) -> Answer:
    """How many rules a text has; raises ParseError for what is no workflow and cannot be saved."""
    return {"rules_count": len(parse_workflow(asked["toml_content"], load_limits()).rules)}


def size(asked: Fields) -> Answer:
    """The name and the number of jobs of a text that an execution wants to run."""
    deadline = Deadline.after(SECONDS)
    loaded = load_text(
        asked["toml_content"],
        overrides=asked["overrides"],
        deadline=deadline,
        limits=load_limits(),
    )
    return {"workflow_name": loaded.workflow.name, "jobs": len(loaded.jobs)}


def parse(asked: Fields) -> Answer:
    """The workflow and its rules as written, defaults applied, includes not resolved."""
    return detail(parse_workflow(asked["toml_content"], load_limits()))


def dag(asked: Fields) -> Answer:
    """The graph of rules as DOT."""
    _, _, graph = graph_of(asked["toml_content"])
    return {"dot": to_dot(graph), "nodes": len(graph.names), "edges": len(graph.edges)}


def dry_run(asked: Fields) -> Answer:
    """What a run would do, in order."""
    loaded = load_text(
        asked["toml_content"], deadline=Deadline.after(SECONDS), limits=load_limits()
    )
    return dry_run_body(loaded, asked["config"])


def format_text(asked: Fields) -> Answer:
    """The text in its canonical form."""
    return {"formatted": format_workflow(asked["toml_content"], load_limits())}


def findings(text: str) -> list[Diagnostic]:
    """The validator's diagnostics, then the advice; raises ParseError."""
    checked = look_at(text)
    assert checked.workflow is not None
    graph = folded(checked.workflow, checked.dag) if checked.dag else None
    advice = lint_workflow(checked.workflow, graph.named_edges if graph else None)
    return [*checked.diagnostics, *locate(text, advice)]


def lint(asked: Fields) -> Answer:
    """Every diagnostic of a text: errors of the validator first, then advice."""
    found = findings(asked["toml_content"])
    return {"diagnostics": [shown(item) for item in found], **counted(found)}


def lint_page(asked: Fields) -> Answer:
    """One page of the diagnostics; the counts are over all of them."""
    found = findings(asked["toml_content"])
    page, per_page = asked["page"], asked["per_page"]
    start = (page - 1) * per_page
    pages = max(1, -(-len(found) // per_page))
    return {
        "diagnostics": [shown(item) for item in found[start : start + per_page]],
        "pagination": {
            "page": page,
            "per_page": per_page,
            "total_items": len(found),
            "total_pages": pages,
            "has_next": page < pages,
            "has_prev": page > 1,
        },
        "summary": counted(found),
    }


def statistics(asked: Fields) -> Answer:
    """The workflow in figures."""
    checked = look_at(asked["toml_content"])
    assert checked.workflow is not None
    graph = folded(checked.workflow, checked.dag) if checked.dag else None
    return stats(checked.workflow, graph.named_edges if graph else None)


def difference(asked: Fields) -> Answer:
    """What two texts mean differently."""
    sides = []
    for name in ("toml_a", "toml_b"):
        try:
            sides.append(parse_workflow(asked[name], load_limits()))
        except ParseError as error:
            words = located(error, asked[name]).message
            raise ParseError(f"{name}: {words}", error.diagnostics) from None
    found = diff(*sides)
    return {"diff_count": len(found), "diffs": [asdict(item) for item in found]}


def container(asked: Fields) -> Answer:
    """A recipe of an image for the workflow."""
    checked = look_at(asked["toml_content"])
    assert checked.workflow is not None
    return {"format": asked["format"], "content": export(checked.workflow, asked["format"])}


def clean(asked: Fields) -> Answer:
    """The outputs that cleaning would remove, wildcards as written; removes nothing."""
    workflow = parse_workflow(asked["toml_content"], load_limits())
    files = outputs_to_clean(workflow)
    return {"workflow_name": workflow.name, "files_to_clean": files, "total_files": len(files)}


def report(asked: Fields) -> Answer:
    """The report of a workflow that has not run; as a page it is the one field `html`."""
    workflow, _, graph = graph_of(asked["toml_content"])
    made = report_workflow(workflow, rule_order(graph), len(graph.edges), asked["now"])
    return to_json(made) if asked["format"] == "json" else {"html": to_html(made)}


VERBS: Mapping[str, Callable[[Fields], Answer]] = {
    "validate": validate,
    "count": count,
    "size": size,
    "parse": parse,
    "dag": dag,
    "dry-run": dry_run,
    "format": format_text,
    "lint": lint,
    "lint/paginated": lint_page,
    "stats": statistics,
    "diff": difference,
    "export": container,
    "clean": clean,
    "report": report,
    "launch": plan_launch,
    "records": read_records,
}


def do_here(verb: str, asked: Fields) -> Answer:
    """Do a verb in this process; raises WorkflowError, which names a line where there is one."""
    try:
        return VERBS[verb](asked)
    except WorkflowError as error:
        text = asked.get("toml_content")
        raise (error if text is None else located(error, text)) from None
