"""Serve the logs of one's own runs and jobs as text, of any size (spec/oxo-flow-api.md 4.4)."""

from __future__ import annotations

from flask import Blueprint, Response, g, request

from oxoflow.db.events import Scope
from oxoflow.db.runs import Run
from oxoflow.engine.rundir import log_name
from oxoflow.errors import InvalidInput
from oxoflow.web.filebody import TextPart, send, send_rest
from oxoflow.web.guards import signed_in
from oxoflow.web.http import query_number, services
from oxoflow.web.listener import Subscription
from oxoflow.web.runs import own_job, own_run
from oxoflow.web.sse import aliveness, is_last, log_tail, owner_of, stream, wants
from oxoflow.web.wires import PlainWire
from oxoflow.workspace import EXECUTION_LOG, RECORDS, open_regular, tail

TEXT = "text/plain; charset=utf-8"
MOST_LINES = 10_000
SUFFIX = {"stdout": ".out", "stderr": ".err"}

blueprint = Blueprint("run_logs", __name__)


@blueprint.get("/api/runs/<run_id>/logs")
@signed_in
def logs(run_id: str) -> Response:
    """The whole log of a run, a range of it, its last lines, or what came after an offset."""
    run = own_run(run_id)
    directory = services().workspace.run_directory(run.username, run.id)
    lines = query_number("tail", 0, 0, MOST_LINES)
    if lines:
        text = tail(directory, EXECUTION_LOG, lines)
        if text is None:
            raise _absent()
        return Response(text.encode(), content_type=TEXT)
    if wants("follow"):
        return _follow(run)
    descriptor = open_regular(directory, EXECUTION_LOG)
    if descriptor is None:
        raise _absent()
    if "offset" in request.args:
        return send_rest(descriptor, query_number("offset", 0, 0, 2**62), TEXT)
    return send(descriptor, TEXT, TextPart)


def _follow(run: Run) -> Response:
    """The log from an offset on, and what is added to it, until the run is over."""
    return stream(
        Subscription(
            owner_of(g.account),
            PlainWire(),
            Scope(run_id=run.id),
            ends_now=run.final,
            last=is_last,
            alive=aliveness(g.account),
            tails={run.id: log_tail(run, query_number("offset", 0, 0, 2**62))},
        ),
        {
            "Content-Type": TEXT,
            "Cache-Control": "no-cache, no-transform",
            "X-Accel-Buffering": "no",
        },
    )


def _absent() -> InvalidInput:
    return InvalidInput("Log file not found", "the run has not written any output yet")


@blueprint.get("/api/runs/<run_id>/jobs/<int:job_id>/log")
@signed_in
def job_log(run_id: str, job_id: int) -> Response:
    """What a job wrote to one of its streams, from an offset on; `X-Next-Offset` continues."""
    run, job = own_job(run_id, job_id)
    stream = request.args.get("stream", "stdout")
    if stream not in SUFFIX:
        raise InvalidInput("Invalid query", "'stream' must be stdout or stderr")
    offset = query_number("offset", 0, 0, 2**62)
    directory = services().workspace.run_directory(run.username, run.id)
    name = f"{RECORDS}/logs/{log_name(job.job)}{SUFFIX[stream]}"
    descriptor = open_regular(directory, name)
    if descriptor is None:  # it has not run yet, or not here
        return Response(b"", content_type=TEXT, headers={"X-Next-Offset": "0"})
    return send_rest(descriptor, offset, TEXT)
