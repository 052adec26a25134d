"""Who may do what: every route of the contract, asked by everybody, with sessions and with keys."""

import itertools

import pytest
from flask import Flask
from flask.testing import FlaskClient

from oxoflow.openapi.contract import ROUTES
from oxoflow.openapi.route import JSON, Route
from tests.web.conftest import MakeApp, log_in

ORDER = ("viewer", "user", "admin")
# A stream without an end, and log-outs, which would end the sessions in use: test_sse, test_auth.
APART = ("/api/events", "/api/auth/logout", "/api/auth/logout/all")
ASKED = [route for route in ROUTES if route.path not in APART]
LOGOUT_ALL = next(route for route in ROUTES if route.name == "logoutAll")
NOBODYS = "00000000-0000-4000-8000-000000000000"
SCOPES = {"read": "viewer", "write": "user", "admin": "admin"}
FOR_PEOPLE = frozenset({"makeKey", "revokeKey", "changePassword", "logoutAll"})


def ask(client: FlaskClient, route: Route, **headers: str) -> int:
    """Call a route with an id that nobody has; its status."""
    path = route.path.replace("{revision}", "1").replace("{job_id}", "1")
    path = path.replace("{version}", "1")
    for name in route.path_parameters:
        path = path.replace(f"{{{name}}}", NOBODYS)
    body = {"json": {}} if JSON in route.body_media and route.body is not None else {}
    answer = client.open(path, method=route.method, headers=headers, **body)
    answer.close()
    return answer.status_code


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    """An application whose graph routes need a login too."""
    return make_app(TRUSTED_PROXIES="192.0.2.1")


@pytest.fixture
def clients(app: Flask) -> dict[str, FlaskClient]:
    return {name: log_in(app, name) for name in ORDER}


def let_in(status: int) -> bool:
    return status not in (401, 403)


def test_every_route_lets_in_exactly_the_roles_of_the_contract(
    app: Flask, clients: dict[str, FlaskClient], client: FlaskClient
) -> None:
    wrong = []
    for route in ASKED:
        anonymous = ask(client, route)
        if (anonymous == 401) != (route.role is not None):
            wrong.append((route.method, route.path, "anonymous", anonymous))
        for name, known in clients.items():
            allowed = route.role is None or ORDER.index(name) >= ORDER.index(route.role)
            status = ask(known, route)
            if let_in(status) != allowed:
                wrong.append((route.method, route.path, name, status))
    assert wrong == []


def test_a_key_does_what_its_scope_and_its_owners_role_allow_on_every_route(
    app: Flask, clients: dict[str, FlaskClient], client: FlaskClient
) -> None:
    wrong = []
    for owner, scope in itertools.product(ORDER, SCOPES):
        made = clients[owner].post("/api/auth/keys", json={"name": "x", "scope": scope})
        reach = min(ORDER.index(owner), ORDER.index(SCOPES[scope]))
        for route in (*ASKED, LOGOUT_ALL):
            least = -1 if route.role is None else ORDER.index(route.role)
            allowed = reach >= least and route.name not in FOR_PEOPLE
            status = ask(client, route, **{"X-API-Key": made.json["key"]})
            if let_in(status) != allowed:
                wrong.append((route.method, route.path, owner, scope, status))
    assert wrong == []


def test_bad_credentials_are_never_better_than_none(client: FlaskClient) -> None:
    bad = (
        {"Authorization": "Bearer " + "0" * 32},
        {"Authorization": "Bearer oxo_" + "0" * 40},
        {"Authorization": "Basic YWRtaW46YWRtaW4tc2VjcmV0"},
        {"X-API-Key": "oxo_" + "0" * 40},
        {"Cookie": "oxo_session=" + "0" * 32},
    )
    for route in ASKED:
        if route.role is not None:
            for headers in bad:
                assert ask(client, route, **headers) == 401, (route.path, headers)


def test_a_foreign_page_with_the_users_cookie_changes_nothing(app: Flask) -> None:
    client = app.test_client(use_cookies=False)
    login = {"username": "admin", "password": "admin-secret"}
    token = client.post("/api/auth/login", json=login).json["token"]
    headers = {"Cookie": f"oxo_session={token}", "Origin": "https://evil.example"}
    for route in ASKED:
        if route.role is not None and route.method != "GET":
            assert ask(client, route, **headers) == 403, route.path
    assert client.get("/api/auth/me", headers=headers).json["authenticated"]
