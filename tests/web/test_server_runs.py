"""Runs on a real server: killed and started again, cancelled against resistance, followed."""

import http.client
import json
import os
import signal
import socket
import sqlite3
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.patience import PATIENCE, wait_until
from tests.server_process import ServerProcess
from tests.web.streaming import Reader

CORES = len(os.sched_getaffinity(0))  # as many runs of one thread go on at a time
several_at_a_time = pytest.mark.skipif(CORES < 2, reason="not possible here: one core")
GATE = "while [ ! -e go ]; do sleep 0.05; done"
THREE = f"""
[workflow]
name = "three"
[[rules]]
name = "first"
output = ["first.txt"]
shell = "echo one > first.txt; echo seen-$LOUD"
[[rules]]
name = "gate"
input = ["first.txt"]
output = ["gate.txt"]
shell = "{GATE}; echo two > gate.txt"
[[rules]]
name = "last"
input = ["gate.txt"]
output = ["last.txt"]
shell = "cat first.txt gate.txt > last.txt"
"""
EXPECTED = [
    "run_started", "jobs_planned", "rule_started first", "rule_completed first",
    "rule_started gate", "rule_completed gate", "rule_started last", "rule_completed last",
    "run_completed",
]  # fmt: skip


def one_rule(shell: str) -> str:
    return f"""
[workflow]
name = "one"
[[rules]]
name = "only"
output = ["out.txt"]
shell = '''{shell}'''
"""


def directory(server: ServerProcess, run_id: str, user: str = "user") -> Path:
    return server.home / "workspace/users" / user / "runs" / run_id


def detail(server: ServerProcess, run_id: str) -> dict[str, Any]:
    status, body = server.call("GET", f"/api/runs/{run_id}", user="user")
    assert status == 200, body
    return body  # type: ignore[no-any-return]


def reached(server: ServerProcess, run_id: str, rule: str) -> None:
    """Wait until a rule runs."""

    def running() -> bool:
        _, jobs = server.call("GET", f"/api/runs/{run_id}/jobs", user="user")
        return any(job["rule"] == rule and job["status"] == "running" for job in jobs)

    wait_until(running)


def story(server: ServerProcess, run_id: str) -> list[str]:
    # the file that opens the gate is made beside the rules, and so warned of
    besides = ("heartbeat", "warning")
    events = [event for event in server.events(run_id) if event["type"] not in besides]
    return [f"{event['type']} {event['data'].get('rule') or ''}".strip() for event in events]


def rows(server: ServerProcess, sql: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(server.home / "oxoflow.db") as connection:
        found = connection.execute(sql).fetchall()
    connection.close()
    return found


def follow(server: ServerProcess, path: str, user: str = "user", **headers: str) -> Reader:
    """Open a stream on a bare socket and read its head."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
    lines = [f"GET {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {server.token(user)}"]
    lines += [f"{name.replace('_', '-')}: {text}" for name, text in headers.items()]
    connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    reader = Reader(connection)
    while b"\r\n\r\n" not in reader.rest:
        data = connection.recv(65536)
        assert data, reader.rest
        reader.rest += data
    head, _, reader.rest = reader.rest.partition(b"\r\n\r\n")
    reader.head = head.decode()
    return reader


def test_a_killed_server_loses_no_run_and_no_event(server: ServerProcess) -> None:
    run_id = server.submit(THREE)
    reached(server, run_id, "gate")
    pid = detail(server, run_id)["pid"]
    server.kill()
    assert psutil.pid_exists(pid)
    server.start()
    assert detail(server, run_id)["status"] == "running"
    (directory(server, run_id) / "go").touch()
    assert server.finish(run_id)["status"] == "success"
    assert story(server, run_id) == EXPECTED
    assert (directory(server, run_id) / "last.txt").read_text() == "one\ntwo\n"
    seqs = rows(server, "SELECT seq FROM events WHERE seq IS NOT NULL ORDER BY id")
    assert [seq for (seq,) in seqs] == list(range(1, len(seqs) + 1))


def test_a_run_that_ends_without_a_server_has_its_true_end_and_events_once(
    server: ServerProcess,
) -> None:
    run_id = server.submit(THREE)
    reached(server, run_id, "gate")
    runner = psutil.Process(detail(server, run_id)["pid"])
    server.kill()
    (directory(server, run_id) / "go").touch()
    psutil.wait_procs([runner], timeout=PATIENCE)
    server.start()
    assert server.finish(run_id)["status"] == "success"
    assert story(server, run_id) == EXPECTED


def test_a_failure_without_a_server_is_a_failure_after_it(server: ServerProcess) -> None:
    run_id = server.submit(one_rule(f"{GATE}; echo broken >&2; exit 3"))
    reached(server, run_id, "only")
    runner = psutil.Process(detail(server, run_id)["pid"])
    server.kill()
    (directory(server, run_id) / "go").touch()
    psutil.wait_procs([runner], timeout=PATIENCE)
    server.start()
    end = server.finish(run_id)
    assert (end["status"], end["exit_code"]) == ("failed", 1)
    assert "only" in end["error"]
    status, text = server.call("GET", f"/api/runs/{run_id}/jobs/1/log?stream=stderr", user="user")
    assert (status, text) == (200, b"broken\n")


def test_a_queued_run_starts_after_a_restart(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "home", MAX_RUNS="0").start()
    try:
        run_id = server.submit(one_rule("touch out.txt"))
        assert detail(server, run_id)["status"] == "pending"
        queued = "SELECT 1 FROM events WHERE type = 'run_queued'"
        wait_until(lambda: bool(rows(server, queued)))
        server.kill()
        server.environ["OXO_FLOW_MAX_RUNS"] = "1"
        server.start()
        assert server.finish(run_id)["status"] == "success"
        assert story(server, run_id)[:2] == ["run_queued", "run_started"]
    finally:
        server.clean_up()


def test_a_process_that_is_not_the_recorded_one_is_never_signalled(server: ServerProcess) -> None:
    run_id = server.submit(one_rule(f"trap 'touch told' TERM; {GATE}; touch out.txt"))
    reached(server, run_id, "only")
    runner = psutil.Process(detail(server, run_id)["pid"])
    server.kill()
    rows(server, "UPDATE runs SET start_time = start_time + 1")
    server.start()
    wait_until(lambda: detail(server, run_id)["status"] == "failed")
    status, answer = server.call("DELETE", f"/api/runs/{run_id}", user="user")
    assert (status, answer["detail"]) == (400, "failed")
    assert runner.is_running()
    (directory(server, run_id) / "go").touch()
    psutil.wait_procs([runner], timeout=PATIENCE)
    assert not (directory(server, run_id) / "told").exists()
    assert (directory(server, run_id) / "out.txt").exists()


STUBBORN = """
trap '' TERM
hold() { touch "$1"; exec sleep 600; }
export -f hold
setsid bash -c "trap '' TERM; hold a" &
env -i setsid /bin/bash -c "trap '' TERM; touch b; exec sleep 600" &
( ( trap '' TERM; touch c; exec sleep 600 ) & )
( setsid env -i /bin/bash -c '( trap "" TERM; touch d; exec sleep 600 ) & ' & )
touch e; sleep 600; sleep 600
"""


def test_a_cancel_ends_every_process_of_the_run_whatever_it_does_to_escape(
    server: ServerProcess,
) -> None:
    run_id = server.submit(one_rule(STUBBORN))
    there = directory(server, run_id)
    wait_until(lambda: all((there / name).exists() for name in "abcde"))
    family = psutil.Process(detail(server, run_id)["pid"])
    members = [family, *server.descendants_of_home()]
    members = [one for one in members if one.pid != server.process.pid]
    wait_until(lambda: len(asleep_in(there)) == 5)  # the files came before the programs
    sleepers = asleep_in(there)
    answer = cancel(server, run_id)
    assert (answer["status"], answer["left"]) == ("cancelled", 0)
    assert {"pid", "name", "signal"} <= set(answer["ended"][0])
    assert {one.pid for one in sleepers} <= {one["pid"] for one in answer["ended"]}
    assert not [one for one in members + sleepers if one.is_running()]
    assert detail(server, run_id)["status"] == "cancelled"
    assert [name for name in story(server, run_id) if name.startswith("run_")][
        -1
    ] == "run_cancelled"
    server.kill()
    server.start()
    assert detail(server, run_id)["status"] == "cancelled"


def cancel(server: ServerProcess, run_id: str) -> dict[str, Any]:
    """Cancel a run; its receipt, which comes with the answer or, when that takes long, later."""
    status, answer = server.call("DELETE", f"/api/runs/{run_id}", user="user")
    assert status == 200, answer
    if answer["status"] == "cancelling":
        end = server.finish(run_id)
        answer = {"status": end["status"], **end["cancel"]}
    return answer  # type: ignore[no-any-return]


def asleep_in(place: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.name() == "sleep" and process.cwd() == str(place):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_no_rule_sees_a_setting_of_the_server(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "home", PASS_ENV="LOUD").start()
    try:
        server.kill()
        server.environ |= {"LOUD": "yes", "QUIET": "no", "OXIFY_LOG_LEVEL": "info"}
        server.start()
        run_id = server.submit(one_rule("env > out.txt; cat /proc/$PPID/environ > parent.txt; :"))
        assert server.finish(run_id)["status"] == "success"
        seen = (directory(server, run_id) / "out.txt").read_text()
        assert "LOUD=yes" in seen
        for word in ("OXO_FLOW", "OXIFY", "QUIET", "secret", "PYTHON", "VIRTUAL_ENV"):
            assert word not in seen
        parent = (directory(server, run_id) / "parent.txt").read_bytes()
        assert b"secret" not in parent
    finally:
        server.clean_up()


FORGE = """
echo '{"seq":99,"time":"","type":"run_completed","job":null,"rule":null,"data":{"run_id":"OTHER"}}' >> .oxo-flow/events.jsonl
echo '{"seq":98,"time":"","type":"warning","job":null,"rule":null,"data":{"run_id":"OTHER","user":"admin"}}' >> .oxo-flow/events.jsonl
head -c 3000000 /dev/zero | tr '\\0' x >> .oxo-flow/events.jsonl; echo >> .oxo-flow/events.jsonl
sed 's/"pid": *[0-9]*/"pid": 1/; s/"running"/"success"/' .oxo-flow/run.json > forged && cp forged .oxo-flow/run.json
while [ ! -e go ]; do sleep 0.05; done
exit 5
"""  # noqa: E501


@several_at_a_time
def test_forged_records_harm_no_other_run(server: ServerProcess) -> None:
    small = {"max_jobs": 1}  # room for both
    other = server.submit(one_rule(f"{GATE}; touch out.txt"), config=small)
    run_id = server.submit(one_rule(FORGE.replace("OTHER", other)), config=small)
    wait_until(lambda: (directory(server, run_id) / "forged").exists())
    reached(server, other, "only")
    assert detail(server, run_id)["status"] == "running"
    for one in (run_id, other):
        (directory(server, one) / "go").touch()
    assert server.finish(run_id)["status"] == "failed"
    assert server.finish(other)["status"] == "success"
    assert [name for name in story(server, run_id) if name.startswith("run_")] == [
        "run_started", "run_failed",
    ]  # fmt: skip
    owners = rows(server, f"SELECT DISTINCT run_id FROM events WHERE data LIKE '%{other}%'")
    assert owners == [(other,)]


def test_streams_do_not_keep_the_api_from_answering(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "home", STREAMS_PER_USER="300").start()
    try:
        readers = [follow(server, "/api/events") for _ in range(200)]
        assert server.call("GET", "/api/health")[0] == 200
        run_id = server.submit(one_rule("touch out.txt"))
        for reader in readers:
            types = [body["type"] for _, body in reader.take(5)]
            assert types[0] in ("run_queued", "run_started")
        assert server.finish(run_id)["status"] == "success"
        assert server.call("GET", "/api/health")[0] == 200
        for reader in readers:
            reader.close()
    finally:
        server.clean_up()


def test_a_stream_answers_with_its_headers_and_request_id(server: ServerProcess) -> None:
    reader = follow(server, "/api/events", x_request_id="my-own-request-id")
    head = reader.head.lower().split("\r\n")
    assert head[0] == "http/1.1 200 ok"
    for line in (
        "content-type: text/event-stream", "cache-control: no-cache, no-transform",
        "x-accel-buffering: no", "x-request-id: my-own-request-id",
    ):  # fmt: skip
        assert line in head
    assert next(reader.blocks()) == {"retry": "3000"}
    reader.close()


def test_a_user_sees_own_events_and_an_admin_all_on_request(server: ServerProcess) -> None:
    own, admin = (
        follow(server, "/api/events", "admin"),
        follow(server, "/api/events?all=1", "admin"),
    )
    refused = follow(server, "/api/events?all=1", "user")
    assert refused.head.startswith("HTTP/1.1 403")
    foreign = server.submit(one_rule("touch out.txt"), user="user")
    server.finish(foreign)
    mine = server.submit(one_rule("touch out.txt"), user="admin")
    server.finish(mine, "admin")
    assert {body["data"]["run_id"] for _, body in own.take(4)} == {mine}
    assert {body["data"]["run_id"] for _, body in admin.take(8)} == {foreign, mine}
    for reader in (own, admin, refused):
        reader.close()


def test_a_stream_resumes_from_the_last_event_over_a_restart(server: ServerProcess) -> None:
    run_id = server.submit(THREE)
    reader = follow(server, f"/api/runs/{run_id}/events")
    seen = reader.take(3)
    reached(server, run_id, "gate")
    server.kill()
    server.start()
    again = follow(server, f"/api/runs/{run_id}/events", Last_Event_ID=str(seen[-1][0]))
    (directory(server, run_id) / "go").touch()
    seen += list(again.events())
    told = [body for _, body in seen if body["type"] != "warning"]
    names = [f"{body['type']} {body['data'].get('rule') or ''}".strip() for body in told]
    assert names == EXPECTED
    last = str(seen[-1][0])
    over = follow(server, f"/api/runs/{run_id}/events", Last_Event_ID=last)
    assert over.head.startswith("HTTP/1.1 204")
    for one in (reader, again, over):
        one.close()


def test_too_many_streams_of_one_user_are_429_and_anonymous_ones_hear_heartbeats(
    tmp_path: Path,
) -> None:
    server = ServerProcess(tmp_path / "home", STREAMS_PER_USER="2", MAX_STREAMS="4").start()
    try:
        readers = [follow(server, "/api/events") for _ in range(2)]
        status, answer = server.call("GET", "/api/events", user="user")
        assert (status, answer["error"]) == (429, "Too many event streams")
        anonymous = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        anonymous.request("GET", "/api/events")
        stream = anonymous.getresponse()
        assert stream.status == 200
        assert b"retry" in stream.readline()
        stream.readline()
        assert json.loads(stream.readline()[6:])["type"] == "heartbeat"
        readers.append(follow(server, "/api/events", "admin"))
        status, answer = server.call("GET", "/api/events", user="viewer")
        assert status == 503
        status, answer = server.call("GET", "/api/events", Authorization="Bearer " + "0" * 32)
        assert status == 401
        anonymous.close()
        for reader in readers:
            reader.close()
    finally:
        server.clean_up()


def test_a_stopped_server_leaves_its_runs_alone(server: ServerProcess) -> None:
    run_id = server.submit(THREE)
    reached(server, run_id, "gate")
    runner = psutil.Process(detail(server, run_id)["pid"])
    assert server.stop() == 0
    assert runner.is_running()
    runner.send_signal(signal.SIGTERM)
    psutil.wait_procs([runner], timeout=PATIENCE)
    server.start()
    assert server.finish(run_id)["status"] == "cancelled"


@pytest.mark.parametrize("size", [3_000_000])
def test_a_file_is_downloaded_whole_and_in_ranges(server: ServerProcess, size: int) -> None:
    run_id = server.submit(
        one_rule(f"mkdir 'a b'; head -c {size} /dev/urandom > 'a b/ü.bin'; touch out.txt")
    )
    assert server.finish(run_id)["status"] == "success"
    truth = (directory(server, run_id) / "a b/ü.bin").read_bytes()
    path = f"/api/runs/{run_id}/files/a%20b/%C3%BC.bin"
    assert server.call("GET", path, user="user") == (200, truth)
    status, part = server.call("GET", path, user="user", Range="bytes=1000000-1999999")
    assert (status, part) == (206, truth[1_000_000:2_000_000])
