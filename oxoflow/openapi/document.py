"""Write the OpenAPI documents from the routes: 3.1 for all, 3.0.3 for the OxiFY part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from oxoflow import __version__
from oxoflow.openapi.route import ERRORS, JSON, Answer, Query, Route
from oxoflow.openapi.shapes import Schema
from oxoflow.settings import OPTIONS

SECURITY = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A session token, or an API key (it begins with oxo_).",
    },
    "cookie": {"type": "apiKey", "in": "cookie", "name": "oxo_session"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
SCHEMES: tuple[dict[str, list[str]], ...] = tuple({name: []} for name in SECURITY)
REQUEST_ID = {"x-request-id": {"$ref": "#/components/headers/RequestId"}}


def write_document(
    routes: Iterable[Route],
    schemas: Mapping[str, Schema],
    tags: Mapping[str, str],
    base_path: str = "",
) -> dict[str, Any]:
    """The whole contract as OpenAPI 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "oxoflow",
            "version": __version__,
            "description": "Takes workflows as text, checks them, runs them, and shows what is "
            "happening. Errors have the keys error and detail; below /api/v1 error and message.",
        },
        "servers": [{"url": base_path or "/"}],
        "tags": [{"name": name, "description": words} for name, words in tags.items()],
        "paths": _paths(routes),
        "components": {
            "schemas": dict(schemas),
            "securitySchemes": SECURITY,
            "headers": {
                "RequestId": {
                    "description": "Names this request; a well-formed one that came is kept.",
                    "schema": {"type": "string"},
                }
            },
        },
        "x-settings": [
            {
                "variable": option.variable,
                "flags": list(option.all_flags),
                "default": option.default,
                "description": option.help,
            }
            for option in OPTIONS
        ],
    }


def _paths(routes: Iterable[Route]) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return paths


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "tags": [route.tag],
        "security": _security(route),
        "responses": {
            **{str(status): _answer(answer) for status, answer in sorted(route.answers.items())},
            **{str(status): _error(status, route) for status in route.all_errors},
        },
    }
    if route.role:
        operation["x-least-role"] = route.role
    parameters = [_path_parameter(name) for name in route.path_parameters]
    parameters += [_parameter(query) for query in route.query]
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {
            "required": route.body_required,
            "content": {media: {"schema": route.body} for media in route.body_media},
        }
    return operation


def _security(route: Route) -> list[dict[str, list[str]]]:
    if route.oxify and route.role not in (None, "admin"):
        return [{}, *SCHEMES]  # on plain loopback these routes are open (design, section 10)
    if route.role is not None:
        return list(SCHEMES)
    return [{}, *SCHEMES] if route.optional_login else []


def _answer(answer: Answer) -> dict[str, Any]:
    headers = {
        name: {"description": words, "schema": {"type": "string"}}
        for name, words in answer.headers.items()
    }
    written: dict[str, Any] = {"description": answer.words, "headers": {**REQUEST_ID, **headers}}
    if answer.media:
        written["content"] = {media: _content(answer, media) for media in answer.media}
    return written


def _content(answer: Answer, media: str) -> dict[str, Any]:
    """The schema belongs to the first type; others are text or bytes as they are."""
    mine = answer.schema is not None and media == answer.media[0]
    return {"schema": answer.schema if mine else {"type": "string"}} if answer.schema else {}


def _error(status: int, route: Route) -> dict[str, Any]:
    shape = "OxifyError" if route.oxify else "RateError" if status == 429 else "Error"
    headers: dict[str, Any] = dict(REQUEST_ID)
    if status in (429, 503):
        headers["Retry-After"] = {
            "description": "Whole seconds to wait.",
            "schema": {"type": "string"},
        }
    return {
        "description": ERRORS[status],
        "headers": headers,
        "content": {JSON: {"schema": {"$ref": f"#/components/schemas/{shape}"}}},
    }


def _path_parameter(name: str) -> dict[str, Any]:
    number = name in ("revision", "job_id")
    schema: Schema = {"type": "integer", "minimum": 0} if number else {"type": "string"}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _parameter(query: Query) -> dict[str, Any]:
    return {
        "name": query.name,
        "in": query.place,
        "required": False,
        "description": query.words,
        "schema": query.schema,
    }


def to_30(document: Mapping[str, Any], tag: str, title: str) -> dict[str, Any]:
    """The operations under one tag as OpenAPI 3.0.3, with the schemas they use."""
    paths = {
        path: {verb: one for verb, one in methods.items() if tag in one["tags"]}
        for path, methods in document["paths"].items()
    }
    kept = {path: methods for path, methods in paths.items() if methods}
    components = document["components"]
    schemas = components["schemas"]
    used = _used(kept, schemas)
    narrowed: dict[str, Any] = _to_30(
        {
            "openapi": "3.0.3",
            "info": {**document["info"], "title": title},
            "servers": document["servers"],
            "paths": kept,
            "components": {
                **components,
                "schemas": {name: schema for name, schema in schemas.items() if name in used},
            },
        }
    )
    return narrowed


def _used(part: Any, schemas: Mapping[str, Schema]) -> set[str]:
    """The names of the schemas that a part of the document refers to, directly or not."""
    found: set[str] = set()
    waiting = [part]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            target = value.get("$ref")
            name = target.rpartition("/")[2] if isinstance(target, str) else ""
            if name in schemas and name not in found:
                found.add(name)
                waiting.append(schemas[name])
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return found


def _to_30(value: Any) -> Any:
    """Say `type: [x, null]`, `anyOf [x, null]`, `const` and `examples` in the words of 3.0."""
    if isinstance(value, list):
        return [_to_30(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    schema = dict(value)
    kinds = schema.get("type")
    if isinstance(kinds, list):
        real = [kind for kind in kinds if kind != "null"]
        schema["nullable"] = "null" in kinds
        if len(real) == 1:
            schema["type"] = real[0]
        else:
            del schema["type"]
            schema["anyOf"] = [{"type": kind} for kind in real]
        if "enum" in schema:
            schema["enum"] = [word for word in schema["enum"] if word is not None]
    choices = schema.get("anyOf")
    if isinstance(choices, list) and {"type": "null"} in choices:
        schema["anyOf"] = [choice for choice in choices if choice != {"type": "null"}]
        schema["nullable"] = True
    if isinstance(schema.get("examples"), list):
        schema["example"] = schema.pop("examples")[0]
    if "const" in schema and not isinstance(schema["const"], Mapping):
        schema["enum"] = [schema.pop("const")]
    return {name: _to_30(item) for name, item in schema.items()}
