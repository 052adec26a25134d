"""Sessions end by the clock, 24 hours after the login, wherever they are used."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from oxoflow.access.account import Via
from oxoflow.access.accounts import Access
from oxoflow.access.sessions import LIFETIME
from oxoflow.web.services import Services
from oxoflow.web.sse import aliveness
from tests.access.conftest import Clock


@pytest.fixture
def clock(services: Services) -> Clock:
    """The clock of the application's logins."""
    made = Clock()
    services.access = Access(services.db, services.settings, made, made)
    return made


def log_in(client: FlaskClient) -> str:
    body = {"username": "user", "password": "user-secret"}
    return str(client.post("/api/auth/login", json=body).json["token"])  # type: ignore[index]


def test_a_token_is_worth_nothing_after_a_day_on_either_api(
    client: FlaskClient, clock: Clock, services: Services
) -> None:
    headers = {"Authorization": f"Bearer {log_in(client)}"}

    def statuses() -> list[int]:
        paths = ("/api/runs", "/api/events", "/api/v1/auth/me", "/api/v1/executions")
        forwarded = headers | {"X-Forwarded-For": "10.0.0.1"}  # else loopback needs no login
        return [client.head(path, headers=forwarded).status_code for path in paths]

    clock.now += LIFETIME - 1
    assert statuses() == [200, 200, 200, 200]
    clock.now += 1
    assert statuses() == [401, 401, 401, 401]
    me = client.get("/api/auth/me", headers=headers)
    assert (me.status_code, me.json) == (200, {"authenticated": False})
    assert client.post("/api/auth/logout", headers=headers).status_code == 200
    services.access = Access(services.db, services.settings, clock, clock)  # after a restart too
    assert statuses() == [401, 401, 401, 401]
    headers["Authorization"] = f"Bearer {log_in(client)}"
    assert statuses() == [200, 200, 200, 200]


def test_a_browser_has_to_log_in_again(app: Flask, clock: Clock) -> None:
    browser = app.test_client()
    log_in(browser)
    same: dict[str, Any] = {"headers": {"Origin": "http://localhost"}}
    assert browser.get("/api/quota").status_code == 200
    clock.now += LIFETIME
    assert browser.get("/api/quota").status_code == 401
    answer = browser.put("/api/uploads/a", data=b"x", **same)
    assert answer.status_code == 401
    log_in(browser)
    assert browser.get("/api/quota").status_code == 200
    assert browser.put("/api/uploads/a", data=b"x", **same).status_code == 201


def test_a_stream_ends_with_its_session(
    app: Flask, client: FlaskClient, clock: Clock, services: Services
) -> None:
    account = services.access.sessions.find(log_in(client), Via.COOKIE)
    assert account is not None
    with app.app_context():
        still_there = aliveness(account)
        for_admins = aliveness(account, everything=True)
    clock.now += LIFETIME - 1
    assert still_there()
    assert not for_admins()
    clock.now += 1
    assert not still_there()


def test_old_sessions_leave_the_table_when_somebody_logs_in(
    client: FlaskClient, clock: Clock, services: Services
) -> None:
    def rows() -> int:
        return len(services.db.read().execute("SELECT token_hash FROM sessions").fetchall())

    log_in(client)
    clock.now += LIFETIME
    assert rows() == 1
    log_in(client)
    assert rows() == 1
    clock.now += LIFETIME
    assert (services.access.sessions.sweep(), rows()) == (1, 0)


def test_a_clock_that_is_set_back_ends_nobodys_session(client: FlaskClient, clock: Clock) -> None:
    headers = {"Authorization": f"Bearer {log_in(client)}"}
    clock.now -= 3600
    assert client.get("/api/quota", headers=headers).status_code == 200
    clock.now += 3600 + LIFETIME
    assert client.get("/api/quota", headers=headers).status_code == 401
