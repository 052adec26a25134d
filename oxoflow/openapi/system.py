"""Describe the routes about the server itself, its pages and its contract."""

from __future__ import annotations

from oxoflow.openapi.route import HTML, PLAIN, Answer, Route, ok
from oxoflow.openapi.shapes import (
    ANYTHING,
    COUNT,
    FLAG,
    NUMBER,
    TEXT,
    answer_object,
    list_of,
    nullable,
)

TAG = "system"
PAGE = Answer("A page", TEXT, (HTML,))

ROUTES = (
    Route("GET", "/", "front", "The front page", TAG, {200: PAGE}),
    Route(
        "GET", "/api/health", "health", "Whether the server is alive", TAG,
        ok(answer_object(status=TEXT, version=TEXT)),
    ),
    Route(
        "GET", "/api/version", "version", "The version of the product", TAG,
        ok(answer_object(version=TEXT, crate_name=TEXT, rust_version=TEXT, python_version=TEXT)),
    ),
    Route(
        "GET", "/api/system", "system", "The server's process, and what it does not protect", TAG,
        ok(
            answer_object(
                version=TEXT, rust_version=TEXT, python_version=TEXT, os=TEXT, arch=TEXT,
                pid=COUNT, uptime_secs=NUMBER, warnings=list_of(TEXT),
            )
        ),
    ),
    Route(
        "GET", "/api/metrics", "metrics", "Figures of the server and its machine", TAG,
        ok(
            answer_object(
                uptime_secs=NUMBER, version=TEXT, pid=COUNT, os=TEXT, arch=TEXT,
                cpu_count=COUNT, total_requests=COUNT, active_workflows=COUNT,
                host=answer_object(
                    cpu_usage_percent=NUMBER, total_memory_mb=COUNT, used_memory_mb=COUNT,
                    total_swap_mb=COUNT, used_swap_mb=COUNT,
                ),
            )
        ),
    ),
    Route(
        "GET", "/metrics", "prometheus", "The same and more for Prometheus", TAG,
        {200: Answer("Figures in Prometheus' text format", TEXT, (PLAIN,))},
    ),
    Route(
        "GET", "/api/license", "license", "The licence: open, nothing to unlock", TAG,
        ok(
            answer_object(
                valid=FLAG, license_type=TEXT, issued_to=TEXT, schema=nullable(TEXT), message=TEXT
            )
        ),
    ),
    Route(
        "GET", "/api/environments", "environments", "Which environments rules can use here", TAG,
        ok(answer_object(available=list_of(TEXT))),
    ),
    Route("GET", "/api/openapi.json", "openapi", "This contract", TAG, ok(ANYTHING)),
    Route("GET", "/api/docs", "docs", "This contract as a page", TAG, {200: PAGE}),
)  # fmt: skip
