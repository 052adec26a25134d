"""Serve reports on workflow texts, for anybody, and on own runs (spec/oxo-flow-api.md 1.7)."""

from __future__ import annotations

from flask import Blueprint, Response

from oxoflow.access import Role
from oxoflow.db.instants import instant
from oxoflow.web.guards import demand
from oxoflow.web.http import Unprocessable, json_body, reply, services
from oxoflow.web.run_report import checked_format, page_of, report_of

blueprint = Blueprint("reports", __name__)


@blueprint.post("/api/reports/generate")
def generate() -> Response:
    """The report of a workflow that has not run, or with `run_id` of a run that has."""
    body = json_body(optional={"toml_content": str, "format": str, "run_id": str})
    text, run_id = body.get("toml_content"), body.get("run_id")
    if text is None and run_id is None:
        raise Unprocessable("Invalid request body", "the field 'toml_content' is missing")
    wanted = checked_format("html" if body.get("format") is None else body["format"])
    if run_id is not None:
        demand(Role.VIEWER)
        return report_of(run_id, wanted)
    made = services().texts("report", {"toml_content": text, "format": wanted, "now": instant()})
    return reply(made) if wanted == "json" else page_of(made["html"])
