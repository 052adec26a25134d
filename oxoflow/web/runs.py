"""Show one's own runs and their jobs, and cancel them (spec/oxo-flow-api.md 1.5)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, g, request

from oxoflow.db.audit import append_deed
from oxoflow.db.instants import instant
from oxoflow.db.jobs import JobRow, JobStatus, count_jobs, find_job, list_jobs
from oxoflow.db.runs import Run, Status, count_runs, find_run, list_runs, queue_position
from oxoflow.errors import InvalidInput, NotFound
from oxoflow.web.deeds import deed
from oxoflow.web.guards import role, signed_in
from oxoflow.web.http import query_number, reply, services
from oxoflow.web.waiting import may_wait
from oxoflow.workspace import EXECUTION_LOG, list_files, tail

PATIENCE = 6.5  # seconds a cancel waits for its confirmation; its answer comes within 7
TAIL_LINES = 50
PER_PAGE, MOST_PER_PAGE = 100, 1000
JOBS_PER_PAGE = 1000

blueprint = Blueprint("runs", __name__)


def own_run(run_id: str) -> Run:
    """The caller's run; unknown, malformed and foreign ids are one answer."""
    run = find_run(services().db.read(), g.account.id, run_id)
    if run is None or run.kind != "workflow":
        raise NotFound("Run not found")
    return run


def own_job(run_id: str, job_id: int) -> tuple[Run, JobRow]:
    """A job of the caller's run."""
    run = own_run(run_id)
    job = find_job(services().db.read(), run.id, job_id) if job_id < 2**63 else None
    if job is None:
        raise NotFound("Job not found")
    return run, job


@blueprint.get("/api/runs")
@signed_in
def runs() -> Response:
    """A page of one's own runs: waiting ones first, then the newest start first."""
    reader, owner = services().db.read(), g.account.id
    status = _status_wanted()
    per_page = query_number("per_page", PER_PAGE, 1, MOST_PER_PAGE)
    page = query_number("page", 1, 1, 10**9)
    found = list_runs(reader, owner, status, per_page, (page - 1) * per_page)
    answer = reply([summary(run) for run in found])
    counts = count_runs(reader, owner)
    total = sum(counts.values()) if status is None else counts.get(status, 0)
    answer.headers["X-Total-Count"] = str(total)
    answer.headers["X-Total-Pages"] = str(max(1, -(-total // per_page)))
    answer.headers["X-Page"] = str(page)
    answer.headers["X-Per-Page"] = str(per_page)
    return answer


def _status_wanted() -> Status | None:
    text = request.args.get("status")
    if not text:
        return None
    try:
        return Status(text)
    except ValueError:
        known = ", ".join(status.value for status in Status)
        raise InvalidInput("Invalid query", f"'status' must be one of {known}") from None


def summary(run: Run) -> dict[str, Any]:
    """A run as lists show it."""
    return {
        "id": run.id,
        "user_id": run.user_id,
        "workflow_name": run.workflow_name,
        "status": run.status.value,
        "pid": run.identity.pid if run.identity else None,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "phase": run.phase.value if run.phase else None,
        "created_at": run.created_at,
    }


@blueprint.get("/api/runs/<run_id>")
@signed_in
def one(run_id: str) -> Response:
    """Everything about one run, with the end of its log and the files it made."""
    return reply(detail(own_run(run_id)))


def detail(run: Run) -> dict[str, Any]:
    """A run in full (4.4)."""
    directory = services().workspace.run_directory(run.username, run.id)
    listing = list_files(directory)
    return summary(run) | {
        "log_tail": tail(directory, EXECUTION_LOG, TAIL_LINES),
        "output_files": [file.path for file in listing.files],
        "outputs": [
            {
                "path": file.path,
                "size_bytes": file.size,
                "modified_at": instant(file.modified),
            }
            for file in listing.files
        ],
        "outputs_truncated": listing.truncated,
        "exit_code": run.exit_code,
        "error": run.error,
        "rules_total": run.rules_total,
        "threads": run.threads,
        "jobs": count_jobs(services().db.read(), run.id),
        "queue": _queue(run),
        "cancel": _receipt(run),
        "retry_of": run.retry_of,
        "tags": list(run.tags),
    }


def _queue(run: Run) -> dict[str, Any] | None:
    if run.status is not Status.PENDING:
        return None
    return {
        "position": queue_position(services().db.read(), run),
        "reason": services().supervisor.why_waiting(run.user_id),
    }


def _receipt(run: Run) -> dict[str, Any] | None:
    """What a cancel ended, and how much it could not."""
    if run.status is not Status.CANCELLED:
        return None
    return {"ended": list(run.ended), "left": run.left_alive or 0}


@blueprint.get("/api/runs/<run_id>/jobs")
@signed_in
def jobs(run_id: str) -> Response:
    """The jobs of a run in the order in which they were planned."""
    run = own_run(run_id)
    reader = services().db.read()
    text = request.args.get("status")
    try:
        status = JobStatus(text) if text else None
    except ValueError:
        known = ", ".join(one.value for one in JobStatus)
        raise InvalidInput("Invalid query", f"'status' must be one of {known}") from None
    per_page = query_number("per_page", JOBS_PER_PAGE, 1, 10_000)
    after = query_number("after", 0, 0, 2**62)
    found = list_jobs(reader, run.id, status, after, per_page)
    answer = reply([asdict(job) for job in found])
    counts = count_jobs(reader, run.id)
    total = sum(counts.values()) if status is None else counts.get(status.value, 0)
    answer.headers["X-Total-Count"] = str(total)
    return answer


@blueprint.delete("/api/runs/<run_id>")
@role("user")
def cancel(run_id: str) -> Response:
    """End a run and say what was ended; "cancelling" when that takes longer than we wait."""
    run = own_run(run_id)
    if run.final:
        raise _not_cancellable(run)
    what = deed("cancel_run", run.id)
    now = instant()
    services().db.write(lambda connection: append_deed(connection, what, now))
    with may_wait() as patient:
        run = services().supervisor.cancel(run, PATIENCE if patient else 0.0)
    if not run.final:
        return reply({"status": "cancelling", "ended": [], "left": None})
    if run.status is not Status.CANCELLED:  # it ended by itself in this moment
        raise _not_cancellable(run)
    return reply({"status": "cancelled", "ended": list(run.ended), "left": run.left_alive or 0})


def _not_cancellable(run: Run) -> InvalidInput:
    return InvalidInput("Run is not in a cancellable state", run.status.value)
