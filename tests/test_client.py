"""The HTTP client against a real server: login, submission, events over a restart, errors."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from oxoflow.client import Client, parse_events
from oxoflow.errors import (
    InvalidInput,
    NotFound,
    RateLimited,
    Unauthorized,
    Unavailable,
    UsageError,
)
from tests.server_process import ServerProcess
from tests.web.test_server_runs import GATE, directory, one_rule


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path_factory.mktemp("client") / "home", BASE_PATH="/oxo")
    try:
        yield process.start()
    finally:
        process.clean_up()


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Client]:
    found = Client(f"http://127.0.0.1:{server.port}{server.prefix}/")
    found.log_in("user", "user-secret")
    yield found
    found.close()


def test_a_run_is_submitted_followed_and_its_results_are_taken(
    client: Client, tmp_path: Path
) -> None:
    run_id = client.submit(one_rule("echo hi; seq 5 > out.txt"), tags=["t"])
    events = list(client.events(run_id))
    assert events[-1].type == "run_completed"
    assert [event.id for event in events] == sorted(event.id for event in events if event.id)
    run = client.run(run_id)
    assert (run["status"], run["tags"]) == ("success", ["t"])
    assert client.file(run_id, "out.txt") == b"1\n2\n3\n4\n5\n"
    client.download(run_id, "out.txt", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"1\n2\n3\n4\n5\n"
    assert client.read(f"/api/runs/{run_id}/logs").startswith(b"[only] hi\noxoflow: [1/1] done")
    assert list(client.events(run_id, after=events[-1].id or 0)) == []


def test_events_go_on_over_the_restart_of_the_server(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oxoflow.client.PAUSE", 0.05)
    own = ServerProcess(tmp_path / "home")
    try:
        own.start()
        client = Client(f"http://127.0.0.1:{own.port}")
        client.log_in("user", "user-secret")
        run_id = client.submit(one_rule(f"{GATE}; touch out.txt"))
        followed = client.events(run_id)
        seen = [next(followed).type for _ in range(3)]

        def restart() -> None:
            own.kill()
            client._port = own.start().port  # a test's server takes another port
            (directory(own, run_id) / "go").touch()

        helper = threading.Thread(target=restart)
        helper.start()
        seen += [event.type for event in followed]
        helper.join()
        assert [name for name in seen if name not in ("jobs_planned", "warning")] == [
            "run_started", "rule_started", "rule_completed", "run_completed",
        ]  # fmt: skip
        client.close()
    finally:
        own.clean_up()


def test_a_cancel_returns_its_receipt(client: Client) -> None:
    run_id = client.submit(one_rule("sleep 600"))
    if client.cancel(run_id)["status"] != "cancelled":  # on a slow machine it is told later
        assert list(client.events(run_id))[-1].type == "run_cancelled"
    with pytest.raises(InvalidInput, match="not in a cancellable state"):
        client.cancel(run_id)


def test_errors_are_named_as_the_server_names_them(client: Client, server: ServerProcess) -> None:
    with pytest.raises(NotFound, match="Run not found"):
        client.run("x")
    with pytest.raises(InvalidInput, match="Invalid workflow TOML"):
        client.submit("[[[")
    stranger = Client(client.url)
    with pytest.raises(Unauthorized):
        stranger.log_in("user", "wrong")
    with pytest.raises(Unauthorized):
        stranger.run("x")
    with pytest.raises(NotFound):
        list(client.events("x"))
    stranger.close()
    client.log_out()
    assert client.token is None


def test_a_throttled_client_is_told_when_to_come_back(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "home", RATE_LIMIT="3")
    try:
        client = Client(f"http://127.0.0.1:{server.start().port}")
        for _ in range(3):
            client.call("GET", "/api/version")
        with pytest.raises(RateLimited) as caught:
            client.call("GET", "/api/version")
        assert caught.value.retry_after > 0
        client.close()
    finally:
        server.clean_up()


def test_no_server_and_no_address_are_said_plainly() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        client = Client(f"http://127.0.0.1:{probe.getsockname()[1]}")
        with pytest.raises(Unavailable, match="no server answers"):
            client.call("GET", "/api/health")
    for bad in ("localhost:8080", "ftp://x", "http://", ""):
        with pytest.raises(UsageError):
            Client(bad)


def test_streams_are_read_as_browsers_read_them() -> None:
    lines = [
        b"retry: 3000\n", b"\n", b": comment\n", b"id: 7\r\n", b"event: x\n",
        b'data: {"type":"a",\n', b'data: "time":"t","data":{"k":1}}\n', b"\n", b"unknown: x\n",
        b'data:{"type":"heartbeat","time":"t"}\n', b"\n", b'data: {"type":"unfinished"',
    ]  # fmt: skip
    first, second = parse_events(iter(lines))
    assert (first.id, first.type, dict(first.data)) == (7, "a", {"k": 1})
    assert (second.id, second.type, dict(second.data)) == (None, "heartbeat", {})
