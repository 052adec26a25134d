"""Serve what the user may use and uses now, counted from the tables and never from counters."""

from __future__ import annotations

from flask import Blueprint, Response, g

from oxoflow.db.runs import Status, count_runs
from oxoflow.web.guards import signed_in
from oxoflow.web.http import reply, services

blueprint = Blueprint("quota", __name__)


@blueprint.get("/api/quota")
@signed_in
def quota() -> Response:
    """Limits, what is used, and what waits (spec/oxo-flow-api.md 4.5)."""
    settings = services().settings
    runs = count_runs(services().db.read(), g.account.id)
    return reply(
        {
            "limits": {
                "running": settings.max_runs_per_user,
                "pending": settings.max_pending_per_user,
                "streams": settings.streams_per_user,
                "requests": settings.rate_limit,
                "window_secs": settings.rate_window,
                "body_bytes": settings.max_body,
            },
            "used": {"running": runs.get(Status.RUNNING, 0)},
            "pending": runs.get(Status.PENDING, 0),
        }
    )
