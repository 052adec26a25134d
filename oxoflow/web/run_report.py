"""Serve the report of one's own run, made from its records (spec/oxo-flow-api.md 1.7).

Owns what every report answer has in common: its formats and what its page may do.
"""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Response, request

from oxoflow.db.instants import instant
from oxoflow.db.jobs import JobRow, count_jobs, list_jobs
from oxoflow.db.runs import Run, declared_outputs
from oxoflow.engine.rundir import log_name
from oxoflow.errors import InvalidInput
from oxoflow.report.model import to_json
from oxoflow.report.page import to_html
from oxoflow.report.run import JobFacts, RunFacts, report_run
from oxoflow.web.guards import signed_in
from oxoflow.web.http import reply, services
from oxoflow.web.run_detail import rule_of
from oxoflow.web.runs import own_run
from oxoflow.workspace import RECORDS, list_files, tail

FORMATS = ("html", "json")
# A report shows texts of others: it may style itself, and nothing else.
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"
MOST_JOBS = 2000
MOST_TAILS = 50  # failed jobs of which the end of stderr is read
TAIL_LINES = 20

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
    made = report_run(_facts(own_run(run_id)), instant())
    return reply(to_json(made)) if wanted == "json" else page_of(to_html(made))


def page_of(html: str) -> Response:
    """A report as a page that runs nothing."""
    page = Response(html, content_type="text/html; charset=utf-8")
    page.headers["Content-Security-Policy"] = REPORT_POLICY
    return page


def _facts(run: Run) -> RunFacts:
    reader = services().db.read()
    directory = services().workspace.run_directory(run.username, run.id)
    listing = list_files(directory)
    known = declared_outputs(reader, run.id)
    counts = count_jobs(reader, run.id)
    tails = [MOST_TAILS]
    return RunFacts(
        run_id=run.id,
        workflow_name=run.workflow_name,
        status=run.status.value,
        started_at=run.started_at,
        finished_at=run.finished_at,
        exit_code=run.exit_code,
        error=run.error,
        threads=run.threads,
        jobs=[_job(job, directory, tails) for job in list_jobs(reader, run.id, limit=MOST_JOBS)],
        jobs_total=sum(counts.values()),
        files=[(file.path, file.size, rule_of(file.path, known)) for file in listing.files],
        files_truncated=listing.truncated,
        counts=counts,
    )


def _job(job: JobRow, directory: Path, tails: list[int]) -> JobFacts:
    """A job, with the end of its stderr while there are tails left to read."""
    text = None
    if job.status == "failed" and tails[0] > 0:
        tails[0] -= 1
        text = tail(directory, f"{RECORDS}/logs/{log_name(job.job)}.err", TAIL_LINES)
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
        stderr_tail=text,
    )
