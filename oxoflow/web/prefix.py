"""Serve everything below a base path and nothing outside it, as a WSGI wrapper.

Moves the prefix from PATH_INFO to SCRIPT_NAME, so that views and error shapes see plain paths and
built URLs carry the prefix. A request outside is marked, and answered 404 in the usual form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

OUTSIDE = "oxoflow.outside"  # key of the WSGI environ: this request is not below the base path

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Prefix:
    """The application below `base_path` ("/oxo-flow")."""

    def __init__(self, inner: WsgiApp, base_path: str) -> None:
        self._inner = inner
        self._base_path = base_path

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == self._base_path or path.startswith(self._base_path + "/"):
            environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + self._base_path
            environ["PATH_INFO"] = path[len(self._base_path) :]
        else:
            environ[OUTSIDE] = True
        return self._inner(environ, start_response)
