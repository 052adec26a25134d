"""Serve what the server says about itself (spec/oxo-flow-api.md 1.2)."""

from __future__ import annotations

import os
import platform
import time

from flask import Blueprint, Response
from msgspec.structs import asdict

from oxoflow import __version__
from oxoflow.access.openness import bound_openly, impersonation, openness
from oxoflow.db.runs import Status, count_runs
from oxoflow.web.http import reply, services

SAMPLE_EVERY = 5.0  # seconds between two measurements of the machine
PRODUCT = "oxoflow"
COMPILER = "unknown"  # `rust_version` is a key of the contract; there is none here

blueprint = Blueprint("system", __name__)


@blueprint.get("/api/health")
def health() -> Response:
    """Alive; exactly two keys."""
    return reply({"status": "ok", "version": __version__})


@blueprint.get("/api/version")
def version() -> Response:
    """The one product version."""
    return reply(
        {
            "version": __version__,
            "crate_name": PRODUCT,
            "rust_version": COMPILER,
            "python_version": platform.python_version(),
        }
    )


def _uptime() -> float:
    return round(time.monotonic() - services().started, 3)


@blueprint.get("/api/system")
def system() -> Response:
    """The server process; and in plain words what it does not protect."""
    return reply(
        {
            "version": __version__,
            "rust_version": COMPILER,
            "os": platform.system().lower(),
            "arch": platform.machine(),
            "pid": os.getpid(),
            "uptime_secs": _uptime(),
            "python_version": platform.python_version(),
            "warnings": _unprotected(),
        }
    )


def _unprotected() -> list[str]:
    found = ["rules run as the server's own account: logged-in users are not isolated from it"]
    if os.geteuid() == 0:
        found.append("the server runs as root, and so do the rules")
    if bound_openly(services().settings):
        found.append(openness(services().settings))
    if claim := impersonation(services().settings):
        found.append(claim)
    return found


@blueprint.get("/api/metrics")
def metrics() -> Response:
    """Counters of the server and the last measurement of the machine."""
    parts = services()
    runs = count_runs(parts.db.read())
    return reply(
        {
            "uptime_secs": _uptime(),
            "version": __version__,
            "pid": os.getpid(),
            "os": platform.system().lower(),
            "arch": platform.machine(),
            "cpu_count": os.cpu_count() or 1,
            "total_requests": parts.traffic.begun,
            "active_workflows": runs.get(Status.PENDING, 0) + runs.get(Status.RUNNING, 0),
            "host": asdict(parts.machine.load),
        }
    )


@blueprint.get("/api/license")
def license_status() -> Response:
    """An independent, open product: nothing to unlock."""
    return reply(
        {
            "valid": True,
            "license_type": "open",
            "issued_to": "everyone",
            "schema": None,
            "message": "No key is needed",
        }
    )
