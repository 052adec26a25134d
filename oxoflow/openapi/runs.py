"""Describe the routes of runs, their logs and their events."""

from __future__ import annotations

from oxoflow.openapi.route import (
    BY_PAGES,
    BYTES,
    HTML,
    JSON,
    PAGES,
    PLAIN,
    STREAM,
    Answer,
    Query,
    Route,
    ok,
)
from oxoflow.openapi.shapes import (
    COUNT,
    FLAG,
    TEXT,
    UUID,
    WHOLE,
    WORKFLOW_TEXT,
    answer_object,
    list_of,
    map_of,
    one_of,
    ref,
    request_object,
    text,
    whole,
)

TAG, EVENTS = "runs", "events"
UPLOADS = "/api/uploads"
ANY_BYTES = (BYTES,)
RUN = "/api/runs/{run_id}"
FILE_TYPES = (BYTES, JSON, "text/csv", "text/tab-separated-values", "image/png")
TOTAL = {"X-Total-Count": "How many there are on all pages."}
DELETED = answer_object(status=one_of("deleted"))
UNCHANGED = Answer("The file is as the client knows it", None, ())
UNDER = (Query("under", "Only files below this directory.", TEXT),)
LOG = {"X-Next-Offset": "The offset from which to read on."}
ALL = Query("all", "1: everybody's events, for admins.", TEXT)
TICKET = Query("ticket", "A ticket instead of a login.", TEXT)
RESUME = (
    Query("Last-Event-ID", "The last event that was seen.", TEXT, "header"),
    Query("last_event_id", "The same, for clients that cannot set headers.", TEXT),
    Query("named", "1: each event has an `event:` line with its type.", TEXT),
)
PLAIN_VALUES = map_of({"type": ["string", "number", "boolean"]})

LAUNCH = request_object(
    {
        "toml_content": WORKFLOW_TEXT,
        "workflow_id": TEXT,
        "config": ref("RunConfig"),
        "max_jobs": whole(1, 10_000),
        "keep_going": FLAG,
        "dry_run": FLAG,
        "targets": list_of(text(1000, 1), maxItems=1000),
        "samples": list_of(text(1000, 1), maxItems=1000),
        "config_overrides": PLAIN_VALUES,
        "files": {**map_of(TEXT), "maxProperties": 1000},
        "uploads": {**map_of(TEXT), "maxProperties": 1000},
        "tags": list_of(text(64, 1), maxItems=20),
        "idempotency_key": text(200, 1),
        "no_cache": FLAG,
    }
)
RETRY = request_object(
    {
        "mode": one_of("failed", "all"),
        "max_jobs": whole(1, 10_000),
        "from_rule": text(1000, 1),
        "config_overrides": PLAIN_VALUES,
    }
)

ROUTES = (
    Route(
        "POST", "/api/workflows/run", "launch", "Queue a run of a text", TAG,
        {200: Answer("Queued; with `dry_run`, what a run would do",
                     {"anyOf": [ref("Launched"), ref("DryRun")]})},
        role="user",
        body=LAUNCH, errors=(404, 409),
    ),
    Route(
        "GET", UPLOADS, "listUploads", "One's own uploads", TAG,
        ok(list_of(ref("Upload"))), role="viewer",
    ),
    Route(
        "PUT", UPLOADS + "/{name}", "upload",
        "Store a file, or its next piece, for runs that name it in `uploads`", TAG,
        ok(ref("Upload"), "The next piece is stored")
        | ok(ref("Upload"), "The file is begun", 201),
        role="user",
        body={"type": "string", "format": "binary"}, body_required=False, body_media=ANY_BYTES,
        query=(Query("offset", "Where the piece begins: the length so far.", WHOLE),),
        errors=(409,),
    ),
    Route(
        "DELETE", UPLOADS + "/{name}", "deleteUpload", "Remove an upload", TAG,
        ok(DELETED), role="user", errors=(400,),
    ),
    Route(
        "GET", "/api/runs", "listRuns", "One's own runs, waiting ones first, then the newest", TAG,
        ok(list_of(ref("Run")), headers=PAGES),
        role="viewer",
        query=(Query("status", "Only runs in this state.", TEXT), *BY_PAGES),
    ),
    Route("GET", RUN, "getRun", "One own run in full", TAG, ok(ref("RunDetail")), role="viewer"),
    Route(
        "DELETE", RUN, "cancelRun", "End a run, or with `purge` remove one that is over", TAG,
        {200: Answer("Ended or removed", {"anyOf": [ref("Cancelled"), DELETED]})},
        role="user",
        query=(Query("purge", "1: remove the run and its files.", TEXT),),
        errors=(400, 409),
    ),
    Route(
        "POST", RUN + "/cancel", "cancelRunByPost", "The same as DELETE", TAG,
        ok(ref("Cancelled")), role="user", errors=(400,),
    ),
    Route(
        "POST", RUN + "/pause", "pauseRun", "Start no further job", TAG,
        ok(answer_object(status=one_of("paused", "pausing"))), role="user", errors=(409,),
    ),
    Route(
        "POST", RUN + "/resume", "resumeRun", "Go on with a paused run", TAG,
        ok(answer_object(status=one_of("running", "resuming"))), role="user", errors=(409,),
    ),
    Route(
        "POST", RUN + "/retry", "retryRun",
        "Queue a new run that begins with the verified results of this one; `from_rule` runs again "
        "in any case, and what its change reaches with it", TAG,
        ok(ref("Retried")), role="user",
        body=RETRY, body_required=False, errors=(400, 409),
    ),
    Route(
        "GET", RUN + "/plan", "planRun", "Which jobs would run now, and why", TAG,
        ok(ref("Plan")), role="viewer", errors=(400, 503),
    ),
    Route(
        "GET", RUN + "/report", "getRunReport",
        "What a run did: times, commands, outputs with SHA-256, environments, failures", TAG,
        {200: Answer("The report as a page or as data", ref("Report"), (JSON, HTML))},
        role="viewer",
        query=(Query("format", "html (default, tables to 2000 rows) or json (10000).", TEXT),),
        errors=(400, 503),
    ),
    Route(
        "POST", RUN + "/clean", "cleanRun",
        "List the outputs of a run that is over; with dry_run false delete them", TAG,
        ok(answer_object(
            run_id=UUID, files=list_of(answer_object(path=TEXT, size_bytes=COUNT)),
            total_bytes=COUNT, deleted=FLAG,
        )),
        role="user",
        body=request_object({
            "dry_run": {**FLAG, "default": True},
            "targets": list_of(text(1000, 1), maxItems=1000),
        }),
        body_required=False, errors=(400, 409, 503),
    ),
    Route(
        "GET", RUN + "/jobs", "listJobs", "The jobs of a run", TAG,
        ok(list_of(ref("Job")), headers=TOTAL),
        role="viewer",
        query=(
            Query("status", "Only jobs in this state.", TEXT),
            Query("after", "Only jobs with a higher id: continues a listing.", WHOLE),
            Query("per_page", "At most so many, 1 to 10000; 1000 when absent.", WHOLE),
        ),
    ),
    Route(
        "GET", RUN + "/logs", "getRunLog", "The log of a run", TAG,
        {
            200: Answer("The log, or the part asked for", TEXT, (PLAIN,), LOG),
            206: Answer("The range asked for", TEXT, (PLAIN,)),
            304: UNCHANGED,
        },
        role="viewer",
        query=(
            Query("tail", "Only the last so many lines.", WHOLE),
            Query("offset", "Only what comes after so many bytes.", WHOLE),
            Query("follow", "1: and what is added, until the run is over.", TEXT),
        ),
        errors=(416, 503),
    ),
    Route(
        "GET", RUN + "/jobs/{job_id}/log", "getJobLog", "What a job wrote", TAG,
        {200: Answer("The log from the offset on", TEXT, (PLAIN,), LOG)},
        role="viewer",
        query=(
            Query("stream", "stdout (default) or stderr.", TEXT),
            Query("offset", "Only what comes after so many bytes.", WHOLE),
        ),
    ),
    Route(
        "GET", RUN + "/files", "listFiles", "The files that a run made", TAG,
        ok(ref("Files")), role="viewer", query=UNDER,
    ),
    Route(
        "GET", RUN + "/files/{name}", "getFile",
        "One file, whole or a range of it; `name` is its path", TAG,
        {
            200: Answer("The file", None, FILE_TYPES),
            206: Answer("The range asked for", None, FILE_TYPES),
            304: UNCHANGED,
        },
        role="viewer", errors=(416,),
    ),
    Route(
        "GET", RUN + "/files.zip", "getArchive", "The files of a run as one zip", TAG,
        {200: Answer("The archive", None, ("application/zip",))},
        role="viewer", query=UNDER, errors=(413, 503),
    ),
    Route(
        "GET", RUN + "/events", "streamRunEvents", "The events of a run, to its end", EVENTS,
        {
            200: Answer("Events as they come", TEXT, (STREAM,)),
            204: Answer("The run has ended and everything was seen", None, ()),
        },
        role="viewer",
        query=(
            *RESUME,
            Query("logs", "1: with the log of the run as it grows.", TEXT),
            Query("log_offset", "From where in the log, in bytes.", WHOLE),
            TICKET,
        ),
        errors=(400, 503),
    ),
    Route(
        "GET", "/api/events", "streamEvents", "One's own events; heartbeats without a login",
        EVENTS,
        {200: Answer("Events as they come", TEXT, (STREAM,))},
        optional_login=True,
        query=(*RESUME, ALL, TICKET),
        errors=(400, 401, 403, 503),
    ),
    Route(
        "POST", "/api/events/ticket", "issueTicket",
        "A word that opens one stream within half a minute", EVENTS,
        ok(answer_object(ticket=TEXT, expires_in_secs=COUNT)), role="viewer",
    ),
    Route(
        "GET", "/api/ws", "openSocket",
        "The events as a WebSocket; takes `follow` and `unfollow` of logs", EVENTS,
        {101: Answer("Switched to the WebSocket protocol", None, ())},
        role="viewer",
        query=(
            Query("run", "Only the events of this run.", TEXT),
            Query("last_event_id", "The last event that was seen.", TEXT),
            ALL,
            TICKET,
        ),
        errors=(400, 403, 404, 503),
    ),
)  # fmt: skip
