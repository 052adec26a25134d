"""Login, logout and who-am-I over HTTP."""

import re
import sqlite3
import time

import pytest
from flask import Flask
from flask.testing import FlaskClient

from oxoflow.access.accounts import Access
from oxoflow.web.services import Services
from tests.access.conftest import Clock
from tests.web.conftest import MakeApp, log_in


def token_of(client: FlaskClient, name: str = "user", **environ: str) -> str:
    answer = client.post(
        "/api/auth/login",
        json={"username": name, "password": f"{name}-secret"},
        environ_overrides=environ,
    )
    assert answer.status_code == 200
    return str(answer.json["token"])


def test_login_gives_a_token_and_a_strict_cookie(client: FlaskClient) -> None:
    answer = client.post("/api/auth/login", json={"username": "admin", "password": "admin-secret"})
    assert answer.status_code == 200
    assert answer.json == {"token": answer.json["token"], "username": "admin", "role": "admin"}
    assert re.fullmatch("[0-9a-f]{32}", answer.json["token"])
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith(f"oxo_session={answer.json['token']}; ")
    parts = set(cookie.split("; ")[1:])
    assert {"HttpOnly", "Path=/", "Max-Age=86400", "SameSite=Strict"} <= parts
    assert "Secure" not in parts
    assert not any(part.startswith("Domain") for part in parts)


def test_the_cookie_is_secure_when_a_trusted_proxy_says_https(make_app: MakeApp) -> None:
    body = {"username": "admin", "password": "admin-secret"}
    said = {"X-Forwarded-Proto": "https"}
    trusting = make_app(TRUSTED_PROXIES="127.0.0.1", BASE_PATH="/oxo-flow")
    answer = trusting.test_client().post("/oxo-flow/api/auth/login", json=body, headers=said)
    assert {"Secure", "Path=/oxo-flow"} <= set(answer.headers["Set-Cookie"].split("; "))
    answer = make_app().test_client().post("/api/auth/login", json=body, headers=said)
    assert "Secure" not in answer.headers["Set-Cookie"]


@pytest.mark.parametrize(
    ("name", "password"),
    [("admin", "wrong"), ("nobody", "admin-secret"), ("admin", ""), ("local", "")],
)
def test_a_wrong_name_and_a_wrong_password_get_one_answer(
    client: FlaskClient, name: str, password: str
) -> None:
    answer = client.post("/api/auth/login", json={"username": name, "password": password})
    assert answer.status_code == 401
    assert answer.json == {
        "error": "Invalid credentials",
        "detail": "Unknown user name or wrong password",
    }
    assert "Set-Cookie" not in answer.headers


def test_me_knows_bearer_and_cookie_and_nothing_else(app: Flask, client: FlaskClient) -> None:
    token = token_of(client)
    known = {"authenticated": True, "username": "user", "role": "user"}

    def me(**headers: str) -> object:
        answer = client.get("/api/auth/me", headers=headers)
        assert answer.status_code == 200
        return answer.json

    assert me(Authorization=f"Bearer {token}") == known
    assert me(Authorization=f"bearer {token}") == known
    assert me(Cookie=f"oxo_session={token}") == known
    nobody = {"authenticated": False}
    assert me() == nobody
    assert me(Authorization=f"Basic {token}") == nobody
    assert me(Authorization="Bearer " + "0" * 32) == nobody
    # a wrong header does not fall back to the cookie
    assert me(Authorization="Bearer x", Cookie=f"oxo_session={token}") == nobody


def test_an_expired_session_is_nobody(client: FlaskClient, services: Services) -> None:
    token = token_of(client)
    services.db.write(
        lambda connection: connection.execute("UPDATE sessions SET expires_at = '2020-01-01'")
    )
    services.access.sessions.sweep()
    services.access.sessions._cache.clear()
    answer = client.get("/api/runs", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code in (401, 404)
    answer = client.get("/api/workflows/saved", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    assert answer.json == {"error": "Authentication required", "detail": None}
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_logout_ends_this_session_only_and_always_answers(app: Flask, client: FlaskClient) -> None:
    one, two = log_in(app, "user"), log_in(app, "user")
    for _ in range(2):
        answer = one.post("/api/auth/logout")
        assert (answer.status_code, answer.json) == (200, {"status": "logged_out"})
        assert "oxo_session=;" in answer.headers["Set-Cookie"]
        assert "Max-Age=0" in answer.headers["Set-Cookie"]
    assert one.get("/api/auth/me").json == {"authenticated": False}
    assert two.get("/api/auth/me").json["authenticated"]
    assert client.post("/api/auth/logout").status_code == 200


def test_neither_token_nor_password_stands_in_the_database(
    client: FlaskClient, services: Services
) -> None:
    token = token_of(client)
    client.post("/api/auth/login", json={"username": "user", "password": "typed-wrongly"})
    dump = "\n".join(sqlite3.connect(services.settings.database).iterdump())
    assert "login" in dump
    for secret in (token, "user-secret", "typed-wrongly"):
        assert secret not in dump


def test_failed_logins_are_slowed_down_per_address(client: FlaskClient) -> None:
    wrong = {"username": "admin", "password": "x"}
    right = {"username": "admin", "password": "admin-secret"}
    for _ in range(5):
        assert client.post("/api/auth/login", json=wrong).status_code == 401
    answer = client.post("/api/auth/login", json=right)
    assert answer.status_code == 429
    assert answer.json["error"] == "Too many failed logins"
    assert 1 <= int(answer.headers["Retry-After"]) <= 30
    elsewhere = {"REMOTE_ADDR": "10.0.0.9"}
    answer = client.post("/api/auth/login", json=right, environ_overrides=elsewhere)
    assert answer.status_code == 200


def test_a_restart_forgives_no_failed_login(client: FlaskClient, services: Services) -> None:
    clock = Clock()
    clock.now = time.time()

    def attempt(name: str, password: str, path: str = "/api/auth/login", key: str = "username"):
        return client.post(path, json={key: name, "password": password})

    def restart() -> None:
        services.access = Access(services.db, services.settings, clock, clock)

    for _ in range(4):
        attempt("admin", "x")
        attempt("user", "x")
        attempt("viewer", "x", "/api/v1/auth/login", "email")
    assert attempt("user", "user-secret").status_code == 200  # forgives what was before
    restart()
    assert attempt("admin", "x").status_code == 401
    assert attempt("user", "x").status_code == 401
    assert attempt("viewer", "x", "/api/v1/auth/login", "email").status_code == 401
    restart()
    waits = [int(attempt("admin", "admin-secret").headers["Retry-After"]),
             int(attempt("viewer", "viewer-secret").headers["Retry-After"])]  # fmt: skip
    assert waits == [30, 30]
    assert attempt("user", "user-secret").status_code == 200
    clock.now += 600
    restart()
    assert attempt("admin", "admin-secret").status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 201),  # no browser
        ({"Origin": "http://localhost"}, 201),  # our own page
        ({"Origin": "http://localhost:8080"}, 201),  # a listed one
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://localhost.evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({"Sec-Fetch-Site": "none"}, 201),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_a_cookie_does_not_change_anything_for_a_foreign_page(
    client: FlaskClient, headers: dict[str, str], status: int
) -> None:
    body = {"name": "x", "toml_content": "[workflow]\nname='x'"}
    token = token_of(client)
    cookie = {"Cookie": f"oxo_session={token}"}
    answer = client.post("/api/workflows/save", json=body, headers=headers | cookie)
    assert answer.status_code == status
    assert client.get("/api/workflows/saved", headers=headers | cookie).status_code == 200
    bearer = {"Authorization": f"Bearer {token}"}
    answer = client.post("/api/workflows/save", json=body, headers=headers | bearer)
    assert answer.status_code == 201
    if status == 403:
        assert client.post("/api/auth/logout", headers=headers | cookie).status_code == 403
        assert client.get("/api/auth/me", headers=cookie).json["authenticated"]


def test_a_trusted_proxy_names_the_user_and_nobody_else_can(make_app: MakeApp) -> None:
    app = make_app(TRUSTED_PROXIES="10.0.0.1", USER_HEADER="X-Remote-User")
    client = app.test_client()

    def me(peer: str, **headers: str) -> object:
        answer = client.get(
            "/api/auth/me", headers=headers, environ_overrides={"REMOTE_ADDR": peer}
        )
        return answer.json.get("username")

    assert me("10.0.0.1", **{"X-Remote-User": "viewer"}) == "viewer"
    assert me("10.0.0.2", **{"X-Remote-User": "viewer"}) is None
    assert me("10.0.0.1", **{"X-Remote-User": "stranger"}) is None
    assert me("10.0.0.1", **{"X-Remote-User": "local"}) is None
    assert me("10.0.0.1") is None
    # a page elsewhere cannot use it
    answer = client.post(
        "/api/workflows/save",
        json={"name": "x", "toml_content": "[workflow]\nname='x'"},
        headers={"X-Remote-User": "user", "Origin": "http://evil.example"},
        environ_overrides={"REMOTE_ADDR": "10.0.0.1"},
    )
    assert answer.status_code == 403


def test_without_the_setting_no_header_names_a_user(make_app: MakeApp) -> None:
    client = make_app(TRUSTED_PROXIES="127.0.0.1").test_client()
    answer = client.get("/api/auth/me", headers={"X-Remote-User": "admin"})
    assert answer.json == {"authenticated": False}
