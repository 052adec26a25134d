"""The server behind a real nginx, below a sub-path: events, sockets, headers, addresses."""

import http.client
import json
import re
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from simple_websocket import Client, ConnectionClosed

from tests.patience import PATIENCE, wait_until
from tests.server_process import ServerProcess
from tests.web.nginx import in_front_of, nginx
from tests.web.test_server_runs import GATE, directory, one_rule, reached

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(nginx() is None, reason="not installed here: nginx"),
]

PREFIX = "/lab/oxo"
RECONNECTS = 1000


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The server itself, asked directly."""
    process = ServerProcess(
        tmp_path_factory.mktemp("nginx") / "home",
        BASE_PATH=PREFIX,
        TRUSTED_PROXIES="127.0.0.1",
        ALLOWED_ORIGINS="https://lab.example",
        STREAMS_PER_USER="100",
    )
    try:
        yield process.start()
    finally:
        process.clean_up()


@pytest.fixture(scope="module")
def front(behind: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The same server through nginx."""
    with in_front_of(behind, tmp_path_factory.mktemp("front") / "nginx") as found:
        yield found


def connect(server: ServerProcess, user: str = "user", **query: str) -> Client:
    headers = {"Authorization": f"Bearer {server.token(user)}"}
    url = f"ws://127.0.0.1:{server.port}{server.prefix}/api/ws?{urlencode(query)}"
    client = Client(url, headers=headers)
    client.send("")  # this client looks at what came with the handshake only when more comes
    return client


class Stream:
    """An event stream, read through an HTTP client: nginx sends it in chunks of its own."""

    def __init__(self, server: ServerProcess, path: str, position: int | None = None) -> None:
        headers = {"Authorization": f"Bearer {server.token('user')}"}
        if position is not None:
            headers["Last-Event-ID"] = str(position)
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        self.connection.connect()
        self.socket: socket.socket = self.connection.sock
        self.connection.request("GET", server.prefix + path, headers=headers)
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200

    def events(self) -> Iterator[tuple[int | None, dict[str, Any]]]:
        """(id, object) of every event until the end, heartbeats left out."""
        number = None
        while line := self.answer.readline().decode():
            name, _, text = line.rstrip("\n").partition(": ")
            if name == "id":
                number = int(text)
            elif name == "data":
                body = json.loads(text)
                if body["type"] != "heartbeat":
                    yield number, body
                number = None

    def close(self) -> None:
        self.answer.close()
        self.connection.close()


def messages(client: Client) -> Iterator[dict[str, Any]]:
    """What a socket says until it ends, heartbeats and complaints left out."""
    while True:
        try:
            text = client.receive(timeout=PATIENCE)
        except ConnectionClosed:
            return
        assert text is not None, "the socket is silent"
        body = json.loads(text)
        if body["type"] not in ("heartbeat", "error"):
            yield body


def head_of(
    server: ServerProcess, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    sent = {name.replace("_", "-"): text for name, text in headers.items()}
    if body is not None:
        sent["Content-Type"] = "application/json"
    data = None if body is None else json.dumps(body)
    connection.request(method, server.prefix + path, data, sent)
    answer = connection.getresponse()
    found = {name.lower(): text for name, text in answer.getheaders()}
    content = answer.read()
    connection.close()
    return answer.status, found, content


def test_a_run_tells_the_same_events_by_stream_and_socket_directly_and_through_nginx(
    behind: ServerProcess, front: ServerProcess
) -> None:
    run_id = behind.submit(one_rule(f"{GATE}; touch out.txt"))
    streams = [Stream(server, f"/api/runs/{run_id}/events") for server in (behind, front)]
    sockets = [connect(server, run=run_id, last_event_id="0") for server in (behind, front)]
    reached(behind, run_id, "only")
    (directory(behind, run_id) / "go").touch()
    told = [[(number, body) for number, body in stream.events()] for stream in streams]
    told += [[(body.pop("id"), body) for body in messages(client)] for client in sockets]
    assert told[0][-1][1]["type"] == "run_completed"
    assert [list(one) for one in told[1:]] == [told[0]] * 3
    for stream in streams:
        stream.close()


def test_an_event_comes_through_at_once_and_not_when_the_stream_ends(
    behind: ServerProcess, front: ServerProcess
) -> None:
    stream, client = Stream(front, "/api/events"), connect(front)
    body = {"name": "now", "toml_content": "[workflow]\nname = 'x'"}
    assert front.call("POST", "/api/workflows/save", body, user="user")[0] == 201
    assert next(stream.events())[1]["type"] == "workflow_saved"
    assert next(messages(client))["type"] == "workflow_saved"
    stream.close()
    client.close()


def test_log_bytes_come_through_a_socket_while_they_are_written(
    behind: ServerProcess, front: ServerProcess
) -> None:
    run_id = behind.submit(one_rule(f"echo äpfel; {GATE}; seq 1 20000; touch out.txt"))
    reached(behind, run_id, "only")
    client = connect(front, run=run_id)
    client.send(json.dumps({"type": "follow", "run_id": run_id}))
    data, opened = b"", False
    for body in messages(client):
        if body["type"] == "log":
            assert body["data"]["offset"] == len(data)
            data += body["data"]["text"].encode()
            if not opened:
                assert "äpfel" in data.decode()
                (directory(behind, run_id) / "go").touch()
                opened = True
    status, log = front.call("GET", f"/api/runs/{run_id}/logs", user="user")
    assert (status, data) == (200, log)
    assert b"20000\n" in data


@pytest.mark.parametrize("through", ["waitress alone", "nginx"])
def test_a_thousand_reconnects_lose_and_repeat_nothing(
    behind: ServerProcess, front: ServerProcess, through: str
) -> None:
    front = front if through == "nginx" else behind
    body = {"name": "n", "toml_content": "[workflow]\nname = 'x'"}
    start = Stream(front, "/api/events")
    assert front.call("POST", "/api/workflows/save", body, user="user")[0] == 201
    position, _ = next(start.events())
    assert position is not None
    start.close()
    seen: list[str] = []
    saved: list[str] = []
    for number in range(RECONNECTS):
        if number % 4 == 0:  # an event while nobody listens
            status, answer = front.call("POST", "/api/workflows/save", body, user="user")
            assert status == 201
            saved.append(answer["id"])
        if number % 2:
            client = connect(front, last_event_id=str(position))
            if len(saved) > len(seen):
                message = next(messages(client))
                position = message["id"]
                seen.append(message["data"]["id"])
            client.close()
        else:
            stream = Stream(front, "/api/events", position)
            if number % 8 and len(saved) > len(seen):
                position, event = next(stream.events())
                seen.append(event["data"]["id"])
            stream.close()
    assert seen == saved


def test_login_sets_a_secure_cookie_for_the_sub_path_that_works(front: ServerProcess) -> None:
    login = {"username": "user", "password": "user-secret"}
    status, headers, _ = head_of(front, "POST", "/api/auth/login", login)
    assert status == 200
    cookie = headers["set-cookie"]
    assert {"Secure", "HttpOnly", f"Path={PREFIX}", "SameSite=Strict"} <= set(cookie.split("; "))
    word = cookie.split(";")[0]
    status, _, content = head_of(front, "GET", "/api/auth/me", Cookie=word)
    assert (status, json.loads(content)["username"]) == (200, "user")
    body = {"name": "x", "toml_content": "[workflow]\nname = 'x'"}
    own = f"https://127.0.0.1:{front.port}"
    pages = {own: 201, "https://lab.example": 201, "https://evil.example": 403}
    for origin, expected in pages.items():
        got = head_of(front, "POST", "/api/workflows/save", body, Cookie=word, Origin=origin)
        assert got[0] == expected, origin


def test_cors_and_security_headers_come_through_once(front: ServerProcess) -> None:
    status, headers, _ = head_of(front, "GET", "/api/health", Origin="https://lab.example")
    assert status == 200
    assert headers["access-control-allow-origin"] == "https://lab.example"
    assert headers["access-control-allow-credentials"] == "true"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-request-id"]
    assert "Origin" in headers["vary"]
    asked = {"Origin": "https://lab.example", "Access_Control_Request_Method": "POST"}
    assert head_of(front, "OPTIONS", "/api/workflows/run", **asked)[0] == 204
    foreign = head_of(front, "GET", "/api/health", Origin="https://evil.example")[1]
    assert "access-control-allow-origin" not in foreign


def test_pages_and_answers_stay_below_the_sub_path(front: ServerProcess) -> None:
    status, headers, page = head_of(front, "GET", "/")
    assert (status, headers["content-security-policy"][:18]) == (200, "default-src 'self'")
    assert b'="/' not in page  # every link is relative
    status, headers, contract = head_of(front, "GET", "/api/openapi.json", Accept_Encoding="gzip")
    assert (status, headers["content-encoding"]) == (200, "gzip")
    assert contract[:2] == b"\x1f\x8b"


def test_the_graph_routes_are_closed_behind_a_proxy(front: ServerProcess) -> None:
    assert front.call("GET", "/api/v1/workflows")[0] == 401
    assert front.call("GET", "/api/v1/workflows", user="user")[0] == 200


def test_the_limiter_counts_the_client_behind_nginx_and_believes_no_invented_address(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    home = tmp_path_factory.mktemp("limited") / "home"
    server = ServerProcess(
        home, BASE_PATH=PREFIX, TRUSTED_PROXIES="127.0.0.1", RATE_LIMIT="5", RATE_WINDOW="600"
    )
    try:
        server.start()
        with in_front_of(server, home.parent / "nginx") as front:
            for number in range(5):
                assert from_address(front, "127.0.0.2", f"10.0.0.{number}") == 200
            assert from_address(front, "127.0.0.2", "10.0.0.99") == 429
            assert from_address(front, "127.0.0.3", "127.0.0.2") == 200
    finally:
        server.clean_up()


def from_address(server: ServerProcess, address: str, invented: str) -> int:
    """The status for a client that connects from `address` and claims to be another."""
    client = http.client.HTTPConnection(
        "127.0.0.1", server.port, timeout=PATIENCE, source_address=(address, 0)
    )
    path = f"{server.prefix}/api/version"
    client.request("GET", path, headers={"X-Forwarded-For": invented})
    status = client.getresponse().status
    client.close()
    return status


def test_an_upload_and_a_download_come_through_whole(front: ServerProcess) -> None:
    data = bytes(range(256)) * 20_000
    connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=PATIENCE)
    bearer = {"Authorization": f"Bearer {front.token('user')}"}
    connection.request("PUT", f"{PREFIX}/api/uploads/reads.bin", data, bearer)
    answer = connection.getresponse()
    assert answer.status in (200, 201), answer.read()
    connection.close()
    run_id = front.submit(one_rule("cp reads.bin out.txt"), uploads={"reads.bin": "reads.bin"})
    assert front.finish(run_id)["status"] == "success"
    assert front.call("GET", f"/api/runs/{run_id}/files/out.txt", user="user") == (200, data)


def test_a_client_that_vanishes_behind_nginx_frees_its_place(
    behind: ServerProcess, front: ServerProcess
) -> None:
    wait_until(lambda: open_streams(behind) == 0)
    for _ in range(3):
        streams = [Stream(front, "/api/events") for _ in range(60)]
        assert open_streams(behind) == 60
        for stream in streams:
            linger = b"\1\0\0\0\0\0\0\0"  # a reset instead of an orderly end
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            stream.close()
        wait_until(lambda: open_streams(behind) == 0)


def open_streams(server: ServerProcess) -> int:
    _, figures = server.call("GET", "/metrics")
    found = re.search(r"^oxoflow_streams (\d+)", figures.decode(), re.MULTILINE)
    assert found is not None
    return int(found[1])
