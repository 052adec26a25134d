"""Put around every request what it needs before any route is looked for, and on every answer what
it must carry: its id, what is left of its budget, security and CORS headers.

A WSGI wrapper, so that it is done once, on plain lists, for whatever the application answers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from oxoflow.settings import Settings
from oxoflow.web import cors, tracing
from oxoflow.web.prefix import OUTSIDE
from oxoflow.web.shape import speaks_oxify
from oxoflow.web.traffic import Traffic
from oxoflow.web.wsgi import Application, Environ, Headers, StartResponse

MORE = "oxoflow.more_headers"  # key of the WSGI environ: headers the answer gets, whatever it is
GRAPHS_VERSION = ("X-API-Version", "v1")  # every answer of the graph routes names it


class Envelope:
    """The application with what is the same for every request."""

    def __init__(self, inner: Application, settings: Settings, traffic: Traffic) -> None:
        self._inner = inner
        self._origins = frozenset(settings.allowed_origins)
        self._traffic = traffic

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        tracing.begin(environ, self._traffic)
        more: Headers = []
        environ[MORE] = more

        def start(status: str, headers: Headers, exc_info: Any = None) -> Any:
            whole = headers + more
            if speaks_oxify(environ["PATH_INFO"]):
                whole.append(GRAPHS_VERSION)
            cors.add_headers(whole, environ, self._origins)
            tracing.end(environ, int(status[:3]), whole, self._traffic)
            return start_response(status, whole, exc_info)

        if cors.is_preflight(environ) and OUTSIDE not in environ:
            start("204 NO CONTENT", [])
            return ()
        return self._inner(environ, start)
