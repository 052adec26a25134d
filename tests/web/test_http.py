"""Errors and bodies: every answer is JSON in the shape its path speaks, and has a request id."""

import re
import sqlite3
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient

from oxoflow import errors
from oxoflow.web.services import Services
from tests.web.conftest import MakeApp, log_in

LOGIN = "/api/auth/login"
JSON = {"Content-Type": "application/json"}


def test_every_answer_has_a_request_id_and_keeps_a_given_one(client: FlaskClient) -> None:
    for path in ("/api/health", "/nowhere", "/api/auth/login", "/api/workflows/saved"):
        UUID(client.get(path).headers["x-request-id"])
    own = "lab-2026.05_26"
    assert client.get("/nowhere", headers={"x-request-id": own}).headers["x-request-id"] == own
    for bad in ("short", "x" * 65, "a b c d e f", "evil<script>", ""):
        given = client.get("/nowhere", headers={"x-request-id": bad}).headers["x-request-id"]
        assert given != bad
        UUID(given)


@pytest.mark.parametrize(
    "path", ["/nowhere", "/api/nowhere", "/api//health", "/api/health/", "/%00"]
)
def test_an_unknown_path_is_404(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json) == (404, {"error": "Not found", "detail": None})


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "FROBNICATE"])
def test_a_wrong_method_is_405_and_names_the_right_ones(client: FlaskClient, method: str) -> None:
    answer = client.open(LOGIN, method=method)
    assert answer.status_code == 405
    assert answer.json == {"error": "Method not allowed", "detail": None}
    assert "POST" in answer.headers["Allow"]


@pytest.mark.parametrize(
    "path",
    ["/api/v1/nowhere", "/health/x", "/livez/x", "/readyz/x", "/api-docs/x", "/swagger-ui/x"],
)
def test_oxify_paths_answer_with_error_and_message(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.json == {"error": "NotFound", "message": "Not found"}


@pytest.mark.parametrize(
    ("data", "headers", "status", "error", "detail"),
    [
        ("{}", {}, 415, "Unsupported media type", "application/json"),
        ("{}", {"Content-Type": "text/plain"}, 415, "Unsupported media type", "application/json"),
        ("", JSON, 400, "Invalid JSON", "line 1 column 1"),
        ("{", JSON, 400, "Invalid JSON", "line 1 column 2"),
        (b"{\"username\": \"\xff\"}", JSON, 400, "Invalid JSON", "byte 14 is not UTF-8"),
        ('{"a": NaN}', JSON, 400, "Invalid JSON", "NaN"),
        ('{"a": "\\ud800"}', JSON, 400, "Invalid JSON", "surrogate"),
        ('{"\\ud800": 1}', JSON, 400, "Invalid JSON", "surrogate"),
        ("[" * 100_000, JSON, 400, "Invalid JSON", "too deeply"),
        ('{"a":' * 100_000, JSON, 400, "Invalid JSON", "too deeply"),
        ("1" * 5000, JSON, 400, "Invalid JSON", "digits"),
        ("[]", JSON, 422, "Invalid request body", "must be an object"),
        ("null", JSON, 422, "Invalid request body", "must be an object"),
        ("{}", JSON, 422, "Invalid request body", "'username' is missing"),
        ('{"username":"a"}', JSON, 422, "Invalid request body", "'password' is missing"),
        ('{"username":1,"password":"b"}', JSON, 422, "Invalid request body", "must be a string"),
        ('{"username":null,"password":"b"}', JSON, 422, "Invalid request body", "'username'"),
        ('{"username":"a","password":["b"]}', JSON, 422, "Invalid request body", "'password'"),
    ],
)  # fmt: skip
def test_a_body_that_does_not_fit_says_why(
    client: FlaskClient, data: str, headers: dict[str, str], status: int, error: str, detail: str
) -> None:
    answer = client.post(LOGIN, data=data, headers=headers)
    assert (answer.status_code, answer.json["error"]) == (status, error)
    assert detail in (answer.json["detail"] or "")


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "application/vnd.lab+json"]
)
def test_every_json_type_is_taken_and_unknown_fields_are_ignored(
    client: FlaskClient, kind: str
) -> None:
    body = '{"username":"admin","password":"admin-secret","extra":{"deep":[1]}}'
    assert client.post(LOGIN, data=body, headers={"Content-Type": kind}).status_code == 200


def test_a_body_above_the_limit_is_413(make_app: MakeApp) -> None:
    client = make_app(MAX_BODY="1000").test_client()
    for headers in (JSON, {"Content-Type": "application/json", "Content-Length": "99999999"}):
        answer = client.post(LOGIN, data=b'{"username":"' + b"x" * 1000, headers=headers)
        assert answer.status_code == 413
        assert answer.json["error"] == "Request body too large"
        assert "1000 bytes" in answer.json["detail"]
    assert client.post(LOGIN, data=b"{" * 1000, headers=JSON).status_code == 400


@pytest.mark.parametrize(
    ("error", "status", "text", "name"),
    [
        (errors.ParseError("line 3"), 400, "Invalid workflow TOML", "ValidationError"),
        (errors.GraphError("cycle"), 422, "DAG construction failed", "ValidationError"),
        (errors.WorkflowError("too big"), 422, "Workflow cannot be planned", "ValidationError"),
        (errors.InvalidInput("no", "why"), 400, "no", "ValidationError"),
        (errors.Unauthorized("who"), 401, "who", "Unauthorized"),
        (errors.Forbidden("no"), 403, "no", "Forbidden"),
        (errors.NotFound("gone"), 404, "gone", "NotFound"),
        (errors.Conflict("busy"), 409, "busy", "Conflict"),
        (errors.TooLarge("big"), 413, "big", "PayloadTooLarge"),
        (errors.RateLimited("slow", None, 7), 429, "slow", "RateLimited"),
        (errors.Unavailable("later", None, 3), 503, "later", "ServiceUnavailable"),
        (errors.DiskTrouble("disk", "/secret"), 500, "disk", "StorageError"),
        (errors.DiskTrouble("disk", "No space left on device"), 500, "disk", "StorageError"),
        (sqlite3.OperationalError("/secret"), 500, "Database error", "StorageError"),
        (sqlite3.OperationalError("disk is full"), 500, "Database error", "StorageError"),
        (RuntimeError("/secret"), 500, "Internal server error", "InternalError"),
    ],
)
def test_every_error_has_its_status_in_both_shapes(
    make_app: MakeApp, error: Exception, status: int, text: str, name: str
) -> None:
    app = make_app()
    app.testing = False

    def fail() -> None:
        raise error

    app.add_url_rule("/api/fail", view_func=fail)
    app.add_url_rule("/api/v1/fail", "fail1", view_func=fail)
    ours, theirs = (app.test_client().get(path) for path in ("/api/fail", "/api/v1/fail"))
    assert ours.status_code == theirs.status_code == status
    assert ours.json["error"] == text
    assert set(ours.json) - {"retry_after_secs"} == {"error", "detail"}
    assert theirs.json["error"] == name
    assert set(theirs.json) == {"error", "message"}
    assert "secret" not in ours.text + theirs.text
    wait = getattr(error, "retry_after", None)
    assert ours.headers.get("Retry-After") == (str(wait) if wait else None)


def test_a_database_that_is_locked_is_a_500_with_a_word_and_recovers(
    app: Flask, services: Services
) -> None:
    services.db.write(lambda connection: connection.execute("PRAGMA busy_timeout = 20"))
    other = sqlite3.connect(services.settings.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    body = {"username": "admin", "password": "admin-secret"}
    answer = app.test_client().post(LOGIN, json=body)
    assert answer.status_code == 500
    assert answer.json == {
        "error": "The database cannot be written",
        "detail": "another process holds it",
    }
    other.execute("ROLLBACK")
    other.close()
    assert app.test_client().post(LOGIN, json=body).status_code == 200


def test_a_full_disk_is_a_500_with_a_word_and_recovers(app: Flask, services: Services) -> None:
    client = log_in(app, "user")
    body = {"name": "x", "toml_content": "[workflow]\nname='x'\n#" + "x" * 500_000}
    pages = services.db.read().execute("PRAGMA page_count").fetchone()[0]
    services.db.write(lambda it: it.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    for _ in range(2):
        answer = client.post("/api/workflows/save", json=body)
        assert answer.status_code == 500
        assert answer.json["detail"] == "the disk is full"
        assert client.get("/api/workflows/saved").json == []
    services.db.write(lambda it: it.execute("PRAGMA max_page_count = 1000000").fetchone())
    assert client.post("/api/workflows/save", json=body).status_code == 201
    assert len(client.get("/api/workflows/saved").json) == 1
    assert services.db.read().execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_markup_in_a_path_comes_back_as_json_text(client: FlaskClient) -> None:
    answer = client.get("/<script>alert(1)</script>")
    assert answer.content_type == "application/json"
    assert not re.search("<script", answer.text)
