"""Give every request an id and every answer the same one, count requests and log them.

An incoming id is kept when it is well formed, so that a proxy's log and ours can be joined. Works
on the WSGI environ: what is done for every request needs no Flask.
"""

from __future__ import annotations

import logging
import random
import re
import time
import uuid

from flask import request

from oxoflow.web.traffic import Traffic
from oxoflow.web.wsgi import Environ, Headers

HEADER = "x-request-id"
REQUEST_ID = "oxoflow.request_id"  # keys of the WSGI environ
BEGAN = "oxoflow.began"
WELL_FORMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")

log = logging.getLogger("oxoflow.request")


def begin(environ: Environ, traffic: Traffic) -> None:
    """Name and count a request."""
    given = environ.get("HTTP_X_REQUEST_ID")
    environ[REQUEST_ID] = given if given and WELL_FORMED.fullmatch(given) else _new_id()
    environ[BEGAN] = time.monotonic()
    traffic.begin()


def _new_id() -> str:
    """A random UUID, not from the kernel: asking it would hand the interpreter to other threads."""
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


def end(environ: Environ, status: int, headers: Headers, traffic: Traffic) -> None:
    """Put the id on the answer, count it, and write a line into the debug log."""
    headers.append((HEADER, environ[REQUEST_ID]))
    seconds = time.monotonic() - environ[BEGAN]
    method = environ["REQUEST_METHOD"]
    traffic.end(method, status, seconds)
    if log.isEnabledFor(logging.DEBUG):
        path, name = environ.get("PATH_INFO", ""), environ[REQUEST_ID]
        log.debug("%s %r %d %.1f ms [%s]", method, path, status, seconds * 1000, name)


def request_id() -> str:
    """The id of the request that is being handled."""
    name: str = request.environ[REQUEST_ID]
    return name
