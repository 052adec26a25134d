"""The rate limit over HTTP: by address, by session, with headers that help."""

import pytest
from flask.testing import FlaskClient

from tests.web.conftest import MakeApp, log_in


def peer(address: str) -> dict[str, str]:
    return {"REMOTE_ADDR": address}


def test_request_101_of_a_minute_is_refused_and_others_are_not(make_app: MakeApp) -> None:
    client = make_app(RATE_LIMIT="100").test_client()
    codes = [client.get("/api/version").status_code for _ in range(100)]
    assert codes == [200] * 100
    answer = client.get("/api/version")
    assert answer.status_code == 429
    wait = int(answer.headers["Retry-After"])
    assert 1 <= wait <= 61
    assert answer.json == {
        "error": "Rate limit exceeded",
        "detail": "100 requests in 60 s are allowed",
        "retry_after_secs": wait,
    }
    assert "x-request-id" in answer.headers
    assert client.get("/api/version", environ_overrides=peer("10.1.1.1")).status_code == 200


def test_the_limit_is_on_by_default(make_app: MakeApp) -> None:
    app = make_app(RATE_LIMIT="")
    assert app.test_client().get("/api/version").headers["X-RateLimit-Limit"] == "100"


def test_the_headers_count_down(make_app: MakeApp) -> None:
    client = make_app(RATE_LIMIT="3").test_client()
    left = [client.get("/api/version").headers["X-RateLimit-Remaining"] for _ in range(4)]
    assert left == ["2", "1", "0", "0"]
    assert 1 <= int(client.get("/api/version").headers["X-RateLimit-Reset"]) <= 60


def test_health_pages_and_preflights_are_free_and_errors_count(make_app: MakeApp) -> None:
    client = make_app(RATE_LIMIT="2").test_client()
    for path in ("/api/health", "/", "/nowhere"):
        for _ in range(5):
            assert client.get(path).status_code != 429
    ask = {"Origin": "http://localhost:8080", "Access-Control-Request-Method": "POST"}
    for _ in range(5):
        assert client.options("/api/version", headers=ask).status_code == 204
    assert client.get("/api/nowhere").status_code == 404
    assert client.post("/api/version").status_code == 405
    assert client.get("/api/version").status_code == 429


def test_oxify_paths_are_limited_in_their_own_shape(make_app: MakeApp) -> None:
    client = make_app(RATE_LIMIT="1").test_client()
    client.get("/api/v1/nowhere")
    answer = client.get("/api/v1/nowhere")
    assert answer.status_code == 429
    assert set(answer.json) == {"error", "message"}
    assert answer.json["error"] == "RateLimited"


def test_a_session_has_its_own_budget(make_app: MakeApp) -> None:
    app = make_app(RATE_LIMIT="4")
    one, two = log_in(app, "user"), log_in(app, "viewer")  # counts 2 for the address
    anonymous = app.test_client(use_cookies=False)

    def fill(client: FlaskClient) -> int:
        return sum(client.get("/api/version").status_code == 200 for _ in range(9))

    assert [fill(one), fill(two), fill(anonymous)] == [4, 4, 2]


def test_an_invented_token_has_no_budget(make_app: MakeApp) -> None:
    client = make_app(RATE_LIMIT="2").test_client()
    codes = [
        client.get("/api/version", headers={"Authorization": f"Bearer {number:032x}"}).status_code
        for number in range(4)
    ]
    assert codes == [200, 200, 429, 429]


@pytest.mark.parametrize(("proxies", "passes"), [("", 2), ("127.0.0.1", 6)])
def test_forwarded_addresses_count_only_from_a_trusted_proxy(
    make_app: MakeApp, proxies: str, passes: int
) -> None:
    client = make_app(RATE_LIMIT="2", TRUSTED_PROXIES=proxies).test_client()
    answers = [
        client.get("/api/version", headers={"X-Forwarded-For": f"9.9.9.{number}"}).status_code
        for number in (1, 2, 3, 1, 2, 3)
    ]
    assert answers.count(200) == passes
