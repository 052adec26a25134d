"""Serve lint, whole and by pages (spec/oxo-flow-api.md 1.4)."""

from __future__ import annotations

from flask import Blueprint, Response

from oxoflow.web.http import json_body, query_number, reply
from oxoflow.web.looking import counted, findings, shown

PER_PAGE, MOST_PER_PAGE = 20, 100

blueprint = Blueprint("lint", __name__, url_prefix="/api/workflows/lint")


@blueprint.post("")
def lint() -> Response:
    """Every diagnostic of a text: errors of the validator first, then advice."""
    found = findings(json_body(required={"toml_content": str})["toml_content"])
    return reply({"diagnostics": [shown(item) for item in found], **counted(found)})


@blueprint.post("/paginated")
def paginated() -> Response:
    """One page of the diagnostics; the counts are over all of them."""
    page = query_number("page", 1, 1, 10**9)
    per_page = query_number("per_page", PER_PAGE, 1, MOST_PER_PAGE)
    found = findings(json_body(required={"toml_content": str})["toml_content"])
    start = (page - 1) * per_page
    pages = max(1, -(-len(found) // per_page))
    return reply(
        {
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
    )
