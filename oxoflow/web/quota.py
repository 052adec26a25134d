"""Serve what the user may use and uses now, and forget the results kept for later runs."""

from __future__ import annotations

from flask import Blueprint, Response, g

from oxoflow.db.runs import Status, count_runs
from oxoflow.engine.eviction import read_use
from oxoflow.web.deeds import deed, write_deed
from oxoflow.web.guards import role, signed_in
from oxoflow.web.http import reply, services

blueprint = Blueprint("quota", __name__)


@blueprint.get("/api/quota")
@signed_in
def quota() -> Response:
    """Limits, what is used, and what waits (spec/oxo-flow-api.md 4.5)."""
    settings = services().settings
    runs = count_runs(services().db.read(), g.account.id)
    kept = read_use(services().workspace.cache(g.account.username))
    return reply(
        {
            "limits": {
                "running": settings.max_runs_per_user,
                "pending": settings.max_pending_per_user,
                "streams": settings.streams_per_user,
                "requests": settings.rate_limit,
                "window_secs": settings.rate_window,
                "body_bytes": settings.max_body,
                "cache_bytes": settings.cache_size,
            },
            "used": {
                "running": runs.get(Status.RUNNING, 0),
                "cache_bytes": kept.bytes,
                "cache_results": kept.results,
            },
            "pending": runs.get(Status.PENDING, 0),
        }
    )


@blueprint.delete("/api/cache")
@role("user")
def forget_results() -> Response:
    """Delete what the user's runs left for later ones; runs that are over lose nothing."""
    what = deed("clear_cache", "")
    services().workspace.forget_cache(g.account.username)
    write_deed(what)
    return reply({"status": "deleted"})
