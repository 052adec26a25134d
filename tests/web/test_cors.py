"""CORS and security headers, on every kind of answer."""

import re

import pytest
from flask.testing import FlaskClient

from oxoflow.openapi.contract import ROUTES
from oxoflow.web.cors import ALWAYS
from tests.web.conftest import MakeApp

OURS = "http://localhost:8080"
ASK = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}


@pytest.mark.parametrize("path", ["/api/health", "/nowhere", "/api/workflows/saved", "/"])
def test_every_answer_carries_the_security_headers(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "strict-origin-when-cross-origin"
    assert "Origin" in headers.getlist("Vary")


def test_a_listed_origin_is_echoed_with_credentials(client: FlaskClient) -> None:
    headers = client.get("/api/health", headers={"Origin": OURS}).headers
    assert headers["Access-Control-Allow-Origin"] == OURS
    assert headers["Access-Control-Allow-Credentials"] == "true"
    exposed = headers["Access-Control-Expose-Headers"].split(", ")
    assert {"x-request-id", "retry-after", "x-total-pages", "x-next-offset"} <= set(exposed)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", OURS + ".evil.example", "*"])
def test_an_unlisted_origin_gets_no_cors_headers_but_its_answer(
    client: FlaskClient, origin: str
) -> None:
    answer = client.get("/api/health", headers={"Origin": origin})
    assert answer.status_code == 200
    assert not any(name.startswith("Access-Control") for name, _ in answer.headers)


def test_a_preflight_is_answered_without_credentials(client: FlaskClient) -> None:
    answer = client.options("/api/workflows/save", headers=ASK | {"Origin": OURS})
    assert (answer.status_code, answer.data) == (204, b"")
    allowed = answer.headers["Access-Control-Allow-Headers"].split(", ")
    assert {"authorization", "content-type", "accept", "cookie"} <= set(allowed)
    assert {"x-request-id", "last-event-id"} <= set(allowed)
    assert "DELETE" in answer.headers["Access-Control-Allow-Methods"]
    answer = client.options("/api/workflows/save", headers=ASK | {"Origin": "http://evil"})
    assert answer.status_code == 204
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_errors_carry_cors_headers_too(make_app: MakeApp) -> None:
    client = make_app(RATE_LIMIT="1").test_client()
    codes = set()
    for path in ("/api/workflows/saved", "/api/workflows/saved"):
        answer = client.get(path, headers={"Origin": OURS})
        codes.add(answer.status_code)
        assert answer.headers["Access-Control-Allow-Origin"] == OURS
    assert codes == {401, 429}


def test_configured_origins_replace_the_default(make_app: MakeApp) -> None:
    client = make_app(ALLOWED_ORIGINS="https://lab.example").test_client()
    for origin, allowed in (("https://lab.example", True), (OURS, False)):
        headers = client.get("/api/health", headers={"Origin": origin}).headers
        assert ("Access-Control-Allow-Origin" in headers) is allowed


def test_json_is_not_stored_by_caches(client: FlaskClient) -> None:
    assert client.get("/api/auth/me").headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("origin", [None, OURS])
def test_no_answer_carries_a_header_twice(admin: FlaskClient, origin: str | None) -> None:
    headers = {"Accept-Encoding": "gzip, br"} | ({"Origin": origin} if origin else {})
    for route in ROUTES:
        if route.method != "GET" or "event-stream" in str(route):
            continue
        answer = admin.get(re.sub(r"\{.*?\}", "1", route.path), headers=headers)
        names = [name.lower() for name, _ in answer.headers if name != "Vary"]
        assert len(names) == len(set(names)), (route.path, names)
        assert {name.lower() for name, _ in ALWAYS} < set(names) | {"vary"}, route.path
        assert "x-request-id" in names
        answer.close()
