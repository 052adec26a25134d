"""Clients that read slowly, not at all, or leave at any moment, on a real server."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.patience import PATIENCE, wait_until
from tests.server_process import ServerProcess
from tests.web.test_server_runs import directory, follow, one_rule

HUGE = 2 * 1024**3


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path_factory.mktemp("readers") / "home", STREAMS_PER_USER="500")
    try:
        yield process.start()
    finally:
        process.clean_up()


@pytest.fixture(scope="module")
def run_id(server: ServerProcess) -> str:
    """A finished run with a log of 2 GB, most of it a hole, that ends in a broken character."""
    run_id = server.submit(one_rule("touch out.txt"))
    server.finish(run_id)
    log = directory(server, run_id) / "execution.log"
    with log.open("ab") as handle:
        handle.truncate(HUGE)
        handle.seek(HUGE)
        handle.write(b"\nthe end \xff\n")
    return run_id


def memory(server: ServerProcess) -> int:
    assert server.process is not None
    return int(psutil.Process(server.process.pid).memory_info().rss)


def ask(server: ServerProcess, path: str, *headers: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
    lines = [f"GET {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {server.token('user')}"]
    connection.sendall(("\r\n".join([*lines, *headers]) + "\r\n\r\n").encode())
    return connection


def test_a_hundred_clients_that_do_not_read_cost_no_thread_and_no_memory(
    server: ServerProcess, run_id: str
) -> None:
    server.call("GET", "/api/health")
    before = memory(server)
    clients = [ask(server, f"/api/runs/{run_id}/logs") for _ in range(60)]
    clients += [ask(server, f"/api/runs/{run_id}/files/execution.log") for _ in range(40)]
    for client in clients:
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK")
    for _ in range(20):
        assert server.call("GET", "/api/health")[0] == 200
    assert server.call("GET", f"/api/runs/{run_id}", user="user")[0] == 200
    assert memory(server) - before < 100 * 1024**2
    for client in clients:
        client.close()


def test_the_end_of_a_huge_log_is_there_at_once(server: ServerProcess, run_id: str) -> None:
    before = memory(server)
    status, text = server.call("GET", f"/api/runs/{run_id}/logs?tail=1", user="user")
    assert (status, text.decode()) == (200, "the end �")
    status, text = server.call("GET", f"/api/runs/{run_id}/logs?offset={HUGE}", user="user")
    assert (status, text) == (200, b"\nthe end ?\n")
    status, text = server.call("GET", f"/api/runs/{run_id}/logs", user="user", Range="bytes=-4")
    assert (status, text) == (206, b"d ?\n")
    assert memory(server) - before < 50 * 1024**2


def test_a_file_that_shrinks_while_it_is_sent_ends_the_connection_and_nothing_else(
    server: ServerProcess, run_id: str
) -> None:
    path = directory(server, run_id) / "shrinking"
    path.write_bytes(b"x" * 50_000_000)
    client = ask(server, f"/api/runs/{run_id}/files/shrinking")
    assert client.recv(1000)
    os.truncate(path, 10)
    received = 0
    while data := client.recv(1 << 20):
        received += len(data)
    assert received < 50_000_000
    client.close()
    assert server.process is not None
    process = psutil.Process(server.process.pid)
    wait_until(lambda: process.cpu_percent(0.2) < 90)  # it does not spin on what cannot be sent
    assert server.call("GET", "/api/health")[0] == 200


@pytest.mark.parametrize("size", [0, 1, 40, 100, 150])
def test_clients_that_leave_in_the_middle_of_a_request_do_no_harm(
    server: ServerProcess, size: int
) -> None:
    request = f"GET /api/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {'0' * 32}\r\n\r\n"
    for _ in range(20):
        client = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
        client.sendall(request.encode()[:size])
        client.close()
    assert server.call("GET", "/api/health")[0] == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may count a server's descriptors")
def test_streams_that_come_and_go_leave_no_descriptor_and_no_place(server: ServerProcess) -> None:
    assert server.process is not None
    process = psutil.Process(server.process.pid)
    follow(server, "/api/events").close()
    before = process.num_fds()
    for _ in range(10):
        readers = [follow(server, "/api/events") for _ in range(20)]
        for reader in readers:
            reader.close()
    wait_until(lambda: process.num_fds() <= before + 5)
    readers = [follow(server, "/api/events") for _ in range(100)]
    assert all(reader.head.startswith("HTTP/1.1 200") for reader in readers)
    for reader in readers:
        reader.close()


def test_an_archive_is_streamed_to_a_slow_client_outside_of_the_request_threads(
    server: ServerProcess,
) -> None:
    run_id = server.submit(one_rule("head -c 5000000 /dev/urandom > big; touch out.txt"))
    server.finish(run_id)
    clients = [ask(server, f"/api/runs/{run_id}/files.zip") for _ in range(12)]
    for client in clients:
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK")
    assert server.call("GET", "/api/health")[0] == 200
    whole = b"".join(iter(lambda: clients[0].recv(1 << 20), b""))
    assert len(whole) > 5_000_000 - 100
    for client in clients:
        client.close()
    status, archive = server.call("GET", f"/api/runs/{run_id}/files.zip", user="user")
    assert (status, archive[:2]) == (200, b"PK")


def test_the_workspace_is_private(server: ServerProcess, run_id: str) -> None:
    assert directory(server, run_id).stat().st_mode & 0o077 == 0
    assert Path(server.home / "oxoflow.db").stat().st_mode & 0o077 == 0
