"""List one's own runs and their jobs (spec/oxo-flow-api.md 1.5)."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, g, request
from msgspec.structs import fields

from oxoflow.db.jobs import JobRow, JobStatus, count_jobs, find_job, list_jobs
from oxoflow.db.runs import Run, Status, count_runs, find_run, list_runs
from oxoflow.errors import InvalidInput, NotFound
from oxoflow.web.guards import signed_in
from oxoflow.web.http import query_number, reply, services
from oxoflow.web.paging import tell_page, wanted_page

JOBS_PER_PAGE = 1000
JOB_FIELDS = tuple(field.name for field in fields(JobRow))

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
    """One's own runs, all or a page: waiting ones first, then the newest start first."""
    reader, owner = services().db.read(), g.account.id
    status, page = _status_wanted(), wanted_page()
    answer = reply(list_runs(reader, owner, status, page.size, page.offset))
    counts = count_runs(reader, owner)
    tell_page(answer, page, sum(counts.values()) if status is None else counts.get(status, 0))
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
    """A run as lists show it (`db.runs.LISTED`)."""
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
    answer = reply([{name: getattr(job, name) for name in JOB_FIELDS} for job in found])
    counts = count_jobs(reader, run.id)
    total = sum(counts.values()) if status is None else counts.get(status.value, 0)
    answer.headers["X-Total-Count"] = str(total)
    return answer
