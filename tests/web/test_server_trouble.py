"""A real server in trouble that is not its own: a full disk, a clock that jumps, cut requests."""

import contextlib
import http.client
import json
import os
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.patience import PATIENCE, wait_until
from tests.server_process import ServerProcess
from tests.web.test_server_runs import GATE, directory, follow, one_rule, reached, rows

FAKETIME = next(
    (str(path) for path in Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None
)
SMALL_DISK = 'mount -t tmpfs -o size=24m tmpfs "$1" && shift && exec "$@"'
DAY = 86_400


def may_mount() -> bool:
    probe = ["unshare", "-m", "sh", "-c", "mount -t tmpfs tmpfs /mnt"]
    return subprocess.run(probe, capture_output=True).returncode == 0


@pytest.fixture
def cramped(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server whose home is a small disk of its own."""
    server = ServerProcess(tmp_path / "home")
    server.home.mkdir()
    server.wrapper = ["unshare", "-m", "sh", "-c", SMALL_DISK, "sh", str(server.home)]
    try:
        yield server.start()
    finally:
        server.clean_up()


def seen_from_outside(server: ServerProcess) -> Path:
    """The server's home as it sees it."""
    assert server.process is not None
    return Path(f"/proc/{server.process.pid}/root{server.home}")


def fill(place: Path) -> None:
    """Take the last byte."""
    with (place / "filler").open("wb", buffering=0) as handle, contextlib.suppress(OSError):
        while True:
            handle.write(b"x" * 4096)


@pytest.mark.real
@pytest.mark.skipif(not may_mount(), reason="not possible here: mounting a small disk")
def test_a_full_disk_is_told_harms_nothing_and_passes_by_itself(cramped: ServerProcess) -> None:
    server, place = cramped, seen_from_outside(cramped)
    body = {"name": "x", "toml_content": "[workflow]\nname='x'\n#" + "x" * 200_000}
    assert server.call("POST", "/api/workflows/save", body, user="user")[0] == 201
    stream = follow(server, "/api/events")
    fill(place)
    wait_until(lambda: server.call("POST", "/api/workflows/save", body, user="user")[0] == 500)
    status, answer = server.call("POST", "/api/workflows/save", body, user="user")
    assert status == 500
    assert "full" in f"{answer['error']} {answer['detail']}"
    before = len(server.call("GET", "/api/workflows/saved", user="user")[1])
    run = {"toml_content": one_rule("touch out.txt") + "#" + "x" * 200_000}
    status, answer = server.call("POST", "/api/workflows/run", run, user="user")
    assert status == 500
    assert "full" in f"{answer['error']} {answer['detail']}"
    assert server.call("GET", "/api/health")[0] == 200
    assert server.call("GET", "/readyz")[0] in (200, 503)
    assert server.call("GET", "/api/runs", user="user") == (200, [])
    (place / "filler").unlink()
    assert server.call("POST", "/api/workflows/save", body, user="user")[0] == 201
    assert len(server.call("GET", "/api/workflows/saved", user="user")[1]) == before + 1
    assert server.finish(server.submit(one_rule("touch out.txt")))["status"] == "success"
    types = []
    for _, event in stream.events():
        types.append(event["type"])
        if event["type"] == "run_completed":
            break
    assert types[0] == "workflow_saved"
    stream.close()
    assert server.call("GET", "/api/audit/verify", user="admin")[1]["intact"] is True
    with sqlite3.connect(place / "oxoflow.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


@pytest.mark.real
@pytest.mark.skipif(FAKETIME is None, reason="not installed here: libfaketime")
def test_a_clock_that_jumps_ends_old_sessions_and_nothing_else(tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    clock.write_text("+0\n")
    server = ServerProcess(tmp_path / "home", RATE_LIMIT="1000", RATE_WINDOW="3600")
    server.environ |= {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    try:
        server.start()
        run_id = server.submit(one_rule(f"{GATE}; touch out.txt"))
        reached(server, run_id, "only")
        old = server.token("user")
        clock.write_text(f"+{2 * DAY}\n")
        bearer = f"Bearer {old}"
        assert server.call("GET", "/api/runs", Authorization=bearer)[0] == 401
        server.forget_tokens()
        new = server.token("user")
        assert server.call("GET", f"/api/runs/{run_id}", user="user")[1]["status"] == "running"
        clock.write_text(f"-{3 * DAY}\n")
        assert server.call("GET", "/api/runs", Authorization=f"Bearer {new}")[0] == 200
        (directory(server, run_id) / "go").touch()
        assert server.finish(run_id)["status"] == "success"
        second = server.submit(one_rule("touch out.txt"))
        assert server.finish(second)["status"] == "success"
        clock.write_text("+0\n")
        events = [json.loads(data) for (data,) in rows(server, "SELECT data FROM events")]
        assert all(event.get("duration_secs", 0) >= 0 for event in events)
        ended = [event for event in events if "finished_at" in event]
        assert [event["run_id"] for event in ended] == [run_id, second]
        assert server.call("GET", "/api/audit/verify", user="admin")[1]["intact"] is True
    finally:
        server.clean_up()
        for left in Path("/dev/shm").glob(f"*faketime_*_{server.process.pid}"):
            left.unlink()  # libfaketime of a killed server leaves its shared memory


def test_a_submission_that_is_cut_anywhere_leaves_a_whole_run_or_none(
    tmp_path: Path,
) -> None:
    server = ServerProcess(tmp_path / "home", MAX_RUNS="0")
    try:
        server.start()
        body = json.dumps({"toml_content": one_rule("touch out.txt")}).encode()
        lines = [
            "POST /api/workflows/run HTTP/1.1", "Host: x", "Content-Type: application/json",
            f"Authorization: Bearer {server.token('user')}", f"Content-Length: {len(body)}", "", "",
        ]  # fmt: skip
        whole = "\r\n".join(lines).encode() + body
        ends = [*range(0, len(whole), 23), len(whole) - 1, len(whole)]
        for end in ends:
            with socket.create_connection(("127.0.0.1", server.port)) as client:
                linger = b"\1\0\0\0\0\0\0\0" if end % 2 else b"\0" * 8  # a reset, or an orderly end
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                client.sendall(whole[:end])
        run_id = server.submit(one_rule("touch out.txt"))
        wait_until(lambda: len(os.listdir(directory(server, run_id).parent)) == known(server))
        assert 1 <= known(server) <= 2
    finally:
        server.clean_up()


def known(server: ServerProcess) -> int:
    return len(server.call("GET", "/api/runs", user="user")[1])


def test_an_answer_that_nobody_waits_for_does_no_harm(server: ServerProcess) -> None:
    """The client leaves while a long answer is written, again and again."""
    for _ in range(20):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        connection.request("GET", "/api/openapi.json")
        connection.getresponse().read(100)
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()
    assert server.call("GET", "/api/health")[0] == 200
