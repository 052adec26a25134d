"""Hand connections over from a real waitress on loopback, and abuse them."""

import os
import queue
import select
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from oxoflow.web.handover import Handover, build_server, can_hand_over, stop_server
from tests.patience import PATIENCE, wait_until

Received = tuple[socket.socket, bytes]


class Served:
    """A waitress in a thread: its application hands `/stream` over and answers the rest."""

    def __init__(self) -> None:
        self.received: queue.SimpleQueue[Received] = queue.SimpleQueue()
        self.headers = [("Content-Type", "text/event-stream"), ("X-Request-Id", "abc")]
        self.server = build_server(self.application, host="127.0.0.1", port=0, threads=2)
        self.port = self.server.effective_port
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()

    def application(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        path = environ["PATH_INFO"]
        if path == "/stream":
            assert can_hand_over(environ)
            start_response("200 OK", self.headers)
            return Handover(environ, lambda *pair: self.received.put(pair), iter)
        if path == "/fails":
            start_response("200 OK", [("Connection", "close")])
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def ask(self, path: str) -> bytes:
        """One whole request on a connection of its own."""
        with self.connect() as client:
            client.sendall(request(path, close=True))
            return b"".join(iter(lambda: client.recv(65536), b""))

    def stop(self) -> None:
        stop_server(self.server)
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


def request(path: str, close: bool = False) -> bytes:
    connection = "close" if close else "keep-alive"
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\n\r\n".encode()


def read_plain(client: socket.socket) -> None:
    """Read the whole answer of `/plain`; its head and its body may come apart."""
    answer = b""
    while not answer.endswith(b"\r\n\r\nok"):
        piece = client.recv(65536)
        assert piece, answer
        answer += piece
    assert answer.startswith(b"HTTP/1.1 200 OK")


@pytest.fixture
def served() -> Iterator[Served]:
    server = Served()
    yield server
    server.stop()


def test_the_receiver_gets_the_connection_and_the_head_that_was_meant(served: Served) -> None:
    with served.connect() as client:
        client.sendall(request("/stream"))
        connection, head = served.received.get(timeout=PATIENCE)
        with connection:
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert head.endswith(b"\r\n\r\n")
            for line in (b"Content-Type: text/event-stream", b"X-Request-Id: abc"):
                assert line in head.split(b"\r\n")
            assert b"Connection: close" in head.split(b"\r\n")
            assert b"chunked" not in head
            connection.setblocking(True)
            connection.sendall(head + b"data: 1\n\n")
        assert b"".join(iter(lambda: client.recv(65536), b"")) == head + b"data: 1\n\n"


def test_more_streams_than_threads_leave_the_server_answering(served: Served) -> None:
    clients = [served.connect() for _ in range(12)]
    for client in clients:
        client.sendall(request("/stream"))
    connections = [served.received.get(timeout=PATIENCE)[0] for _ in clients]
    assert served.ask("/plain").endswith(b"ok")
    for connection in connections + clients:
        connection.close()


def test_waitress_keeps_no_channel_of_a_connection_it_gave_away(served: Served) -> None:
    with served.connect() as client:
        client.sendall(request("/stream"))
        connection, _ = served.received.get(timeout=PATIENCE)
        assert served.server.active_channels == {}
        connection.close()


def test_a_connection_can_carry_answers_before_it_is_handed_over(served: Served) -> None:
    with served.connect() as client:
        client.sendall(request("/plain"))
        read_plain(client)
        client.sendall(request("/stream"))
        connection, head = served.received.get(timeout=PATIENCE)
        with connection:
            connection.setblocking(True)
            connection.sendall(head)
        assert b"".join(iter(lambda: client.recv(65536), b"")) == head


def test_a_stream_asked_for_in_one_packet_with_another_request_follows_its_answer(
    served: Served,
) -> None:
    with served.connect() as client:
        client.sendall(request("/plain") + request("/stream"))
        read_plain(client)
        while served.received.empty():
            if select.select([client], [], [], 0.02)[0]:
                # The answer was still unsent: the connection ends after it.
                assert client.recv(65536) == b""
                return
        served.received.get()[0].close()


def test_clients_that_leave_at_once_leave_no_descriptor_behind(served: Served) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(60):
        client = served.connect()
        client.sendall(request("/stream"))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # reset
        client.close()
    while served.ask("/plain").endswith(b"ok") and served.server.active_channels:
        pass

    def none_is_left() -> bool:
        while not served.received.empty():
            served.received.get()[0].close()
        return len(os.listdir("/proc/self/fd")) <= before

    wait_until(none_is_left)


def test_a_connection_header_from_the_application_is_answered_500(served: Served) -> None:
    assert served.ask("/fails").startswith(b"HTTP/1.1 500")
    assert served.ask("/plain").endswith(b"ok")


def test_an_old_client_gets_its_own_protocol_version(served: Served) -> None:
    with served.connect() as client:
        client.sendall(b"GET /stream HTTP/1.0\r\n\r\n")
        connection, head = served.received.get(timeout=PATIENCE)
        connection.close()
        assert head.startswith(b"HTTP/1.0 200 OK\r\n")


def test_another_server_iterates_over_the_fallback() -> None:
    environ: dict[str, Any] = {}
    body = Handover(environ, lambda connection, head: None, lambda: iter([b"a", b"b"]))
    assert not can_hand_over(environ)
    assert list(body) == [b"a", b"b"]
