"""Say that the server lives and is ready, and publish the OxiFY part of the contract (spec 1.2)."""

from __future__ import annotations

import sqlite3
from functools import lru_cache

from flask import Response

from oxoflow import __version__
from oxoflow.db.events import last_event_id
from oxoflow.errors import Unavailable
from oxoflow.openapi.contract import document
from oxoflow.openapi.document import to_30
from oxoflow.openapi.oxify import TAG, TITLE
from oxoflow.web.http import compact, reply, services
from oxoflow.web.oxify import make_blueprint

blueprint = make_blueprint(__name__, public=True)


@blueprint.get("/health")
def health() -> Response:
    """The server answers."""
    return reply({"status": "healthy", "version": __version__})


@blueprint.get("/livez")
def alive() -> Response:
    """The process lives."""
    return reply({"status": "alive"})


@blueprint.get("/readyz")
def ready() -> Response:
    """The database answers too."""
    try:
        last_event_id(services().db.read())
    except sqlite3.Error:
        raise Unavailable("The database does not answer", retry_after=5) from None
    return reply({"status": "ready"})


@lru_cache(maxsize=4)
def _written(base_path: str) -> bytes:
    return compact(to_30(document(base_path), TAG, TITLE)).encode()


@blueprint.get("/api-docs/openapi.json")
def openapi() -> Response:
    """The contract of this API as OpenAPI 3.0.3."""
    return Response(_written(services().settings.base_path), content_type="application/json")
