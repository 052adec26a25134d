"""Serve the audit log to admins, and the proof that nobody changed it."""

from __future__ import annotations

import time
from typing import Any

from flask import Blueprint, Response, request

from oxoflow.db.audit import AuditRow, is_hash, list_deeds, verify_chain
from oxoflow.db.instants import instant
from oxoflow.errors import InvalidInput
from oxoflow.web.guards import role
from oxoflow.web.http import query_number, reply, services

DAYS, MOST_DAYS = 7, 30
ROWS, MOST_ROWS = 200, 1000

blueprint = Blueprint("audit", __name__, url_prefix="/api/audit")


def _shown(row: AuditRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "timestamp": row.timestamp,
        "user": row.username,
        "action": row.action,
        "resource": row.target,
        "result": row.result,
        "address": row.address,
        "request_id": row.request_id,
        "detail": row.detail,
        "hash": row.hash,
    }


@blueprint.get("")
@role("admin")
def listed() -> Response:
    """What was done in the last days, newest first; `before` an id continues."""
    days = query_number("days", DAYS, 1, MOST_DAYS)
    limit = query_number("limit", ROWS, 1, MOST_ROWS)
    before = query_number("before", 2**53, 1, 2**53)
    since = instant(time.time() - days * 86400)
    rows = list_deeds(services().db.read(), since, limit, before)
    return reply({"entries": [_shown(row) for row in rows], "days": days})


@blueprint.get("/verify")
@role("admin")
def verify() -> Response:
    """Whether every row still fits the one before it, and `head`, noted earlier, is there."""
    noted = request.args.get("head")
    if noted is not None and not is_hash(noted):
        raise InvalidInput("Invalid query", "'head' must be a hash of 64 hexadecimal digits")
    found = verify_chain(services().db.read(), noted)
    return reply(
        {
            "intact": found.intact,
            "rows": found.rows,
            "last_hash": found.last_hash,
            "broken_at": found.broken_at,
            "head_found": found.head_found,
        }
    )
