"""Serve the contract: as OpenAPI, and as a page that needs neither script nor network."""

from __future__ import annotations

import json
from functools import lru_cache

from flask import Blueprint, Response, render_template

from oxoflow import __version__
from oxoflow.openapi.contract import ROUTES, TAGS, document
from oxoflow.openapi.route import ERRORS
from oxoflow.openapi.schemas import SCHEMAS
from oxoflow.openapi.shapes import Schema
from oxoflow.web.http import compact, services

blueprint = Blueprint("contract", __name__)


@lru_cache(maxsize=4)
def _written(base_path: str) -> bytes:
    return compact(document(base_path)).encode()


@blueprint.get("/api/openapi.json")
def openapi() -> Response:
    """The whole contract as OpenAPI 3.1."""
    return Response(_written(services().settings.base_path), content_type="application/json")


@blueprint.get("/api/docs")
def docs() -> str:
    """The contract as a page: every route with its fields, answers and errors."""
    return render_template(
        "docs.html",
        version=__version__,
        tags=TAGS,
        routes=ROUTES,
        errors=ERRORS,
        schemas=SCHEMAS,
        written=_indented,
    )


def _indented(schema: Schema) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False)
