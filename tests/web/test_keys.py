"""API keys: shown once, limited by scope and role, revocable."""

import re
import sqlite3

import pytest
from flask import Flask
from flask.testing import FlaskClient

from oxoflow.web.services import Services
from tests.web.conftest import log_in

URL = "/api/auth/keys"
SAVE = {"name": "x", "toml_content": "[workflow]\nname='x'"}


def make(client: FlaskClient, **change: object) -> dict[str, str]:
    answer = client.post(URL, json={"name": "script", **change})
    assert answer.status_code == 201, answer.json
    return dict(answer.json)


def test_a_key_is_shown_once_and_kept_as_a_hash(user: FlaskClient, services: Services) -> None:
    made = make(user)
    assert re.fullmatch("oxo_[0-9a-f]{40}", made["key"])
    listed = user.get(URL).json["keys"]
    assert listed == [{name: value for name, value in made.items() if name != "key"}]
    assert made["key"] not in "\n".join(sqlite3.connect(services.settings.database).iterdump())


def test_a_key_works_in_both_headers_and_notes_its_use(
    user: FlaskClient, client: FlaskClient, services: Services
) -> None:
    key = make(user)["key"]
    for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}):
        body = client.get("/api/auth/me", headers=headers).json
        assert body == {"authenticated": True, "username": "user", "role": "user"}
    services.db.write(lambda connection: None)  # the note is written behind the answer
    assert user.get(URL).json["keys"][0]["last_used_at"]
    for wrong in ("oxo_" + "0" * 40, "oxo_", "x", key[:-1], key + "0"):
        headers = {"X-API-Key": wrong}
        assert client.get("/api/auth/me", headers=headers).json == {"authenticated": False}


@pytest.mark.parametrize(
    ("owner", "scope", "role"),
    [
        ("viewer", "read", "viewer"), ("viewer", "write", "viewer"), ("viewer", "admin", "viewer"),
        ("user", "read", "viewer"), ("user", "write", "user"), ("user", "admin", "user"),
        ("admin", "read", "viewer"), ("admin", "write", "user"), ("admin", "admin", "admin"),
    ],
)  # fmt: skip
def test_a_key_may_do_what_its_scope_and_its_owner_may(
    app: Flask, client: FlaskClient, owner: str, scope: str, role: str
) -> None:
    headers = {"X-API-Key": make(log_in(app, owner), scope=scope)["key"]}
    assert client.get("/api/auth/me", headers=headers).json["role"] == role
    saved = client.post("/api/workflows/save", json=SAVE, headers=headers).status_code
    assert saved == (403 if role == "viewer" else 201)
    users = client.get("/api/users", headers=headers).status_code
    assert users == (200 if role == "admin" else 403)


def test_a_revoked_key_is_nobody(user: FlaskClient, client: FlaskClient) -> None:
    made = make(user)
    assert user.delete(f"{URL}/{made['id']}").json == {"status": "revoked"}
    headers = {"X-API-Key": made["key"]}
    assert client.get("/api/workflows/saved", headers=headers).status_code == 401
    assert user.get(URL).json["keys"][0]["revoked"] is True
    assert user.delete(f"{URL}/{made['id']}").status_code == 404


def test_an_expired_key_is_nobody(
    user: FlaskClient, client: FlaskClient, services: Services
) -> None:
    made = make(user, expires_in_days=1)
    headers = {"X-API-Key": made["key"]}
    assert client.get("/api/workflows/saved", headers=headers).status_code == 200
    services.db.write(
        lambda connection: connection.execute("UPDATE api_keys SET expires_at = '2020-01-01'")
    )
    assert client.get("/api/workflows/saved", headers=headers).status_code == 401


def test_keys_of_others_are_unknown(user: FlaskClient, admin: FlaskClient) -> None:
    made = make(user)
    assert admin.delete(f"{URL}/{made['id']}").status_code == 404
    assert admin.get(URL).json == {"keys": []}
    assert user.get(URL).json["keys"][0]["revoked"] is False


def test_a_key_cannot_make_or_revoke_keys(user: FlaskClient, client: FlaskClient) -> None:
    made = make(user, scope="admin")
    headers = {"X-API-Key": made["key"]}
    assert client.post(URL, json={"name": "more"}, headers=headers).status_code == 403
    assert client.delete(f"{URL}/{made['id']}", headers=headers).status_code == 403


@pytest.mark.parametrize(
    "change",
    [{"name": " "}, {"name": 1}, {"scope": "root"}, {"expires_in_days": 0},
     {"expires_in_days": 99999}, {"expires_in_days": "1"}],
)  # fmt: skip
def test_a_key_that_cannot_be_made_says_why(user: FlaskClient, change: dict[str, object]) -> None:
    assert user.post(URL, json={"name": "script"} | change).status_code == 422


def test_a_user_has_so_many_keys_and_no_more(user: FlaskClient) -> None:
    ids = [make(user)["id"] for _ in range(50)]
    assert user.post(URL, json={"name": "more"}).status_code == 409
    user.delete(f"{URL}/{ids[0]}")
    make(user)


def test_keys_end_with_their_user(app: Flask, admin: FlaskClient, client: FlaskClient) -> None:
    body = {"username": "ada", "password": "ada-secret"}
    user_id = admin.post("/api/users", json=body).json["id"]
    headers = {"X-API-Key": make(log_in(app, "ada"))["key"]}
    admin.patch(f"/api/users/{user_id}", json={"disabled": True})
    assert client.get("/api/workflows/saved", headers=headers).status_code == 401
    admin.patch(f"/api/users/{user_id}", json={"disabled": False})
    assert client.get("/api/workflows/saved", headers=headers).status_code == 200
    admin.delete(f"/api/users/{user_id}")
    assert client.get("/api/workflows/saved", headers=headers).status_code == 401
