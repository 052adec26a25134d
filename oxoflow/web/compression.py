"""Compress answers for clients that ask for it; never a stream, a download or a small answer.

Secrets are shown only in answers too small to be compressed, so that their length tells nothing.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping

import brotli
from flask import Flask, Response, request

SMALLEST = 1024  # bytes
TYPES = frozenset(
    {"application/json", "text/html", "text/plain", "text/css", "text/javascript", "image/svg+xml"}
)
ENCODERS: Mapping[str, Callable[[bytes], bytes]] = {
    "br": lambda data: bytes(brotli.compress(data, quality=4)),
    "gzip": lambda data: gzip.compress(data, compresslevel=6, mtime=0),
}


def compress(response: Response) -> Response:
    """Replace a body by its compressed form when it is worth it."""
    if response.direct_passthrough or response.is_streamed:
        return response
    data = response.get_data()
    if (
        len(data) < SMALLEST
        or response.mimetype not in TYPES
        or response.status_code not in (200, 201)
        or "Content-Encoding" in response.headers
    ):
        return response
    response.headers.add("Vary", "Accept-Encoding")
    encoding = request.accept_encodings.best_match(ENCODERS)
    if encoding is not None and request.accept_encodings[encoding] > 0:
        response.set_data(ENCODERS[encoding](data))
        response.headers["Content-Encoding"] = encoding
    return response


def register(app: Flask) -> None:
    """Compress what this application answers."""
    app.after_request(compress)
