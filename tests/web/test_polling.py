"""The server's own wait loop, with its look at all sockets put off for longer than a test lasts."""

import errno
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from waitress import wasyncore

from oxoflow.web.handover import HandoverChannel, build_server, stop_server
from oxoflow.web.polling import Poller
from tests.patience import PATIENCE

LARGE = b"x" * 8_000_000
NEVER = 3600.0


class Served:
    """A waitress in a thread: `/wait` answers when it is let go, `/large` with a long body."""

    def __init__(self, **adjustments: Any) -> None:
        self.entered, self.let_go = threading.Event(), threading.Event()
        # Waitress drops the files to which it moves long answers without closing them: none here.
        chosen = {"asyncore_loop_timeout": NEVER, "outbuf_overflow": 2 * len(LARGE)} | adjustments
        self.server: Any = build_server(self.application, host="127.0.0.1", port=0, **chosen)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()

    def application(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        body = b"ok"
        if environ["PATH_INFO"] == "/wait":
            self.entered.set()
            assert self.let_go.wait(PATIENCE)
        if environ["PATH_INFO"] == "/large":
            body = LARGE
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.server.effective_port), timeout=PATIENCE)

    def stop(self) -> None:
        self.let_go.set()
        stop_server(self.server)
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


@pytest.fixture
def served() -> Iterator[Served]:
    server = Served()
    yield server
    server.stop()


def send(client: socket.socket, path: str) -> None:
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


def read_exactly(client: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        piece = client.recv(size - len(found))
        assert piece, found
        found += piece
    return found


def read_answer(client: socket.socket, body: bytes = b"ok", version: bytes = b"1.1") -> None:
    """Read one whole answer and not a byte more."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = client.recv(1)
        assert piece, head
        head += piece
    assert head.startswith(b"HTTP/" + version + b" 200 OK")
    rest = len(body)
    while rest:
        piece = client.recv(min(rest, 65536))
        assert piece, rest
        rest -= len(piece)


def test_a_request_asks_no_idle_connection_what_it_waits_for(
    monkeypatch: pytest.MonkeyPatch, served: Served
) -> None:
    asked: list[int] = []
    plain = HandoverChannel.readable

    def readable(channel: HandoverChannel) -> Any:
        asked.append(channel.addr[1])
        return plain(channel)

    monkeypatch.setattr(HandoverChannel, "readable", readable)
    idle = [served.connect() for _ in range(20)]
    for client in idle:  # it is answered, so it is awaited
        send(client, "/")
        read_answer(client)
    with served.connect() as busy:
        send(busy, "/")
        read_answer(busy)
        asked.clear()
        for _ in range(100):
            send(busy, "/")
            read_answer(busy)
        others = [port for port in asked if port != busy.getsockname()[1]]
        assert len(others) <= len(idle)  # each once at most, after its own answer
        assert len(asked) > len(others)
    for client in idle:
        send(client, "/")
        read_answer(client)
        client.close()


def test_a_short_answer_is_sent_in_one_piece(
    monkeypatch: pytest.MonkeyPatch, served: Served
) -> None:
    sent: list[bytes] = []
    plain = HandoverChannel.send

    def send_and_note(channel: HandoverChannel, data: bytes, do_close: bool = True) -> Any:
        sent.append(bytes(data))
        return plain(channel, data, do_close=do_close)

    monkeypatch.setattr(HandoverChannel, "send", send_and_note)
    with served.connect() as client:
        send(client, "/")
        read_answer(client)
    assert len(sent) == 1
    assert sent[0].endswith(b"\r\n\r\nok")


def test_what_comes_while_a_request_is_executed_is_read_after_it(served: Served) -> None:
    with served.connect() as client, served.connect() as other:
        send(client, "/wait")
        assert served.entered.wait(PATIENCE)
        send(client, "/")  # the loop sees it, and must not read it yet
        send(other, "/")
        read_answer(other)
        served.let_go.set()
        read_answer(client)
        read_answer(client)
        send(client, "/")
        read_answer(client)


def test_requests_that_come_in_one_piece_are_all_answered(served: Served) -> None:
    with served.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 5)
        for _ in range(5):
            read_answer(client)


def test_an_answer_that_the_connection_does_not_take_at_once_arrives_whole(served: Served) -> None:
    with served.connect() as client:
        for _ in range(2):
            send(client, "/large")
            read_answer(client, LARGE)


def test_a_client_that_leaves_during_its_request_leaves_no_channel(served: Served) -> None:
    client = served.connect()
    send(client, "/wait")
    assert served.entered.wait(PATIENCE)
    client.close()
    with served.connect() as other:
        send(other, "/")
        read_answer(other)  # the loop has seen the end of the first, and does not spin on it
        served.let_go.set()
        while len(served.server.active_channels) > 1:
            send(other, "/")
            read_answer(other)


def test_the_end_of_a_connection_that_asked_for_it_needs_no_look_at_all(served: Served) -> None:
    with served.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b"".join(iter(lambda: client.recv(65536), b"")).endswith(b"ok")


def test_an_idle_connection_is_closed_by_the_look_at_all() -> None:
    served = Served(asyncore_loop_timeout=0.05, cleanup_interval=0, channel_timeout=0)
    try:
        with served.connect() as client:
            assert client.recv(1) == b""
    finally:
        served.stop()


def test_a_server_without_descriptors_rests_and_then_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, served: Served
) -> None:
    tried: list[int] = []
    refused = threading.Event()
    plain = wasyncore.dispatcher.accept

    def accept(listener: wasyncore.dispatcher) -> Any:
        tried.append(1)
        if refused.is_set():
            return plain(listener)
        refused.set()
        raise OSError(errno.EMFILE, "Too many open files")

    with served.connect() as early:
        send(early, "/")
        read_answer(early)
        monkeypatch.setattr(wasyncore.dispatcher, "accept", accept)
        with served.connect() as late:
            assert refused.wait(PATIENCE)
            for _ in range(20):
                send(early, "/")
                read_answer(early)
            assert len(tried) == 1
            served.server.asyncore.note(served.server)  # what the look at all does
            served.server.pull_trigger()
            send(late, "/")
            read_answer(late)
    assert len([record for record in caplog.records if "connection" in record.message]) == 1


def test_a_client_that_ended_its_side_gets_its_answer_and_is_not_asked_on_and_on(
    monkeypatch: pytest.MonkeyPatch, served: Served
) -> None:
    turns: list[int] = []
    plain = Poller._serve

    def serve(poller: Poller, ready: Any, events: int, map: dict[int, Any]) -> None:
        turns.append(ready.addr[1] if isinstance(ready, HandoverChannel) else 0)
        plain(poller, ready, events, map)

    monkeypatch.setattr(Poller, "_serve", serve)
    with served.connect() as client, served.connect() as other:
        send(client, "/wait")
        assert served.entered.wait(PATIENCE)
        client.shutdown(socket.SHUT_WR)
        for _ in range(20):
            send(other, "/")
            read_answer(other)
        assert turns.count(client.getsockname()[1]) <= 2  # the request, and the end behind it
        served.let_go.set()
        read_answer(client)
        assert client.recv(1) == b""


def test_a_request_that_comes_byte_by_byte_is_answered(served: Served) -> None:
    with served.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(2):
            for byte in b"GET / HTTP/1.1\r\nHost: x\r\n\r\n":
                client.sendall(bytes([byte]))
            read_answer(client)


def test_a_client_that_waits_for_leave_gets_it_and_then_its_answer(served: Served) -> None:
    leave = b"HTTP/1.1 100 Continue\r\n\r\n"
    with served.connect() as client:
        for _ in range(2):
            client.sendall(
                b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
            )
            assert read_exactly(client, len(leave)) == leave
            client.sendall(b"body")
            read_answer(client)


def test_an_old_client_may_keep_its_connection(served: Served) -> None:
    with served.connect() as client:
        for _ in range(3):
            client.sendall(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            read_answer(client, version=b"1.0")
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        read_answer(client, version=b"1.0")
        assert client.recv(1) == b""


def test_a_reader_who_stops_holds_up_nobody_and_goes_on_later(served: Served) -> None:
    with served.connect() as slow, served.connect() as other:
        for _ in range(3):
            send(slow, "/large")  # the next ones wait behind the answer that is not taken
        for _ in range(20):
            send(other, "/")
            read_answer(other)
        for _ in range(3):
            read_answer(slow, LARGE)


def test_clients_that_break_off_amid_a_long_answer_leave_no_channel(served: Served) -> None:
    for _ in range(10):
        with served.connect() as client:
            send(client, "/large")
            assert client.recv(1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    with served.connect() as other:
        while True:
            send(other, "/")
            read_answer(other)
            if len(served.server.active_channels) == 1:
                return
