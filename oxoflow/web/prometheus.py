"""Serve the figures of the server in Prometheus' text format.

Owns the names of the metrics. Counts nothing itself: what can be counted in a table is counted
there, at the moment of asking. Shows numbers only, so nobody has to log in.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from flask import Blueprint, Response

from oxoflow import __version__
from oxoflow.db.instants import instant
from oxoflow.db.runs import Status, count_runs
from oxoflow.db.sessions import count_sessions
from oxoflow.web.http import services
from oxoflow.web.traffic import BUCKETS

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

blueprint = Blueprint("prometheus", __name__)


@blueprint.get("/metrics")
def metrics() -> Response:
    """Everything worth a graph."""
    lines = [*_about(), *_traffic(), *_work(), *_machine()]
    return Response("\n".join(lines) + "\n", content_type=CONTENT_TYPE)


def _family(name: str, kind: str, words: str, *samples: tuple[str, float]) -> Iterator[str]:
    yield f"# HELP {name} {words}"
    yield f"# TYPE {name} {kind}"
    for suffix, value in samples:
        yield f"{name}{suffix} {value:.10g}"


def _about() -> Iterator[str]:
    label = f'{{version="{__version__}"}}'
    yield from _family("oxoflow_info", "gauge", "The version that runs.", (label, 1))
    yield from _family("oxify_api_info", "gauge", "The version that runs.", (label, 1))
    uptime = time.monotonic() - services().started
    yield from _family("oxoflow_uptime_seconds", "gauge", "Seconds since the start.", ("", uptime))


def _traffic() -> Iterator[str]:
    found = services().traffic.figures()
    yield from _family(
        "oxoflow_http_requests_total",
        "counter",
        "Requests answered, by method and status.",
        *(
            (f'{{method="{method}",status="{status}"}}', count)
            for (method, status), count in sorted(found.requests.items())
        ),
    )
    ends = [*(f"{end:g}" for end in BUCKETS), "+Inf"]
    yield from _family(
        "oxoflow_http_request_duration_seconds",
        "histogram",
        "How long answers took, streams until they were handed over.",
        *(
            (f'_bucket{{le="{end}"}}', count)
            for end, count in zip(ends, found.buckets, strict=True)
        ),
        ("_sum", found.seconds),
        ("_count", found.buckets[-1]),
    )


def _work() -> Iterator[str]:
    reader = services().db.read()
    runs = count_runs(reader)
    yield from _family(
        "oxoflow_runs",
        "gauge",
        "Runs, by state.",
        *((f'{{status="{status.value}"}}', runs.get(status, 0)) for status in Status),
    )
    yield from _family(
        "oxoflow_sessions", "gauge", "Live logins.", ("", count_sessions(reader, instant()))
    )
    yield from _family(
        "oxoflow_streams", "gauge", "Open event streams.", ("", services().streams.streams())
    )


def _machine() -> Iterator[str]:
    load = services().machine.load
    mib = 1024**2
    yield from _family(
        "oxoflow_host_cpu_percent", "gauge", "Processor use.", ("", load.cpu_usage_percent)
    )
    yield from _family(
        "oxoflow_host_memory_bytes",
        "gauge",
        "Memory of the machine.",
        ('{kind="total"}', load.total_memory_mb * mib),
        ('{kind="used"}', load.used_memory_mb * mib),
    )
