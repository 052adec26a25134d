"""Hostile words in every place that takes one: each is refused or kept as text, never obeyed."""

import json
import logging
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.web.conftest import log_in

LOGOUTS = re.compile(r"/logout")
SECRET = re.compile(r"root:[^:]*:0:0:|secret-outside")
DEEP: Any = "x"
for _ in range(100):
    DEEP = [DEEP]
PATHS = [
    "..", "../../../../../../etc/passwd", "/etc/passwd", "..\\..\\x", "%2e%2e%2f%2e%2e%2fetc",
    ".oxo-flow", "~root", "a\x00b", "\udcff", "x" * 5000, "<script>alert(1)</script>",
    "x\r\nSet-Cookie: evil=1", "' OR 1=1 --", "{{7*7}}", "$(touch evil)", "-rf", "-1",
    "9" * 30 + "!",
]  # fmt: skip
VALUES = [
    DEEP, "<script>alert(1)</script>", "x\r\nSet-Cookie: evil=1\r\n\r\nERROR forged", "\x00",
    "../../../../../../etc/passwd", "/etc/passwd", "x" * 3000, "' OR 1=1 --", "${jndi:x}", "",
    -1, 0, 2**70, 1e308, True, None, [], {}, [None], {"": None}, {"../x": "../x"}, ["../../x"],
]  # fmt: skip


def routes(app: Flask) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """(method, path with {names}, names) of every route."""
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:[^:>]*:)?([^>]+)>", r"{\1}", rule.rule)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            if not LOGOUTS.search(path) and not rule.websocket:
                yield method, path, tuple(rule.arguments)


def every_key(contract: Any) -> list[str]:
    """The name of every field that any body may have."""
    found: set[str] = set()

    def look(node: Any) -> None:
        if isinstance(node, dict):
            properties = node.get("properties")
            found.update(properties if isinstance(properties, dict) else ())
            for inner in node.values():
                look(inner)
        elif isinstance(node, list):
            for inner in node:
                look(inner)

    look(contract)
    return sorted(found)


def check(answer: Any, what: object) -> None:
    """What holds for every answer to every hostile request."""
    assert answer.status_code < 500, (what, answer.text[:300])
    assert "evil" not in str(answer.headers), what
    assert not SECRET.search(answer.text), what
    if answer.mimetype == "text/html":
        assert "<script>alert" not in answer.text, what
    else:
        assert answer.headers["X-Content-Type-Options"] == "nosniff", what


def test_hostile_words_in_every_path_are_refused(app: Flask, admin: FlaskClient) -> None:
    for method, path, names in routes(app):
        for word in PATHS if names else ():
            filled = path
            for name in names:
                filled = filled.replace("{" + name + "}", quote(word, "", errors="surrogateescape"))
            answer = admin.open(filled, method=method, json={})
            check(answer, (method, filled[:200]))
            assert answer.status_code >= 400 or method == "PUT", (method, filled[:200])


@pytest.mark.parametrize(
    "value",
    [*VALUES[:4], *(pytest.param(value, marks=pytest.mark.torture) for value in VALUES[4:])],
    ids=lambda value: repr(value)[:20],
)
def test_hostile_values_in_every_field_are_refused_or_kept_as_text(
    app: Flask, admin: FlaskClient, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    body = dict.fromkeys(every_key(admin.get("/api/openapi.json").json), value)
    with caplog.at_level(logging.DEBUG):
        for method, path, names in routes(app):
            if method == "GET" or names:
                continue
            check(admin.open(path, method=method, json=body), (method, path))
        for method, path, names in routes(app):
            if method == "GET" and not names and path not in ("/api/events",):
                check(admin.get(path), (method, path))
    forged = [record.getMessage() for record in caplog.records if "\nERROR" in record.getMessage()]
    assert forged == []


@pytest.mark.parametrize("query", ["\udcff", "-1", "x", "1e9", "9" * 30, "<script>", "%00", "\r\n"])
def test_hostile_queries_are_refused_or_ignored(app: Flask, admin: FlaskClient, query: str) -> None:
    words = quote(query, "", errors="surrogateescape")
    names = ("page", "per_page", "status", "days", "tail", "offset", "limit", "under", "format")
    search = "&".join(f"{name}={words}" for name in names)
    for method, path, arguments in routes(app):
        if method == "GET" and not arguments and path not in ("/api/events",):
            check(admin.get(f"{path}?{search}"), path)


def test_one_bad_byte_in_any_body_is_a_clear_400(app: Flask, admin: FlaskClient) -> None:
    text = json.dumps({"toml_content": "[workflow]\nname = 'x'"}).encode()
    for at in range(0, len(text) + 1):
        bad = text[:at] + b"\xff" + text[at:]
        answer = admin.post("/api/workflows/validate", data=bad, content_type="application/json")
        assert (answer.status_code, answer.json["error"]) == (400, "Invalid JSON")
        assert f"byte {at} " in answer.json["detail"]


def test_a_hostile_address_or_agent_at_login_is_kept_out_of_headers_and_log(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    client = app.test_client()
    with caplog.at_level(logging.DEBUG):
        for name in ("x\nERROR forged", "x\r\nSet-Cookie: evil=1", "\x1b[2J"):
            body = {"username": name, "password": "x"}
            check(client.post("/api/auth/login", json=body), name)
    lines = [record.getMessage() for record in caplog.records]
    assert not [line for line in lines if "\n" in line or "\x1b" in line]
    entries = log_in(app, "admin").get("/api/audit").json["entries"]
    assert any("forged" in str(entry) for entry in entries)
