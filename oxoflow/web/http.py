"""Turn errors into statuses and JSON, and request bodies into checked objects.

The only place that knows which error has which status and which of the two error shapes a path
uses (design, section 10). Holds no route.
"""

from __future__ import annotations

import json
import logging
import re
import sqlite3
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, make_response, request
from werkzeug.exceptions import (
    HTTPException,
    MethodNotAllowed,
    RequestedRangeNotSatisfiable,
)

from oxoflow import errors
from oxoflow.db import DatabaseTrouble
from oxoflow.openapi.contract import complaint
from oxoflow.web.services import Services, services
from oxoflow.web.shape import compact, error_body, speaks_oxify
from oxoflow.web.tracing import request_id

__all__ = [
    "Services",
    "Unprocessable",
    "check_members",
    "checked_word",
    "compact",
    "created",
    "error_reply",
    "json_body",
    "query_flag",
    "query_number",
    "register",
    "reply",
    "services",
]

log = logging.getLogger("oxoflow.web")

WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,40}")
FLAGS = {"1": True, "true": True, "0": False, "false": False, "": False}

TYPE_NAMES = {
    str: "a string", int: "a whole number", float: "a number", bool: "true or false",
    dict: "an object", list: "a list",
}  # fmt: skip


class Unprocessable(errors.InvalidInput):
    """The body is JSON, but a field is missing or has the wrong type."""


# Every error of the tree with its status and its name in OxiFY's shape; the nearest class counts.
STATUSES: dict[type[Exception], tuple[int, str]] = {
    errors.ParseError: (400, "ValidationError"),
    errors.GraphError: (422, "ValidationError"),
    errors.WorkflowError: (422, "ValidationError"),
    Unprocessable: (422, "ValidationError"),
    errors.InvalidInput: (400, "ValidationError"),
    errors.UsageError: (400, "ValidationError"),
    errors.Unauthorized: (401, "Unauthorized"),
    errors.Forbidden: (403, "Forbidden"),
    errors.NotFound: (404, "NotFound"),
    errors.Conflict: (409, "Conflict"),
    errors.TooLarge: (413, "PayloadTooLarge"),
    errors.RateLimited: (429, "RateLimited"),
    DatabaseTrouble: (500, "StorageError"),
    errors.Unavailable: (503, "ServiceUnavailable"),
    errors.DiskTrouble: (500, "StorageError"),
    errors.OxoflowError: (500, "InternalError"),
}
HTTP_NAMES = {
    400: ("Bad request", "ValidationError"),
    404: ("Not found", "NotFound"),
    405: ("Method not allowed", "MethodNotAllowed"),
    413: ("Request body too large", "PayloadTooLarge"),
    415: ("Unsupported media type", "ValidationError"),
    416: ("Range not satisfiable", "ValidationError"),
}


def reply(body: Any, status: int = 200) -> Response:
    """A JSON answer."""
    data = compact(body).encode("utf-8", "replace") + b"\n"
    return Response(data, status, content_type="application/json")


def created(body: Any, path: str) -> Response:
    """The answer that something was made; `path` is where it can be read, without the base path."""
    response = reply(body, 201)
    response.headers["Location"] = request.script_root + path
    return response


def error_reply(
    status: int, error: str, detail: str | None, name: str, retry_after: int | None = None
) -> Response:
    """The one form of every error answer, in the shape its path speaks."""
    body = error_body(request.path, error, detail, name)
    if status == 429 and not speaks_oxify(request.path):
        body["retry_after_secs"] = retry_after
    response = reply(body, status)
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _known(error: errors.OxoflowError) -> Response:
    status, name = next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
    text, detail = error.message, error.detail
    if isinstance(error, errors.GraphError):
        text, detail = "DAG construction failed", detail or error.message
    elif isinstance(error, errors.ParseError):
        text, detail = "Invalid workflow TOML", detail or error.message
    elif isinstance(error, errors.WorkflowError):
        text, detail = "Workflow cannot be planned", detail or error.message
    elif status == 500:
        log.error("%s %s: %s (%s)", request.method, request.path, text, detail)
        stored = isinstance(error, (DatabaseTrouble, errors.DiskTrouble))
        detail = _storage_word(detail) if stored else None
    return error_reply(status, text, detail, name, getattr(error, "retry_after", None))


def _storage_word(detail: str | None) -> str:
    """The reason in words that tell nothing of the inside."""
    text = (detail or "").lower()
    if "full" in text or "no space" in text or "quota" in text:
        return "the disk is full"
    if "read-only" in text:
        return "the disk is read-only"
    return "another process holds it" if "locked" in text else "see the server's log"


def _database(error: sqlite3.Error) -> Response:
    log.error("%s %s: database: %s", request.method, request.path, error)
    return error_reply(500, "Database error", _storage_word(str(error)), "StorageError")


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    if status < 400:  # a redirect of the router
        return make_response(error.get_response())
    text, name = HTTP_NAMES.get(status, (error.name, "ValidationError"))
    detail = None
    if isinstance(error, UnsupportedType):
        detail = error.description
    if status == 413:
        detail = f"the limit is {request.max_content_length} bytes"
    response = error_reply(status, text, detail, name)
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    if isinstance(error, RequestedRangeNotSatisfiable) and error.length is not None:
        response.headers["Content-Range"] = f"{error.units} */{error.length}"
    return response


def _unexpected(error: Exception) -> Response:
    log.exception("%s %s [%s]", request.method, request.path, request_id())
    return error_reply(500, "Internal server error", None, "InternalError")


def register(app: Flask) -> None:
    """Make every error of this application JSON."""
    app.register_error_handler(errors.OxoflowError, _known)
    app.register_error_handler(sqlite3.Error, _database)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def parsed_body() -> Any:
    """The request's JSON value: 415 for another type, 400 for no JSON, 413 over the limit."""
    if not request.is_json:
        raise UnsupportedType()
    raw = request.get_data(cache=True)
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise errors.InvalidInput("Invalid JSON", _json_word(error)) from None
    # An escaped half of a surrogate pair is legal JSON but no text that can be stored.
    if (b"\\ud" in raw or b"\\uD" in raw) and _has_surrogate(value):
        raise errors.InvalidInput("Invalid JSON", "a string holds half a surrogate pair")
    return value


def _json_word(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno} column {error.colno}"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not UTF-8"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]


def _has_surrogate(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


class UnsupportedType(HTTPException):
    """The Content-Type is not JSON, or not what the description says."""

    code = 415
    description = "send it with Content-Type: application/json"


def json_body(
    required: Mapping[str, type] | None = None,
    optional: Mapping[str, type] | None = None,
    may_be_empty: bool = False,
) -> dict[str, Any]:
    """The request's JSON object, checked by the contract: Unprocessable names what does not fit.

    `required` and `optional` are for routes that the contract does not describe. An optional field
    that is null counts as absent. Unknown fields are ignored. A request without any body counts as
    `{}` when it `may_be_empty`.
    """
    body = {} if may_be_empty and not request.get_data(cache=True) else parsed_body()
    if request.url_rule is not None:
        wrong = complaint(request.method, request.url_rule.rule, body)
        if wrong is not None:
            raise Unprocessable("Invalid request body", wrong)
    if not isinstance(body, dict):
        raise Unprocessable("Invalid request body", "the body must be an object")
    for name in required or ():
        if name not in body:
            raise Unprocessable("Invalid request body", f"the field '{name}' is missing")
    check_members(body, required or {}, may_be_null=False)
    check_members(body, optional or {})
    return body


def check_members(
    members: Mapping[str, Any],
    kinds: Mapping[str, type],
    within: str = "",
    may_be_null: bool = True,
) -> None:
    """Check the types of the members that are there; `within` ("config.") is for the message."""
    for name, kind in kinds.items():
        value = members.get(name)
        if (value is None and may_be_null) or name not in members:
            continue
        fits = isinstance(value, kind) or (kind is float and isinstance(value, int))
        if not fits or (isinstance(value, bool) and kind is not bool):
            raise Unprocessable(
                "Invalid request body", f"the field '{within}{name}' must be {TYPE_NAMES[kind]}"
            )


def checked_word(field: str, text: str, longest: int) -> str:
    """A name or version without blanks around it; Unprocessable when it is none."""
    word = text.strip()
    if not word or len(word) > longest or not word.isprintable():
        raise Unprocessable(
            "Invalid request body",
            f"the field '{field}' must have 1 to {longest} printable characters",
        )
    return word


def query_number(name: str, default: int, low: int, high: int) -> int:
    """A whole number of the query, clamped to its range; InvalidInput when it is no number."""
    text = request.args.get(name)
    if text is None:
        return default
    if WHOLE_NUMBER.fullmatch(text) is None:
        raise errors.InvalidInput("Invalid query", f"'{name}' must be a whole number")
    return max(low, min(high, int(text)))


def query_flag(name: str) -> bool:
    """Whether a flag of the query is set; InvalidInput for what is neither yes nor no."""
    text = request.args.get(name, "0").lower()
    if text not in FLAGS:
        raise errors.InvalidInput("Invalid query", f"'{name}' must be 1 or 0")
    return FLAGS[text]
