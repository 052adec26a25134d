"""The base path: everything below it, nothing beside it."""

import pytest

from tests.web.conftest import MakeApp


def test_everything_lives_below_the_prefix(make_app: MakeApp) -> None:
    client = make_app(BASE_PATH="/oxo-flow").test_client()
    assert client.get("/oxo-flow/api/health").json["status"] == "ok"
    assert client.get("/oxo-flow/").status_code == 200
    login = {"username": "user", "password": "user-secret"}
    answer = client.post("/oxo-flow/api/auth/login", json=login)
    assert "Path=/oxo-flow" in answer.headers["Set-Cookie"]
    assert client.get("/oxo-flow/api/auth/me").json["username"] == "user"
    save = {"name": "mine", "toml_content": "[workflow]\nname = 'x'"}
    made = client.post("/oxo-flow/api/workflows/save", json=save)
    assert made.headers["Location"] == f"/oxo-flow/api/workflows/saved/{made.json['id']}"
    assert client.get(made.headers["Location"]).json["name"] == "mine"


@pytest.mark.parametrize(
    "path", ["/", "/api/health", "/oxo-flows/api/health", "/oxo-flow.evil", "//oxo-flow/api/health"]
)
def test_outside_is_404_in_json(make_app: MakeApp, path: str) -> None:
    answer = make_app(BASE_PATH="/oxo-flow").test_client().get(path)
    assert (answer.status_code, answer.json) == (404, {"error": "Not found", "detail": None})
    assert "x-request-id" in answer.headers


def test_the_prefix_without_slash_redirects(make_app: MakeApp) -> None:
    answer = make_app(BASE_PATH="/oxo-flow").test_client().get("/oxo-flow?a=1")
    assert answer.status_code == 308
    assert answer.headers["Location"] == "/oxo-flow/?a=1"
    assert "x-request-id" in answer.headers


def test_oxify_paths_keep_their_error_shape_below_the_prefix(make_app: MakeApp) -> None:
    client = make_app(BASE_PATH="/a/b").test_client()
    assert client.get("/a/b/api/v1/nowhere").json == {"error": "NotFound", "message": "Not found"}
