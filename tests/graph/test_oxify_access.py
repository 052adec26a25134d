"""Who may use the OxiFY routes: open on plain loopback, closed when anything stands between."""

import uuid

import pytest
from flask import Flask
from flask.testing import FlaskClient

from oxoflow.db.instants import instant
from oxoflow.db.questions import Question, Standing, insert_question
from oxoflow.db.runs import find_run_of_anyone
from oxoflow.web.services import Services
from tests.graph.building import code, line
from tests.web.conftest import MakeApp, log_in

LIST = "/api/v1/workflows"
SHELL = line(code("C", "1", runtime="shell"))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "localhost:8080"},
        {"Host": "127.0.0.1"},
        {"Host": "[::1]:8080"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://127.0.0.1:8080"},
        {"Origin": "http://[::1]"},
    ],
)
def test_a_plain_local_request_needs_no_login(client: FlaskClient, headers: dict[str, str]) -> None:
    assert client.get(LIST, headers=headers).status_code == 200
    assert client.post(LIST, json={"workflow": SHELL}, headers=headers).status_code == 201


@pytest.mark.parametrize(
    "headers",
    [
        {"Forwarded": "for=1.2.3.4"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-Host": "localhost"},
        {"X-Forwarded-Proto": "http"},
        {"X-Real-IP": "127.0.0.1"},
        {"Host": "lab.example"},
        {"Host": "localhost.evil.example"},
        {"Host": "127.0.0.1.nip.io"},
        {"Host": "[::1]evil"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "null"},
        {"Origin": "http://evil@localhost"},
        {"Authorization": "Bearer wrong"},
        {"X-API-Key": "oxo_wrong"},
    ],
)
def test_any_sign_of_something_in_between_closes_the_door(
    client: FlaskClient, headers: dict[str, str]
) -> None:
    for answer in (
        client.get(LIST, headers=headers),
        client.post(LIST, json={"workflow": SHELL}, headers=headers),
    ):
        assert (answer.status_code, answer.json["error"]) == (401, "Unauthorized")


def test_a_peer_that_is_not_local_must_log_in(client: FlaskClient) -> None:
    answer = client.get(LIST, environ_overrides={"REMOTE_ADDR": "192.0.2.7"})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "variables",
    [
        {"BASE_PATH": "/oxo"},
        {"TRUSTED_PROXIES": "127.0.0.1"},
        {"HOST": "0.0.0.0"},
        {"HOST": "192.0.2.1"},
        {"HOST": "::"},
    ],
)
def test_a_setting_that_opens_the_server_closes_the_open_mode(
    make_app: MakeApp, variables: dict[str, str]
) -> None:
    client = make_app(**variables).test_client()
    prefix = variables.get("BASE_PATH", "")
    assert client.get(prefix + LIST).status_code == 401
    assert client.get(prefix + "/health").status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_a_loopback_address_keeps_it_open(make_app: MakeApp, host: str) -> None:
    assert make_app(HOST=host).test_client().get(LIST).status_code == 200


def test_viewers_read_users_write_their_own_and_admins_all(make_app: MakeApp) -> None:
    app = make_app(BASE_PATH="/oxo")
    admin, user, viewer = (_inside(app, name) for name in ("admin", "user", "viewer"))
    made = user.post("/oxo" + LIST, json={"workflow": SHELL}).json["id"]
    assert viewer.get("/oxo" + LIST).json["total"] == 0
    refused = viewer.post("/oxo" + LIST, json={"workflow": SHELL})
    assert (refused.status_code, refused.json["error"]) == (403, "Forbidden")
    assert viewer.get(f"/oxo{LIST}/{made}").status_code == 404
    assert admin.get(f"/oxo{LIST}/{made}").status_code == 200
    assert admin.get("/oxo" + LIST).json["total"] == 1
    assert user.delete(f"/oxo{LIST}/{made}").status_code == 200


def _inside(app: Flask, name: str) -> FlaskClient:
    client = app.test_client(use_cookies=False)
    given = {"username": name, "password": f"{name}-secret"}
    token = client.post("/oxo/api/auth/login", json=given).json["token"]
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def test_a_login_counts_in_open_mode_too(app: Flask, client: FlaskClient) -> None:
    user = log_in(app, "user")
    made = user.post(LIST, json={"workflow": SHELL}).json["id"]
    assert client.get(f"{LIST}/{made}").status_code == 404
    assert user.get(f"{LIST}/{made}").status_code == 200


def test_register_needs_an_admin_and_makes_a_user(app: Flask, client: FlaskClient) -> None:
    path = "/api/v1/auth/register"
    given = {"email": "ann@lab.example", "password": "long enough", "name": "Ann"}
    assert client.post(path, json=given).status_code == 401
    assert log_in(app, "user").post(path, json=given).status_code == 403
    admin = log_in(app, "admin")
    made = admin.post(path, json=given)
    assert made.status_code == 201
    assert made.json["token_type"] == "Bearer"
    assert made.json["expires_in"] == 86400
    assert made.json["user"]["email"] == "ann@lab.example"
    assert made.json["user"]["roles"] == ["user"]
    again = admin.post(path, json=given)
    assert (again.status_code, again.json["error"]) == (409, "ConflictError")
    for bad in ({"email": "ann"}, {"password": "short"}, {"email": "a/../b@x"}):
        assert admin.post(path, json=given | bad).status_code == 400


def test_login_gives_our_token_and_is_throttled(client: FlaskClient) -> None:
    path = "/api/v1/auth/login"
    good = client.post(path, json={"email": "user", "password": "user-secret"})
    assert good.status_code == 200
    headers = {"Authorization": f"Bearer {good.json['access_token']}"}
    me = client.get("/api/v1/auth/me", headers=headers).json
    assert (me["email"], me["roles"]) == ("user", ["user"])
    assert client.get("/api/runs", headers=headers).status_code == 200
    assert client.get("/api/v1/auth/me").status_code == 401
    bad = {"email": "user", "password": "wrong"}
    statuses = [client.post(path, json=bad).status_code for _ in range(8)]
    assert statuses[0] == 401
    assert statuses[-1] == 429


def ask(services: Services, owner: FlaskClient, approvers: list[str]) -> str:
    """The path of an approval that an execution of the owner waits for."""
    graph = owner.post(LIST, json={"workflow": SHELL}).json["id"]
    execution = owner.post(f"{LIST}/{graph}/execute").json["execution_id"]
    user_id = find_run_of_anyone(services.db.read(), execution).user_id
    number = str(uuid.uuid4())
    body = {"message": "ok?", "approvers": approvers}
    asked = Question(number, execution, user_id, "approval", "n", body, Standing.PENDING, instant())
    services.db.write(lambda connection: insert_question(connection, asked))
    return f"/api/v1/approvals/{number}"


@pytest.mark.parametrize(
    ("approvers", "owner", "other"),
    [
        ([], 200, 404),
        (["nobody"], 403, 404),
        (["user"], 200, 200),  # the name of the owner, and the role of both
        (["ann@lab.example"], 403, 200),
        (["nobody", "ann_at_lab.example"], 403, 200),
        (["ID"], 403, 200),
    ],
)
def test_who_is_named_may_answer_and_nobody_else(
    app: Flask, services: Services, admin: FlaskClient, approvers: list[str], owner: int, other: int
) -> None:
    """Other users do not see a question that names neither them nor their role."""
    given = {"email": "ann@lab.example", "password": "long enough"}
    made = admin.post("/api/v1/auth/register", json=given).json
    ann = app.test_client(use_cookies=False)
    ann.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {made['access_token']}"
    ann_is = made["user"]["id"]
    named = [ann_is if name == "ID" else name for name in approvers]
    boss = log_in(app, "user")
    statuses = []
    for client in (boss, ann):
        path = ask(services, boss, named)
        statuses.append(client.post(f"{path}/approve").status_code)
        listed = [each["id"] for each in client.get("/api/v1/approvals").json]
        assert (path.rpartition("/")[2] in listed) is (statuses[-1] == 403)
    assert statuses == [owner, other]


def test_a_viewer_may_not_answer_and_an_admin_always_may(
    services: Services, user: FlaskClient, viewer: FlaskClient, admin: FlaskClient
) -> None:
    path = ask(services, user, ["viewer"])
    assert viewer.get(path).status_code == 200
    assert viewer.post(f"{path}/approve").status_code == 403
    done = admin.post(f"{path}/reject", json={"comments": "no"})
    assert done.status_code == 200
    shown = user.get(path).json
    assert (shown["status"], shown["resolved_by"], shown["comments"]) == ("Rejected", "admin", "no")
