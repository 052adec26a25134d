"""Hold every answer that a test gets against the published contract, and changes to the audit log.

Every request that changes something must have left a row in the audit log under its own id.
"""

from functools import cache
from typing import Any

import jsonschema
from flask import Flask, Response, request

from oxoflow.openapi.contract import ROUTES, path_of
from oxoflow.openapi.route import JSON, UNSAFE, Route
from oxoflow.openapi.schemas import SCHEMAS
from oxoflow.web.prefix import OUTSIDE
from oxoflow.web.services import services
from oxoflow.web.tracing import request_id

# Routes that change nothing that lasts, by the names of their operations.
WITHOUT_TRACE = frozenset(
    {
        "validateGraph", "getGraphs", "searchVectors", "report", "issueTicket",
        "logout",  # there may be no session to end; test_auth looks at the row of one that ends
    }
)  # fmt: skip
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
        if response.status_code < 300 and route.method in UNSAFE and not _only_looks(route):
            row = (
                services()
                .db.read()
                .execute("SELECT 1 FROM audit_logs WHERE request_id = ?", (request_id(),))
            )
            assert row.fetchone(), f"{route.method} {route.path} left no row in the audit log"
    return response


def _only_looks(route: Route) -> bool:
    """Whether a request of this route need not be in the audit log."""
    given = request.get_json(silent=True) or {}
    return (
        route.name in WITHOUT_TRACE
        or route.tag == "workflows"  # verbs on texts
        or "offset" in request.args  # a further piece of an upload
        or "idempotency_key" in given  # may be the second request of the same
        or "Idempotency-Key" in request.headers
        or (route.name == "launch" and given.get("dry_run") is True)
        or (given.get("config") or {}).get("dry_run") is True
        or (route.name in ("pauseRun", "resumeRun"))  # once more changes nothing
        or (route.name == "cleanRun" and given.get("dry_run") is not False)
    )


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
