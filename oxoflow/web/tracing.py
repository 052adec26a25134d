"""Give every request an id and every answer the same one, and count requests.

An incoming id is kept when it is well formed, so that a proxy's log and ours can be joined.
"""

from __future__ import annotations

import logging
import re
import time
import uuid

from flask import Flask, Response, g, redirect, request
from flask.typing import ResponseReturnValue

from oxoflow.errors import NotFound
from oxoflow.web.prefix import OUTSIDE
from oxoflow.web.services import services

HEADER = "x-request-id"
WELL_FORMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")

log = logging.getLogger("oxoflow.request")


def begin() -> ResponseReturnValue | None:
    """Name and count the request; refuse what is not below the base path."""
    given = request.headers.get(HEADER)
    g.request_id = given if given and WELL_FORMED.fullmatch(given) else str(uuid.uuid4())
    g.began = time.monotonic()
    services().traffic.begin()
    if OUTSIDE in request.environ:
        raise NotFound("Not found")
    if not request.environ["PATH_INFO"]:  # the base path without its slash: relative links need it
        query = request.query_string.decode("latin-1")
        return redirect(request.script_root + "/" + (f"?{query}" if query else ""), 308)
    return None


def end(response: Response) -> Response:
    """Put the id on the answer, count it, and write a line into the debug log."""
    response.headers[HEADER] = g.request_id
    seconds = time.monotonic() - g.began
    services().traffic.end(request.method, response.status_code, seconds)
    if log.isEnabledFor(logging.DEBUG):
        log.debug(
            "%s %r %d %.1f ms [%s]",
            request.method,
            request.path,
            response.status_code,
            seconds * 1000,
            g.request_id,
        )
    return response


def register(app: Flask) -> None:
    """Trace every request of this application; call it before other hooks are registered."""
    app.before_request(begin)
    app.after_request(end)
