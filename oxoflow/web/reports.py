"""Serve reports on workflow texts (spec/oxo-flow-api.md 1.7)."""

from __future__ import annotations

from flask import Blueprint, Response

from oxoflow.db.instants import instant
from oxoflow.errors import InvalidInput
from oxoflow.web.http import json_body, reply, services

FORMATS = ("html", "json")
# A report shows texts of others: it may style itself, and nothing else.
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"

blueprint = Blueprint("reports", __name__)


@blueprint.post("/api/reports/generate")
def generate() -> Response:
    """The report of a workflow that has not run, as a page or as data."""
    body = json_body(required={"toml_content": str}, optional={"format": str})
    wanted = body.get("format") or "html"
    if wanted not in FORMATS:
        raise InvalidInput("Unsupported report format", f"choose {' or '.join(FORMATS)}")
    asked = {"toml_content": body["toml_content"], "format": wanted, "now": instant()}
    made = services().texts("report", asked)
    if wanted == "json":
        return reply(made)
    page = Response(made["html"], content_type="text/html; charset=utf-8")
    page.headers["Content-Security-Policy"] = REPORT_POLICY
    return page
