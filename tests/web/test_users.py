"""Accounts over HTTP: what an admin may do to whom, and what ends with it."""

import uuid
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from oxoflow.db.instants import instant
from oxoflow.db.runs import NewRun, insert_run
from oxoflow.web.services import Services
from tests.web.conftest import log_in

ADA = {"username": "ada", "password": "ada-secret"}


def create(admin: FlaskClient, **change: object) -> str:
    answer = admin.post("/api/users", json=ADA | change)
    assert answer.status_code == 201, answer.json
    return str(answer.json["id"])


def test_a_created_user_logs_in_with_its_role(app: Flask, admin: FlaskClient) -> None:
    answer = admin.post("/api/users", json=ADA | {"role": "viewer"})
    assert answer.status_code == 201
    assert admin.get(answer.headers["Location"]).json["username"] == "ada"
    assert answer.json == {
        "id": answer.json["id"],
        "username": "ada",
        "role": "viewer",
        "status": "created",
    }
    assert log_in(app, "ada").get("/api/auth/me").json["role"] == "viewer"
    listed = admin.get("/api/users").json["users"]
    assert [user["username"] for user in listed] == ["ada", "admin", "local", "user", "viewer"]
    assert "scrypt" not in str(listed)
    assert admin.get(f"/api/users/{answer.json['id']}").json == listed[0]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (ADA, 409),
        (ADA | {"username": "admin"}, 409),
        (ADA | {"username": "local"}, 409),
        (ADA | {"username": "../x"}, 422),
        (ADA | {"username": ""}, 422),
        (ADA | {"username": "x" * 65}, 422),
        (ADA | {"username": "eve", "role": "root"}, 422),
        (ADA | {"username": "eve", "password": "short"}, 400),
        ({"username": "eve"}, 422),
        ({"username": 1, "password": "long enough"}, 422),
    ],
)
def test_a_user_that_cannot_be_made_says_why(
    admin: FlaskClient, body: dict[str, object], status: int
) -> None:
    create(admin)
    answer = admin.post("/api/users", json=body)
    assert answer.status_code == status
    assert answer.json["detail"]


def test_changes_take_effect_at_once_and_end_the_sessions(app: Flask, admin: FlaskClient) -> None:
    user_id = create(admin)
    ada = log_in(app, "ada")
    answer = admin.patch(f"/api/users/{user_id}", json={"role": "viewer"})
    assert (answer.status_code, answer.json["role"]) == (200, "viewer")
    assert ada.get("/api/workflows/saved").status_code == 401
    assert log_in(app, "ada").get("/api/auth/me").json["role"] == "viewer"
    admin.patch(f"/api/users/{user_id}", json={"password": "another secret"})
    ada = log_in(app, "ada", "another secret")
    answer = admin.patch(f"/api/users/{user_id}", json={"disabled": True})
    assert answer.json["disabled"] is True
    assert ada.get("/api/workflows/saved").status_code == 401
    login = ADA | {"password": "another secret"}
    assert app.test_client().post("/api/auth/login", json=login).status_code == 401
    admin.patch(f"/api/users/{user_id}", json={"disabled": False})
    log_in(app, "ada", "another secret")


def test_an_admin_logs_a_user_out_everywhere(app: Flask, admin: FlaskClient) -> None:
    user_id = create(admin)
    one, two = log_in(app, "ada"), log_in(app, "ada")
    answer = admin.post(f"/api/users/{user_id}/logout")
    assert answer.json == {"status": "logged_out", "sessions": 2}
    for client in (one, two):
        assert client.get("/api/auth/me").json == {"authenticated": False}


def test_a_deleted_user_leaves_nothing_to_a_later_one_of_that_name(
    app: Flask, admin: FlaskClient, services: Services
) -> None:
    user_id = create(admin)
    ada = log_in(app, "ada")
    text = "[workflow]\nname='x'"
    saved = ada.post("/api/workflows/save", json={"name": "x", "toml_content": text}).json["id"]
    old = services.settings.workspace / "users" / "ada"
    (old / "runs").mkdir(parents=True)
    assert admin.delete(f"/api/users/{user_id}").json == {"status": "deleted"}
    assert ada.get("/api/workflows/saved").status_code == 401
    assert admin.get(f"/api/users/{user_id}").status_code == 404
    assert admin.delete(f"/api/users/{user_id}").status_code == 404
    assert not old.exists()
    assert Path(services.settings.workspace / "removed" / f"ada-{user_id}").is_dir()
    create(admin)
    again = log_in(app, "ada")
    assert again.get("/api/workflows/saved").json == []
    assert again.get(f"/api/workflows/saved/{saved}").status_code == 404


@pytest.mark.parametrize("kind", ["workflow", "execution"])
def test_a_user_with_something_unfinished_is_not_deleted(
    services: Services, admin: FlaskClient, kind: str
) -> None:
    user_id = create(admin)
    run = NewRun(str(uuid.uuid4()), user_id, "w", 1, instant(), kind=kind)
    services.db.write(lambda c: insert_run(c, run))
    answer = admin.delete(f"/api/users/{user_id}")
    assert (answer.status_code, answer.json["error"]) == (409, "User has unfinished runs")
    assert admin.get(f"/api/users/{user_id}").status_code == 200


def test_nobody_deletes_demotes_or_disables_himself(admin: FlaskClient, app: Flask) -> None:
    boss_id = create(admin, role="admin")
    boss = log_in(app, "ada")
    assert boss.delete(f"/api/users/{boss_id}").status_code == 400
    for body in ({"role": "user"}, {"disabled": True}):
        assert boss.patch(f"/api/users/{boss_id}", json=body).status_code == 400
    assert boss.get("/api/users").status_code == 200


def test_the_servers_own_accounts_stay_as_they_are(admin: FlaskClient, app: Flask) -> None:
    create(admin, role="admin")
    boss = log_in(app, "ada")
    ids = {user["username"]: user["id"] for user in boss.get("/api/users").json["users"]}
    for name in ("admin", "user", "viewer", "local"):
        assert boss.delete(f"/api/users/{ids[name]}").status_code == 409
        answer = boss.patch(f"/api/users/{ids[name]}", json={"role": "viewer"})
        assert answer.status_code == 409


def test_one_changes_ones_own_stored_password(app: Flask, admin: FlaskClient) -> None:
    create(admin)
    ada = log_in(app, "ada")
    body = {"current": "ada-secret", "new": "another secret"}
    assert ada.post("/api/auth/password", json=body | {"current": "x"}).status_code == 401
    assert ada.post("/api/auth/password", json=body | {"new": "short"}).status_code == 400
    assert ada.post("/api/auth/password", json=body).json == {"status": "changed"}
    assert ada.get("/api/auth/me").json == {"authenticated": False}
    log_in(app, "ada", "another secret")
    body = {"current": "admin-secret", "new": "another secret"}
    assert admin.post("/api/auth/password", json=body).status_code == 409


def test_logging_out_everywhere_ends_every_own_session(app: Flask) -> None:
    one, two, other = log_in(app, "user"), log_in(app, "user"), log_in(app, "viewer")
    assert one.post("/api/auth/logout/all").json == {"status": "logged_out", "sessions": 2}
    assert two.get("/api/auth/me").json == {"authenticated": False}
    assert other.get("/api/auth/me").json["authenticated"]
