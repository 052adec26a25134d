"""Serve the report of one's own run, made from its records (spec/oxo-flow-api.md 1.7).

Owns what every report answer has in common: its formats and what its page may do.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, request
from msgspec.structs import replace

from oxoflow.db.instants import instant, seconds_of
from oxoflow.db.jobs import JobRow, JobStatus, count_jobs, list_jobs
from oxoflow.db.runs import Run, declared_outputs
from oxoflow.engine.rundir import log_name
from oxoflow.errors import InvalidInput, Unavailable, WorkflowError
from oxoflow.report.model import to_json
from oxoflow.report.page import to_html
from oxoflow.report.records import (
    EnvironmentFacts,
    JobRecord,
    Origin,
    OutputFacts,
    RecordFacts,
)
from oxoflow.report.run import JobFacts, RunFacts, report_run
from oxoflow.web.guards import signed_in
from oxoflow.web.http import reply, services
from oxoflow.web.run_detail import rule_of
from oxoflow.web.runs import own_run
from oxoflow.web.waiting import may_wait
from oxoflow.workspace import RECORDS, list_files, tail

FORMATS = ("html", "json")
# A report shows texts of others: it may style itself, and nothing else.
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"
MOST = {"html": 2000, "json": 10_000}  # rows of one table
MOST_TAILS = 50  # failed jobs of which the end of stderr is shown
TAIL_LINES = 20
PATIENCE = 5.0  # seconds to wait while the records of another run are read
_READING = threading.BoundedSemaphore(1)

blueprint = Blueprint("run_report", __name__)


@blueprint.get("/api/runs/<run_id>/report")
@signed_in
def report(run_id: str) -> Response:
    """What a run did, as a page or with `?format=json` as data."""
    return report_of(run_id, checked_format(request.args.get("format", "html")))


def checked_format(wanted: str) -> str:
    """A format that reports have; raises InvalidInput."""
    if wanted not in FORMATS:
        raise InvalidInput("Unsupported report format", f"choose {' or '.join(FORMATS)}")
    return wanted


def report_of(run_id: str, wanted: str) -> Response:
    """The report of an own run."""
    made = report_run(_facts(own_run(run_id), MOST[wanted]), instant())
    return reply(to_json(made)) if wanted == "json" else page_of(to_html(made))


def page_of(html: str) -> Response:
    """A report as a page that runs nothing."""
    page = Response(html, content_type="text/html; charset=utf-8")
    page.headers["Content-Security-Policy"] = REPORT_POLICY
    return page


def _facts(run: Run, most: int) -> RunFacts:
    reader = services().db.read()
    directory = services().workspace.run_directory(run.username, run.id)
    listing = list_files(directory)
    known = declared_outputs(reader, run.id)
    jobs = list_jobs(reader, run.id, limit=most)
    failed = list_jobs(reader, run.id, JobStatus.FAILED, limit=MOST_TAILS)
    names = dict.fromkeys(job.job for job in (*jobs, *failed))
    return RunFacts(
        run_id=run.id,
        workflow_name=run.workflow_name,
        status=run.status.value,
        started_at=run.started_at,
        finished_at=run.finished_at,
        seconds=_seconds(run),
        exit_code=run.exit_code,
        error=run.error,
        threads=run.threads,
        retry_of=run.retry_of,
        tags=run.tags,
        jobs=[_job(job) for job in jobs],
        failed=[replace(_job(job), stderr_tail=_end_of_log(directory, job)) for job in failed],
        records=_records(run, directory, list(names), most),
        files=[(file.path, file.size, rule_of(file.path, known)) for file in listing.files],
        files_truncated=listing.truncated,
        counts=count_jobs(reader, run.id),
    )


def _seconds(run: Run) -> float | None:
    if run.started_at is None or run.finished_at is None:
        return None
    return round(seconds_of(run.finished_at) - seconds_of(run.started_at), 3)


def _job(job: JobRow) -> JobFacts:
    return JobFacts(
        job=job.job,
        rule=job.rule,
        status=job.status,
        seconds=job.duration_secs,
        cpu_seconds=job.cpu_secs,
        peak_mb=job.peak_mb,
        exit_code=job.exit_code,
        attempt=job.attempt,
        words=job.error or job.reason,
        started_at=job.started_at,
    )


def _end_of_log(directory: Path, job: JobRow) -> str | None:
    """The end of what a job wrote; what was kept of it when the directory is gone."""
    text = tail(directory, f"{RECORDS}/logs/{log_name(job.job)}.err", TAIL_LINES)
    return job.stderr_tail if text is None else text


def _records(run: Run, directory: Path, jobs: list[str], most: int) -> RecordFacts:
    """What the run's directory tells, read where it can do no harm."""
    asked = {"directory": str(directory), "jobs": jobs, "most": most}
    try:
        found = _read(asked)
    except WorkflowError:  # it was too much for the process that reads
        return RecordFacts(trouble="the records of this run take too long to read")
    return RecordFacts(
        version=found["version"],
        jobs={job: _record(run.id, known) for job, known in found["jobs"].items()},
        jobs_left=found["jobs_left"],
        environments=[EnvironmentFacts(**known) for known in found["environments"]],
        outputs=[OutputFacts(**known) for known in found["outputs"]],
        outputs_total=found["outputs_total"],
        trouble=found["trouble"],
    )


def _read(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Have records read, those of one run at a time: texts never wait for reports."""
    with may_wait() as patient:
        if not _READING.acquire(timeout=PATIENCE if patient else 0):
            raise Unavailable("Too many reports at a time", "try again soon", retry_after=2)
    try:
        return services().texts("records", asked)
    finally:
        _READING.release()


def _record(run_id: str, known: Mapping[str, Any]) -> JobRecord:
    """A job's record; a result of another run that was kept has that run as its origin."""
    origin = Origin(**known["origin"]) if known["origin"] else None
    if origin is None and known["run"] not in (None, run_id):
        origin = Origin(known["run"])
    return JobRecord(known["command"], known["environment"], origin)
