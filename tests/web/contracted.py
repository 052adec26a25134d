"""Hold every answer that a test gets against the published contract."""

from functools import cache
from typing import Any

import jsonschema
from flask import Flask, Response, request

from oxoflow.openapi.contract import ROUTES, path_of
from oxoflow.openapi.route import JSON, Route
from oxoflow.openapi.schemas import SCHEMAS
from oxoflow.web.prefix import OUTSIDE

BY_KEY = {(route.method, route.path): route for route in ROUTES}
FORMATS = jsonschema.FormatChecker(["date-time", "uuid"])


@cache
def validator(key: str) -> Any:
    """The validator of one answer, named by method, path and status."""
    method, path, status = key.split(" ")
    route = BY_KEY[method, path]
    if int(status) in route.answers:
        schema = route.answers[int(status)].schema or {}
    else:
        shape = "OxifyError" if route.oxify else "RateError" if status == "429" else "Error"
        schema = SCHEMAS[shape]
    root = {**schema, "components": {"schemas": SCHEMAS}}
    return jsonschema.Draft202012Validator(root, format_checker=FORMATS)


def hold(response: Response) -> Response:
    """Fail the test when an answer is not described."""
    if request.url_rule is None or OUTSIDE in request.environ:
        return response
    method = "GET" if request.method == "HEAD" else request.method
    route = BY_KEY.get((method, path_of(request.url_rule.rule)))
    if route is not None:
        _check(route, response)
    return response


def _check(route: Route, response: Response) -> None:
    where = f"{route.method} {route.path} {response.status_code}"
    assert response.status_code in route.statuses, f"{where} is not in the contract"
    answer = route.answers.get(response.status_code)
    media = answer.media if answer else (JSON,)
    if media:
        assert response.mimetype in media, f"{where}: {response.mimetype} is not in the contract"
    if response.mimetype == JSON == media[0] and not response.direct_passthrough:
        encoded = "Content-Encoding" in response.headers
        if not encoded and request.method != "HEAD":
            found = jsonschema.exceptions.best_match(validator(where).iter_errors(response.json))
            assert found is None, f"{where}: {found.json_path}: {found.message}"


def watch(app: Flask) -> None:
    """Hold every answer of an application against the contract."""
    app.after_request(hold)
