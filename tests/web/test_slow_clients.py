"""Clients that do not finish: the server goes on for everybody else and forgets them."""

import socket
from contextlib import ExitStack

from tests.patience import PATIENCE
from tests.server_process import ServerProcess

HALVES = (
    b"",
    b"G",
    b"GET /api/health HTTP/1.1\r\nHost: x\r\n",
    b"POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b'Content-Length: 1000\r\n\r\n{"username":',
    b"POST /api/workflows/lint HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
)


def test_a_hundred_half_open_clients_hold_nothing_up(server: ServerProcess) -> None:
    with ExitStack() as stack:
        for number in range(100):
            client = socket.create_connection(("127.0.0.1", server.port))
            stack.enter_context(client)
            client.sendall(HALVES[number % len(HALVES)])
        for _ in range(20):
            assert server.call("GET", "/api/health")[0] == 200
        assert server.call("GET", "/api/workflows/saved", user="user")[0] == 200
        text = {"toml_content": "[workflow]\nname='x'"}
        assert server.call("POST", "/api/workflows/validate", text)[1]["valid"] is True


def test_clients_that_leave_at_any_moment_do_no_harm(server: ServerProcess) -> None:
    whole = b"GET /api/system HTTP/1.1\r\nHost: x\r\n\r\n"
    for end in range(0, len(whole) + 1, 3):
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            # a reset instead of an orderly end
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.sendall(whole[:end])
    status, body = server.call("GET", "/api/system")
    assert status == 200
    assert body["pid"]


def test_headers_that_are_none_are_refused_and_inject_nothing(server: ServerProcess) -> None:
    for head in (
        b"GET /api/health HTTP/1.1\r\nHost: x\r\nx-request-id: aaaaaaaa\rbb: 1\r\n\r\n",
        b"GET /api/health HTTP/1.1\r\nHost: x\r\nContent-Length: 1e3\r\n\r\n",
        b"GET /%0d%0aSet-Cookie:%20evil=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"NONSENSE\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as client:
            client.sendall(head)
            client.shutdown(socket.SHUT_WR)
            answer = b""
            while data := client.recv(65536):
                answer += data
        assert answer.split(b" ")[1].startswith(b"4"), head[:40]
        assert b"evil=1" not in answer.partition(b"\r\n\r\n")[0]
    assert server.call("GET", "/api/health")[0] == 200


def test_answers_on_one_connection_follow_each_other_exactly(server: ServerProcess) -> None:
    asked = (("HEAD", b""), ("GET", b'"status":"ok"'), ("HEAD", b""), ("POST", b"not allowed"))
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as client:
        for method, _ in asked:
            client.sendall(f"{method} /api/health HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        client.shutdown(socket.SHUT_WR)
        whole = b"".join(iter(lambda: client.recv(65536), b""))
    answers = whole.split(b"HTTP/1.1 ")[1:]
    assert [answer[:3] for answer in answers] == [b"200", b"200", b"200", b"405"]
    for answer, (_, words) in zip(answers, asked, strict=True):
        body = answer.partition(b"\r\n\r\n")[2]
        assert words in body
        assert bool(body) == bool(words)
