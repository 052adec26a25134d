"""Who may do what: every route of the contract, asked by everybody."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from oxoflow.openapi.contract import ROUTES
from oxoflow.openapi.route import JSON, Route
from tests.web.conftest import log_in

ORDER = ("viewer", "user", "admin")
STREAMS = frozenset({"/api/events", "/api/runs/{run_id}/events"})
ASKED = [route for route in ROUTES if route.path not in STREAMS and not route.oxify]


def ask(client: FlaskClient, route: Route, **headers: str) -> int:
    """Call a route with an id that nobody has; its status."""
    path = route.path.replace("{revision}", "1").replace("{job_id}", "1")
    for name in route.path_parameters:
        path = path.replace(f"{{{name}}}", "00000000-0000-4000-8000-000000000000")
    body = {"json": {}} if JSON in route.body_media and route.body is not None else {}
    answer = client.open(path, method=route.method, headers=headers, **body)
    answer.close()
    return answer.status_code


@pytest.fixture
def clients(app: Flask) -> dict[str, FlaskClient]:
    return {name: log_in(app, name) for name in ORDER}


def test_every_route_lets_in_exactly_the_roles_of_the_contract(
    app: Flask, clients: dict[str, FlaskClient], client: FlaskClient
) -> None:
    wrong = []
    for route in ASKED:
        if route.path.startswith("/api/auth/logout"):
            continue
        anonymous = ask(client, route)
        if (anonymous == 401) != (route.role is not None):
            wrong.append((route.method, route.path, "anonymous", anonymous))
        for name, known in clients.items():
            allowed = route.role is None or ORDER.index(name) >= ORDER.index(route.role)
            status = ask(known, route)
            if (status in (401, 403)) == allowed:
                wrong.append((route.method, route.path, name, status))
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
