"""Let the owner act on a run: cancel, pause, resume, and remove it when it is over."""

from __future__ import annotations

import sqlite3
from typing import Any

from flask import Blueprint, Response

from oxoflow.db.audit import append_deed
from oxoflow.db.instants import instant
from oxoflow.db.runs import Phase, Run, Status, delete_run
from oxoflow.errors import Conflict, InvalidInput
from oxoflow.web.deeds import deed, write_deed
from oxoflow.web.guards import role
from oxoflow.web.http import query_flag, reply, services
from oxoflow.web.run_detail import forget
from oxoflow.web.runs import own_run
from oxoflow.web.waiting import may_wait

PATIENCE = 6.5  # seconds a cancel waits for its confirmation; its answer comes within 7
PAUSE_PATIENCE = 2.0

blueprint = Blueprint("run_control", __name__)


@blueprint.delete("/api/runs/<run_id>")
@role("user")
def cancel_or_purge(run_id: str) -> Response:
    """End a run; with `?purge=1` remove one that is over, its files included."""
    run = own_run(run_id)
    if query_flag("purge"):
        return reply(purge(run))
    return reply(cancel(run))


@blueprint.post("/api/runs/<run_id>/cancel")
@role("user")
def cancel_run(run_id: str) -> Response:
    """The same as DELETE."""
    return reply(cancel(own_run(run_id)))


def cancel(run: Run) -> dict[str, Any]:
    """End a run and say what was ended; "cancelling" when that takes longer than we wait."""
    if run.final:
        raise _not_cancellable(run)
    write_deed(deed("cancel_run", run.id))
    with may_wait() as patient:
        run = services().supervisor.cancel(run, PATIENCE if patient else 0.0)
    if not run.final:
        return {"status": "cancelling", "ended": [], "left": None}
    if run.status is not Status.CANCELLED:  # it ended by itself in this moment
        raise _not_cancellable(run)
    return {"status": "cancelled", "ended": list(run.ended), "left": run.left_alive or 0}


def purge(run: Run) -> dict[str, Any]:
    """Remove a run that is over: its row, its jobs, its directory."""
    if not run.final:
        raise Conflict("Run is not over", f"it is {run.status.value}: cancel it first")
    what, now = deed("delete_run", run.id), instant()

    def work(connection: sqlite3.Connection) -> None:
        if delete_run(connection, run.user_id, run.id):
            append_deed(connection, what, now)

    services().db.write(work)
    services().workspace.discard(run.username, run.id)
    forget(run.id)
    return {"status": "deleted"}


@blueprint.post("/api/runs/<run_id>/pause")
@role("user")
def pause(run_id: str) -> Response:
    """Start no further job; those that run go on."""
    return reply(_tell(own_run(run_id), "pause", Phase.PAUSED, "pausing"))


@blueprint.post("/api/runs/<run_id>/resume")
@role("user")
def resume(run_id: str) -> Response:
    """Go on with a paused run."""
    return reply(_tell(own_run(run_id), "resume", Phase.RUNNING, "resuming"))


def _tell(run: Run, word: str, wanted: Phase, meanwhile: str) -> dict[str, Any]:
    """Tell the runner and wait a little for it to obey."""
    if run.status is not Status.RUNNING or run.phase is Phase.CANCELLING:
        raise Conflict("Run is not running", run.phase.value if run.phase else run.status.value)
    if run.phase is wanted:
        return {"status": wanted.value}
    write_deed(deed(f"{word}_run", run.id))
    with may_wait() as patient:
        run = services().supervisor.tell(run, word, wanted, PAUSE_PATIENCE if patient else 0.0)
    return {"status": wanted.value if run.phase is wanted else meanwhile}


def _not_cancellable(run: Run) -> InvalidInput:
    return InvalidInput("Run is not in a cancellable state", run.status.value)
