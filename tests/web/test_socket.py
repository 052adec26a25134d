"""WebSockets and followed logs on a real server: events, log bytes, tickets, bad clients."""

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from simple_websocket import Client, ConnectionClosed

from tests.patience import PATIENCE, wait_until
from tests.server_process import ServerProcess
from tests.web.test_server_runs import GATE, directory, follow, one_rule, reached


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server for this file: each test leaves nothing running on it."""
    process = ServerProcess(tmp_path_factory.mktemp("socket") / "home")
    try:
        yield process.start()
    finally:
        process.clean_up()


def connect(server: ServerProcess, user: str | None = "user", **query: str) -> Client:
    headers = {} if user is None else {"Authorization": f"Bearer {server.token(user)}"}
    return Client(f"ws://127.0.0.1:{server.port}/api/ws?{urlencode(query)}", headers=headers)


def shake_hands(server: ServerProcess, path: str = "/api/ws", **headers: str) -> socket.socket:
    """Ask for a WebSocket on a bare connection."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", "Upgrade: websocket"]
    lines += ["Connection: Upgrade", "Sec-WebSocket-Version: 13"]
    lines += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    lines += [f"{name}: {text}" for name, text in headers.items()]
    connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    return connection


def status_of(server: ServerProcess, path: str = "/api/ws", **headers: str) -> int:
    with shake_hands(server, path, **headers) as connection:
        return int(head_of(connection).split()[1])


def head_of(connection: socket.socket) -> bytes:
    """The head of an answer, however it is cut on its way."""
    data = b""
    while b"\r\n\r\n" not in data and (more := connection.recv(65536)):
        data += more
    return data


def refused(server: ServerProcess, user: str | None = None, **query: str) -> int:
    headers = {} if user is None else {"Authorization": f"Bearer {server.token(user)}"}
    return status_of(server, f"/api/ws?{urlencode(query)}", **headers)


def receive(client: Client, *types: str) -> dict[str, Any]:
    """The next message of one of these types; heartbeats alone do not go on for ever."""
    found = wait_until(lambda: wanted(json.loads(client.receive(timeout=PATIENCE)), types))
    assert isinstance(found, dict)
    return found


def wanted(body: dict[str, Any], types: tuple[str, ...]) -> dict[str, Any] | None:
    return body if body["type"] in types else None


def test_a_socket_carries_the_events_and_replays_them(server: ServerProcess) -> None:
    client = connect(server)
    run_id = server.submit(one_rule("touch out.txt"), no_cache=True)  # whatever ran before
    seen = [receive(client, "run_started", "rule_completed", "run_completed") for _ in range(3)]
    assert [body["type"] for body in seen] == ["run_started", "rule_completed", "run_completed"]
    assert {body["data"]["run_id"] for body in seen} == {run_id}
    client.close()
    again = connect(server, last_event_id=str(seen[0]["id"]))
    assert receive(again, "rule_completed")["id"] == seen[1]["id"]
    again.close()


def test_a_socket_carries_log_bytes_while_they_are_written(server: ServerProcess) -> None:
    client = connect(server)
    run_id = server.submit(one_rule(f"echo äpfel; {GATE}; echo birnen; touch out.txt"))
    reached(server, run_id, "only")
    client.send(json.dumps({"type": "follow", "run_id": run_id}))
    first = receive(client, "log")["data"]
    assert (first["run_id"], first["offset"]) == (run_id, 0)
    assert "äpfel" in first["text"]
    (directory(server, run_id) / "go").touch()
    text = ""
    while "birnen" not in text:
        more = receive(client, "log")["data"]
        text += more["text"]
    assert more["offset"] >= len(first["text"].encode())
    client.send(json.dumps({"type": "unfollow", "run_id": run_id}))
    client.send(json.dumps({"type": "follow", "run_id": run_id, "offset": first["offset"] + 1}))
    while receive(client, "log")["data"]["offset"] != 1:
        pass  # it was on its way
    client.close()
    server.finish(run_id)


def test_a_socket_of_one_run_ends_with_it(server: ServerProcess) -> None:
    run_id = server.submit(one_rule(f"{GATE}; touch out.txt"))
    client = connect(server, run=run_id)
    reached(server, run_id, "only")
    (directory(server, run_id) / "go").touch()
    assert receive(client, "run_completed")["data"]["status"] == "success"
    with pytest.raises(ConnectionClosed):
        client.receive(timeout=PATIENCE)


def test_sockets_need_a_login_and_show_nothing_of_others(server: ServerProcess) -> None:
    assert refused(server) == 401
    assert refused(server, "user", all="1") == 403
    run_id = server.submit(one_rule("touch out.txt"))
    server.finish(run_id)
    assert refused(server, "admin", run=run_id) == 404
    assert refused(server, "user", last_event_id="x") == 400
    client = connect(server, "admin")
    for message, word in (
        ({"type": "follow", "run_id": run_id}, "Run not found"),
        ({"type": "follow"}, "send"),
        ({"type": "odd", "run_id": run_id}, "type"),
        ({"type": "follow", "run_id": run_id, "offset": -1}, "offset"),
        ([], "send"),
    ):
        client.send(json.dumps(message))
        assert word in receive(client, "error")["data"]["error"]
    client.send("not json")
    receive(client, "error")
    client.send(b"bytes")
    receive(client, "error")
    client.close()


def test_a_foreign_page_cannot_use_the_cookie_of_its_visitor(server: ServerProcess) -> None:
    cookie = f"oxo_session={server.token('user')}"
    own = f"http://127.0.0.1:{server.port}"
    assert status_of(server, Cookie=cookie, Origin="https://evil.example") == 403
    assert status_of(server, Cookie=cookie, Origin=own) == 101
    assert status_of(server, Cookie=cookie) == 101


def test_a_ticket_opens_one_stream(server: ServerProcess) -> None:
    _, answer = server.call("POST", "/api/events/ticket", user="user")
    assert refused(server, None, ticket=answer["ticket"]) == 101
    assert refused(server, None, ticket=answer["ticket"]) == 401
    _, answer = server.call("POST", "/api/events/ticket", user="user")
    status, _ = server.call("GET", f"/api/runs/x/events?ticket={answer['ticket']}")
    assert status == 404


def test_a_plain_request_for_a_socket_is_an_error_in_json(server: ServerProcess) -> None:
    status, answer = server.call("GET", "/api/ws", user="user")
    assert (status, set(answer)) == (400, {"error", "detail"})
    status, answer = server.call(
        "GET", "/api/ws", user="user", Connection="Upgrade", Upgrade="websocket"
    )
    assert (status, answer["error"]) == (400, "Not a WebSocket request")


@pytest.mark.parametrize(
    "bad",
    [
        b"\x81\x05hello",  # not masked, as a client's frames must be
        b"\xff" * 100,
        b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff0000",  # a frame of 2**63 bytes
        b"",
    ],
)
def test_a_client_that_breaks_the_protocol_harms_only_itself(
    server: ServerProcess, bad: bytes
) -> None:
    well = connect(server)
    connection = shake_hands(server, Authorization=f"Bearer {server.token('user')}")
    head = head_of(connection)
    assert head.startswith(b"HTTP/1.1 101")
    assert b"x-request-id" in head.lower()
    connection.sendall(bad)
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(65536):
        pass
    connection.close()
    run_id = server.submit(one_rule("touch out.txt"))
    assert receive(well, "run_completed")["data"]["run_id"] == run_id
    well.close()


def test_a_long_message_ends_the_socket(server: ServerProcess) -> None:
    client = connect(server)
    client.send("x" * 100_000)
    with pytest.raises(ConnectionClosed):
        receive(client, "nothing")


def test_more_sockets_than_threads_leave_the_api_answering(server: ServerProcess) -> None:
    clients = [connect(server, user) for user in ("user", "viewer", "admin") for _ in range(6)]
    assert server.call("GET", "/api/health")[0] == 200
    server.submit(one_rule("touch out.txt"))
    for client in clients[:6]:
        assert receive(client, "run_completed")
    for client in clients:
        client.close()


def test_a_log_is_followed_to_its_end_as_text(server: ServerProcess) -> None:
    run_id = server.submit(one_rule(f"echo one; {GATE}; seq 1 30000; echo ende; touch out.txt"))
    reached(server, run_id, "only")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    connection.request(
        "GET", f"/api/runs/{run_id}/logs?follow=1",
        headers={"Authorization": f"Bearer {server.token('user')}"},
    )  # fmt: skip
    answer = connection.getresponse()
    assert answer.getheader("Content-Type") == "text/plain; charset=utf-8"
    assert b"one" in answer.readline()
    (directory(server, run_id) / "go").touch()
    rest = answer.read()
    assert b"] one\n" not in rest
    printed = [line for line in rest.splitlines() if line.startswith(b"[only] ")]
    assert printed[-1] == b"[only] ende"
    assert len(printed) == 30_001
    connection.close()
    status, whole = server.call("GET", f"/api/runs/{run_id}/logs", user="user")
    assert (status, whole.endswith(rest)) == (200, True)
    status, again = server.call("GET", f"/api/runs/{run_id}/logs?follow=1", user="user")
    assert (status, again) == (200, whole)


def test_a_run_stream_carries_the_log_when_asked(server: ServerProcess) -> None:
    run_id = server.submit(one_rule("echo hello; touch out.txt"))
    reader = follow(server, f"/api/runs/{run_id}/events?logs=1")
    events = [body for _, body in reader.events()]
    reader.close()
    logs = [body["data"] for body in events if body["type"] == "log"]
    assert "".join(log["text"] for log in logs).startswith("[only] hello\noxoflow: [1/1] done")
    assert logs[0]["offset"] == 0
    assert "run_completed" in [body["type"] for body in events]
