"""Serve the verbs on workflow texts, for anybody (spec/oxo-flow-api.md 1.4).

Reads what is asked and has it done by `services().texts`. Nothing here looks at a disk, stores
anything or tells anything about the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response

from oxoflow.errors import InvalidInput, ParseError, WorkflowError
from oxoflow.web.http import (
    Unprocessable,
    check_members,
    json_body,
    query_number,
    reply,
    services,
)

RUN_CONFIG: Mapping[str, type] = {"max_jobs": int, "dry_run": bool, "keep_going": bool}
FORMATS = ("docker", "singularity")  # of recipes; the workers load the module that writes them
MOST_JOBS = 10_000  # at a time
PER_PAGE, MOST_PER_PAGE = 20, 100
PLAIN = ("parse", "dag", "format", "lint", "stats", "clean")  # take a text and nothing else

blueprint = Blueprint("verbs", __name__, url_prefix="/api/workflows")


def _do(verb: str, **asked: Any) -> Response:
    return reply(services().texts(verb, asked))


def given_text() -> str:
    """The text that came with a verb."""
    text: str = json_body(required={"toml_content": str})["toml_content"]
    return text


@blueprint.post("/validate")
def validate() -> Response:
    """Say whether a text can run; what is wrong is data, never an error status."""
    text = given_text()
    try:
        return _do("validate", toml_content=text)
    except ParseError:
        raise
    except WorkflowError as error:  # it was stopped
        return reply(
            {
                "valid": False,
                "errors": [error.message],
                "rules_count": None,
                "edges_count": None,
            }
        )


def _plain(verb: str) -> None:
    """Serve a verb that takes a text and nothing else."""

    def view() -> Response:
        return _do(verb, toml_content=given_text())

    blueprint.add_url_rule(f"/{verb}", verb, view, methods=["POST"])


for _verb in PLAIN:
    _plain(_verb)


@blueprint.post("/dry-run")
def dry_run() -> Response:
    """What a run would do, in order."""
    body = json_body(required={"toml_content": str}, optional={"config": dict})
    config = run_config(body.get("config") or {})
    return _do("dry-run", toml_content=body["toml_content"], config=config)


def run_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The known members of a request's `config`, checked; the rest is ignored."""
    check_members(config, RUN_CONFIG, "config.")
    jobs = config.get("max_jobs")
    if jobs is not None and not 1 <= jobs <= MOST_JOBS:
        raise Unprocessable(
            "Invalid request body", f"the field 'config.max_jobs' must be 1 to {MOST_JOBS}"
        )
    return {name: config.get(name) for name in RUN_CONFIG}


@blueprint.post("/lint/paginated")
def lint_page() -> Response:
    """One page of errors and advice; the counts are over all of them."""
    page = query_number("page", 1, 1, 10**9)
    per_page = query_number("per_page", PER_PAGE, 1, MOST_PER_PAGE)
    return _do("lint/paginated", toml_content=given_text(), page=page, per_page=per_page)


@blueprint.post("/diff")
def difference() -> Response:
    """What two texts mean differently."""
    body = json_body(required={"toml_a": str, "toml_b": str})
    return _do("diff", toml_a=body["toml_a"], toml_b=body["toml_b"])


@blueprint.post("/export")
def container() -> Response:
    """A recipe of an image for the workflow."""
    body = json_body(required={"toml_content": str}, optional={"format": str})
    wanted = "docker" if body.get("format") is None else body["format"]
    if wanted not in FORMATS:
        raise InvalidInput("Unsupported export format", f"choose {' or '.join(FORMATS)}")
    return _do("export", toml_content=body["toml_content"], format=wanted)
