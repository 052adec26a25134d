"""Serve everything below a base path and nothing outside it: a WSGI wrapper and one hook.

Moves the prefix from PATH_INFO to SCRIPT_NAME, so that views and error shapes see plain paths and
built URLs carry the prefix. A request outside is marked, and answered 404 in the usual form.
"""

from __future__ import annotations

from collections.abc import Iterable

from flask import Flask, redirect, request
from flask.typing import ResponseReturnValue

from oxoflow.errors import NotFound
from oxoflow.web.wsgi import Application, Environ, StartResponse

OUTSIDE = "oxoflow.outside"  # key of the WSGI environ: this request is not below the base path


class Prefix:
    """The application below `base_path` ("/oxo-flow")."""

    def __init__(self, inner: Application, base_path: str) -> None:
        self._inner = inner
        self._base_path = base_path

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == self._base_path or path.startswith(self._base_path + "/"):
            environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + self._base_path
            environ["PATH_INFO"] = path[len(self._base_path) :]
        else:
            environ[OUTSIDE] = True
        return self._inner(environ, start_response)


def refuse_outside() -> ResponseReturnValue | None:
    """404 for what is not below the base path; its bare name needs a slash for relative links."""
    if OUTSIDE in request.environ:
        raise NotFound("Not found")
    if not request.environ["PATH_INFO"]:
        query = request.query_string.decode("latin-1")
        return redirect(request.script_root + "/" + (f"?{query}" if query else ""), 308)
    return None


def register(app: Flask, base_path: str) -> None:
    """Serve this application below a base path: the outermost wrapper, the first hook."""
    app.before_request(refuse_outside)
    app.wsgi_app = Prefix(app.wsgi_app, base_path)  # type: ignore[method-assign]
