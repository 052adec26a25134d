"""Serve the verbs on workflow texts: text in, text out, for anybody (spec/oxo-flow-api.md 1.4).

Nothing here looks at a disk, stores anything or tells anything about the host.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response

from oxoflow.commands.format_large import LARGE, format_any
from oxoflow.engine.draw import to_dot
from oxoflow.engine.load import load_text
from oxoflow.errors import InvalidInput, ParseError, Unavailable
from oxoflow.lang.container import FORMATS, export
from oxoflow.lang.deadline import Deadline
from oxoflow.lang.diff import diff
from oxoflow.lang.parse import parse_workflow
from oxoflow.lang.summary import detail, outputs_to_clean, stats
from oxoflow.web.http import Unprocessable, check_members, json_body, reply
from oxoflow.web.looking import SECONDS, folded, graph_of, look_at, placed, shown
from oxoflow.web.previews import dry_run_body

MOST_JOBS = 10_000  # at a time
FORMAT_SECONDS = 5.0
RUN_CONFIG: Mapping[str, type] = {"max_jobs": int, "dry_run": bool, "keep_going": bool}
LONG_TEXTS = threading.BoundedSemaphore(2)  # each is formatted in a process of its own

blueprint = Blueprint("verbs", __name__, url_prefix="/api/workflows")


def given_text() -> str:
    """The text that came with a verb."""
    text: str = json_body(required={"toml_content": str})["toml_content"]
    return text


@blueprint.post("/validate")
def validate() -> Response:
    """Say whether a text can run; what is wrong is data, never an error status."""
    text = given_text()
    try:
        checked = look_at(text)
    except ParseError as error:
        found = error.diagnostics
        errors = [f"{item.code}: {placed(item)}" for item in found] or [error.message]
        return reply(_verdict(errors, None, None, [shown(item) for item in found]))
    workflow, dag = checked.workflow, checked.dag
    assert workflow is not None
    return reply(
        _verdict(
            [f"{item.code}: {placed(item)}" for item in checked.errors],
            len(workflow.rules),
            len(folded(workflow, dag).edges) if dag else None,
            [shown(item) for item in checked.diagnostics],
        )
    )


def _verdict(
    errors: list[str], rules: int | None, edges: int | None, diagnostics: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "valid": not errors,
        "errors": errors,
        "rules_count": rules,
        "edges_count": edges,
        "diagnostics": diagnostics,
    }


@blueprint.post("/parse")
def parse() -> Response:
    """The workflow and its rules as written, defaults applied, includes not resolved."""
    return reply(detail(parse_workflow(given_text())))


@blueprint.post("/dag")
def dag() -> Response:
    """The graph of rules as DOT."""
    _, _, graph = graph_of(given_text())
    return reply({"dot": to_dot(graph), "nodes": len(graph.names), "edges": len(graph.edges)})


@blueprint.post("/dry-run")
def dry_run() -> Response:
    """What a run would do, in order."""
    body = json_body(required={"toml_content": str}, optional={"config": dict})
    config = run_config(body.get("config") or {})
    loaded = load_text(body["toml_content"], deadline=Deadline.after(SECONDS))
    return reply(dry_run_body(loaded, config))


def run_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The known members of a request's `config`, checked; the rest is ignored."""
    check_members(config, RUN_CONFIG, "config.")
    jobs = config.get("max_jobs")
    if jobs is not None and not 1 <= jobs <= MOST_JOBS:
        raise Unprocessable(
            "Invalid request body", f"the field 'config.max_jobs' must be 1 to {MOST_JOBS}"
        )
    return {name: config.get(name) for name in RUN_CONFIG}


@blueprint.post("/format")
def format_text() -> Response:
    """The text in its canonical form."""
    text = given_text()
    if len(text) <= LARGE:
        return reply({"formatted": format_any(text)})
    if not LONG_TEXTS.acquire(timeout=FORMAT_SECONDS):
        raise Unavailable("Too many long texts are being formatted", retry_after=5)
    try:
        return reply({"formatted": format_any(text, seconds=FORMAT_SECONDS)})
    finally:
        LONG_TEXTS.release()


@blueprint.post("/stats")
def statistics() -> Response:
    """The workflow in figures."""
    checked = look_at(given_text())
    assert checked.workflow is not None
    graph = folded(checked.workflow, checked.dag) if checked.dag else None
    return reply(stats(checked.workflow, graph.named_edges if graph else None))


@blueprint.post("/diff")
def difference() -> Response:
    """What two texts mean differently."""
    body = json_body(required={"toml_a": str, "toml_b": str})
    sides = []
    for name in ("toml_a", "toml_b"):
        try:
            sides.append(parse_workflow(body[name]))
        except ParseError as error:
            raise ParseError(f"{name}: {error.message}", error.diagnostics) from None
    found = diff(*sides)
    return reply({"diff_count": len(found), "diffs": [asdict(item) for item in found]})


@blueprint.post("/export")
def container() -> Response:
    """A recipe of an image for the workflow."""
    body = json_body(required={"toml_content": str}, optional={"format": str})
    wanted = body.get("format") or "docker"
    if wanted not in FORMATS:
        raise InvalidInput("Unsupported export format", f"choose {' or '.join(FORMATS)}")
    checked = look_at(body["toml_content"])
    assert checked.workflow is not None
    return reply({"format": wanted, "content": export(checked.workflow, wanted)})


@blueprint.post("/clean")
def clean() -> Response:
    """The outputs that cleaning would remove, wildcards as written; removes nothing."""
    workflow = parse_workflow(given_text())
    files = outputs_to_clean(workflow)
    return reply(
        {"workflow_name": workflow.name, "files_to_clean": files, "total_files": len(files)}
    )
