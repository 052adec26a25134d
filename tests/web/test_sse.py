"""Who may open which stream, and when a stream ends because its login did."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from oxoflow.db.accounts import update_user
from oxoflow.web.guards import find_account
from oxoflow.web.services import Services
from oxoflow.web.sse import aliveness
from oxoflow.web.tickets import Tickets
from tests.web.conftest import log_in


@pytest.fixture
def account(app: Flask, services: Services) -> Any:
    """Call with request headers: the account behind them."""

    def look_up(headers: dict[str, str]) -> Any:
        with app.test_request_context(headers=headers):
            app.preprocess_request()
            return find_account(), aliveness(find_account()), aliveness(find_account(), True)

    return look_up


def headers_of(client: FlaskClient) -> dict[str, str]:
    return {"Authorization": client.environ_base["HTTP_AUTHORIZATION"]}


def test_a_session_stream_lives_until_logout(account: Any, user: FlaskClient) -> None:
    _, alive, _ = account(headers_of(user))
    assert alive()
    user.post("/api/auth/logout")
    assert not alive()


def test_a_key_stream_lives_until_the_key_is_revoked(account: Any, user: FlaskClient) -> None:
    made = user.post("/api/auth/keys", json={"name": "k", "scope": "read"}).json
    found, alive, _ = account({"X-API-Key": made["key"]})
    assert found.key_id == made["id"]
    assert alive()
    user.delete(f"/api/auth/keys/{made['id']}")
    assert not alive()


def test_a_stream_of_everything_ends_with_the_role(
    account: Any, app: Flask, services: Services
) -> None:
    admin = log_in(app, "admin")
    found, alive, everything = account(headers_of(admin))
    assert everything()
    services.db.write(lambda c: update_user(c, found.id, "user", False, "2026"))
    assert alive()
    assert not everything()


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "9" * 19, "١"])
def test_a_position_that_is_none_is_refused(user: FlaskClient, text: str) -> None:
    answer = user.get("/api/events", query_string={"last_event_id": text})
    assert (answer.status_code, answer.json["error"]) == (400, "Invalid Last-Event-ID")


def test_a_bad_login_is_refused_and_none_hears_heartbeats_only(client: FlaskClient) -> None:
    assert client.get("/api/events", headers={"Authorization": "Bearer x"}).status_code == 401
    assert client.get("/api/events?ticket=x").status_code == 401
    assert client.head("/api/events").headers["Content-Type"] == "text/event-stream"


def test_everything_is_for_admins(user: FlaskClient) -> None:
    assert user.get("/api/events?all=1").status_code == 403


def test_a_ticket_works_once_and_for_half_a_minute(account: Any, user: FlaskClient) -> None:
    now = [0.0]
    tickets = Tickets(lambda: now[0])
    found, _, _ = account(headers_of(user))
    first, second = tickets.issue(found), tickets.issue(found)
    assert tickets.redeem(first) == found
    assert tickets.redeem(first) is None
    now[0] = 31.0
    assert tickets.redeem(second) is None
    assert tickets.redeem("") is None


def test_streams_without_a_server_that_hands_over_are_held_by_half_of_the_threads(
    services: Services, user: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.start()
    answer = user.get("/api/events", buffered=False)
    frames = answer.response
    assert next(iter(frames)).startswith(b"retry: 3000")
    monkeypatch.setattr("oxoflow.web.sse.take_streaming_thread", lambda: False)
    refused = user.get("/api/events")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "10")
    answer.close()
