"""Answer in JSON what waitress refuses before any application sees it, or what fell through ours.

Owns the words for malformed requests: no error of this server is plain text (design, section 10).
"""

from __future__ import annotations

import uuid
from typing import Any

from waitress.task import ErrorTask

from oxoflow.web.cors import ALWAYS
from oxoflow.web.shape import compact, error_body

# Status to our words and OxiFY's name; waitress' own words become the detail.
WORDS = {
    400: ("Bad request", "ValidationError"),
    413: ("Request body too large", "PayloadTooLarge"),
    431: ("Request header fields too large", "ValidationError"),
    501: ("Not implemented", "ValidationError"),
}
FAULT = ("Internal server error", "InternalError")
GRAPHS = "/api/v1/"
LONGEST = 200  # characters of a detail


class RefusalTask(ErrorTask):
    """The answer to a request that is none; the connection ends with it."""

    def execute(self) -> None:
        request: Any = self.request
        error = request.error
        words, name = WORDS.get(error.code, FAULT)
        detail = str(error.body)[:LONGEST] if error.code in WORDS else None
        path = getattr(request, "path", "")
        path = path[max(0, path.find(GRAPHS)) :]  # the server does not know the base path
        body = compact(error_body(path, words, detail, name)).encode("utf-8", "replace") + b"\n"
        self.status = f"{error.code} {error.reason}"
        self.response_headers = [
            *self.response_headers,
            ("Content-Type", "application/json"),
            ("Cache-Control", "no-store"),
            *ALWAYS,
            ("x-request-id", str(uuid.uuid4())),
        ]
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)
