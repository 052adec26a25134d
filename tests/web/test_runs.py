"""Runs over HTTP, their runner scripted: submit, list, detail, jobs, logs, cancel, ownership."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from oxoflow.supervisor import launch
from oxoflow.web.services import Services
from tests.patience import wait_until
from tests.supervisor.conftest import RUNNER, end_runners
from tests.web.conftest import log_in

SIMPLE = """
begin()
emit('jobs_planned', jobs=[['a', 'a', 'run'], ['b', 'b', 'skip']])
emit('rule_started', 'a', attempt=1)
Path('sub').mkdir(); Path('sub/out.txt').write_text('result')
Path('.oxo-flow/logs/a.out').write_text('hello\\n')
Path('.oxo-flow/logs/a.err').write_bytes(b'caf\\xe9!\\n')
Path('execution.log').write_bytes(b'[a] hello\\n[a] caf\\xe9!\\n')
emit('rule_completed', 'a', exit_code=0, duration_secs=0.5, attempt=1)
emit('rule_skipped', 'b', reason='up to date')
end()
"""
PATIENT = "begin(); wait(); end('cancelled', 143, ended=({'pid': 7, 'name': 'sleep'},), left=0)"


def workflow(script: str, name: str = "demo") -> str:
    return f"""[workflow]
name = "{name}"
[config]
script = {json.dumps(script)}
[[rules]]
name = "a"
output = ["x.txt"]
shell = "date > x.txt"
[[rules]]
name = "b"
input = ["x.txt"]
output = ["y.txt"]
shell = "cp x.txt y.txt"
"""


CYCLE = workflow(SIMPLE).replace('name = "a"', 'name = "a"\ninput = ["y.txt"]')


@pytest.fixture
def running(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """The services of `app`, started, their runs scripted."""
    monkeypatch.setattr(launch, "PROGRAM", (sys.executable, str(RUNNER)))
    services: Services = app.extensions["oxoflow"]
    services.start()
    yield services
    services.stop()
    end_runners(services.db)


def submit(client: FlaskClient, script: str = SIMPLE, **more: Any) -> str:
    answer = client.post("/api/workflows/run", json={"toml_content": workflow(script)} | more)
    assert answer.status_code == 200, answer.json
    return answer.json["run_id"]


def run_directories(services: Services) -> list[str]:
    return [path.name for path in services.workspace.root.glob("users/*/runs/*")]


def state(client: FlaskClient, run_id: str) -> dict[str, Any]:
    answer = client.get(f"/api/runs/{run_id}")
    assert answer.status_code == 200, answer.json
    return answer.json


def finished(client: FlaskClient, run_id: str) -> dict[str, Any]:
    def done() -> dict[str, Any] | None:
        found = state(client, run_id)
        return found if found["finished_at"] else None

    return wait_until(done)


def in_phase(client: FlaskClient, run_id: str, phase: str) -> bool:
    return state(client, run_id)["phase"] == phase


def test_a_submission_is_answered_with_its_order_and_runs_to_its_end(
    running: Services, user: FlaskClient
) -> None:
    answer = user.post("/api/workflows/run", json={"toml_content": workflow(SIMPLE)})
    assert answer.status_code == 200
    run_id = answer.json["run_id"]
    assert answer.json == {
        "run_id": run_id, "status": "started", "execution_order": ["a", "b"], "rules_total": 2,
    }  # fmt: skip
    detail = finished(user, run_id)
    assert detail["status"] == "success"
    assert (detail["workflow_name"], detail["exit_code"], detail["error"]) == ("demo", 0, None)
    assert detail["phase"] is None
    assert detail["jobs"] == {"success": 1, "skipped": 1}
    assert detail["log_tail"] == "[a] hello\n[a] caf�!"
    made = {item["path"]: item["size_bytes"] for item in detail["outputs"]}
    assert made["sub/out.txt"] == 6
    assert detail["output_files"] == sorted(made)
    assert not any(path.startswith(".oxo-flow") for path in made)
    directory = running.workspace.run_directory("user", run_id)
    assert (directory / "workflow.oxoflow").read_text() == workflow(SIMPLE)


def test_a_dry_run_makes_no_run(running: Services, user: FlaskClient) -> None:
    body = {"toml_content": workflow(SIMPLE), "config": {"dry_run": True}}
    answer = user.post("/api/workflows/run", json=body)
    assert answer.status_code == 200
    assert answer.json["status"]["status"] == "dry-run"
    assert user.get("/api/runs").json == []
    assert run_directories(running) == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"toml_content": 1}, 422),
        ({"toml_content": "[[["}, 400),
        ({"toml_content": CYCLE}, 422),
        ({"toml_content": workflow(SIMPLE), "config": {"max_jobs": 0}}, 422),
        ({"toml_content": workflow(SIMPLE), "config": {"max_jobs": "two"}}, 422),
        ({"toml_content": workflow(SIMPLE), "config": []}, 422),
    ],
)
def test_what_cannot_run_is_refused_and_leaves_nothing(
    running: Services, user: FlaskClient, body: dict[str, Any], status: int
) -> None:
    answer = user.post("/api/workflows/run", json=body)
    assert answer.status_code == status
    assert answer.json["error"]
    assert answer.json["detail"]
    assert user.get("/api/runs").json == []
    assert run_directories(running) == []


def test_the_submitted_settings_reach_the_runner(running: Services, user: FlaskClient) -> None:
    run_id = submit(user, config={"max_jobs": 1, "keep_going": True})
    finished(user, run_id)
    argv = (running.workspace.run_directory("user", run_id) / "argv").read_text().split("\n")
    assert argv[4:7] == ["-j", "1", "-k"]


def test_viewers_launch_and_cancel_nothing(
    running: Services, viewer: FlaskClient, client: FlaskClient
) -> None:
    body = {"toml_content": workflow(SIMPLE)}
    assert viewer.post("/api/workflows/run", json=body).status_code == 403
    assert viewer.delete("/api/runs/x").status_code == 403
    assert viewer.get("/api/runs").json == []
    assert client.post("/api/workflows/run", json=body).status_code == 401


def test_the_list_shows_waiting_runs_first_then_the_newest_start(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "PROGRAM", (sys.executable, str(RUNNER)))
    app = make_app(MAX_RUNS="1")
    app.extensions["oxoflow"].start()
    user = log_in(app, "user")
    first = submit(user)
    finished(user, first)
    second = submit(user, PATIENT)
    wait_until(lambda: in_phase(user, second, "running"))
    third, fourth = submit(user, PATIENT), submit(user, PATIENT)
    answer = user.get("/api/runs")
    assert [row["id"] for row in answer.json] == [fourth, third, second, first]
    assert list(answer.json[0])[:7] == [
        "id", "user_id", "workflow_name", "status", "pid", "started_at", "finished_at",
    ]  # fmt: skip
    assert [row["phase"] for row in answer.json] == ["queued", "queued", "running", None]
    assert answer.headers["X-Total-Count"] == "4"
    page = user.get("/api/runs?page=2&per_page=3")
    assert [row["id"] for row in page.json] == [first]
    assert page.headers["X-Total-Pages"] == "2"
    waiting = user.get("/api/runs?status=pending")
    assert [row["id"] for row in waiting.json] == [fourth, third]
    assert waiting.headers["X-Total-Count"] == "2"
    assert user.get("/api/runs?status=queued").status_code == 400
    queue = state(user, fourth)["queue"]
    assert queue["position"] == 2
    assert "live" in queue["reason"]
    for run_id in (third, fourth, second):
        assert user.delete(f"/api/runs/{run_id}").status_code == 200


def test_jobs_are_listed_with_ids_and_figures(running: Services, user: FlaskClient) -> None:
    run_id = submit(user)
    finished(user, run_id)
    jobs = user.get(f"/api/runs/{run_id}/jobs")
    assert [(job["id"], job["job"], job["rule"], job["status"]) for job in jobs.json] == [
        (1, "a", "a", "success"), (2, "b", "b", "skipped"),
    ]  # fmt: skip
    assert jobs.json[0]["duration_secs"] == 0.5
    assert jobs.json[1]["reason"] == "up to date"
    assert jobs.headers["X-Total-Count"] == "2"
    skipped = user.get(f"/api/runs/{run_id}/jobs?status=skipped")
    assert [job["id"] for job in skipped.json] == [2]
    assert user.get(f"/api/runs/{run_id}/jobs?status=odd").status_code == 400


def test_logs_are_text_whatever_bytes_they_hold(running: Services, user: FlaskClient) -> None:
    run_id = submit(user)
    finished(user, run_id)
    logs = user.get(f"/api/runs/{run_id}/logs")
    assert logs.content_type == "text/plain; charset=utf-8"
    assert logs.data == b"[a] hello\n[a] caf?!\n"
    part = user.get(f"/api/runs/{run_id}/logs", headers={"Range": "bytes=4-8"})
    assert (part.status_code, part.data) == (206, b"hello")
    assert part.headers["Content-Range"] == "bytes 4-8/20"
    assert user.get(f"/api/runs/{run_id}/logs?tail=1").text == "[a] caf�!"
    rest = user.get(f"/api/runs/{run_id}/logs?offset=10")
    assert (rest.data, rest.headers["X-Next-Offset"]) == (b"[a] caf?!\n", "20")
    beyond = user.get(f"/api/runs/{run_id}/logs", headers={"Range": "bytes=99-"})
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, "bytes */20")
    unchanged = user.get(
        f"/api/runs/{run_id}/logs", headers={"If-None-Match": logs.headers["ETag"]}
    )
    assert (unchanged.status_code, unchanged.data) == (304, b"")


def test_job_logs_are_the_streams_of_the_job(running: Services, user: FlaskClient) -> None:
    run_id = submit(user)
    finished(user, run_id)
    path = f"/api/runs/{run_id}/jobs/1/log"
    assert user.get(path).data == b"hello\n"
    assert user.get(f"{path}?stream=stderr").data == b"caf?!\n"
    rest = user.get(f"{path}?offset=2")
    assert (rest.data, rest.headers["X-Next-Offset"]) == (b"llo\n", "6")
    assert user.get(f"{path}?offset=600").data == b""
    assert user.get(f"/api/runs/{run_id}/jobs/2/log").data == b""
    assert user.get(f"/api/runs/{run_id}/jobs/3/log").status_code == 404
    assert user.get(f"/api/runs/{run_id}/jobs/{2**70}/log").status_code == 404
    assert user.get(f"{path}?stream=both").status_code == 400


def test_a_log_that_is_not_there_yet_is_a_clear_answer(
    running: Services, user: FlaskClient
) -> None:
    run_id = submit(user, PATIENT)
    answer = user.get(f"/api/runs/{run_id}/logs")
    assert (answer.status_code, answer.json["error"]) == (400, "Log file not found")
    assert state(user, run_id)["log_tail"] is None
    user.delete(f"/api/runs/{run_id}")


@pytest.mark.parametrize("place", ["execution.log", "sub/../../../x", "dir/link.txt"])
def test_no_link_planted_by_a_rule_is_followed(
    running: Services, user: FlaskClient, place: str
) -> None:
    secret = running.settings.home / "secret"
    secret.write_text("secret")
    plant = (
        f"begin(); os.symlink({str(secret)!r}, 'execution.log'); os.mkdir('dir');"
        f" os.symlink({str(secret)!r}, 'dir/link.txt'); os.symlink('/etc', 'etc');"
        " os.mkfifo('fifo'); end()"
    )
    run_id = submit(user, plant)
    detail = finished(user, run_id)
    assert detail["log_tail"] is None
    assert set(detail["output_files"]) == {"argv", "pid"}
    assert user.get(f"/api/runs/{run_id}/logs").status_code == 400


def test_cancel_answers_with_its_receipt_and_only_once(
    running: Services, user: FlaskClient
) -> None:
    run_id = submit(user, PATIENT)
    wait_until(lambda: in_phase(user, run_id, "running"))
    answer = user.delete(f"/api/runs/{run_id}")
    assert answer.status_code == 200
    assert answer.json == {
        "status": "cancelled", "ended": [{"pid": 7, "name": "sleep"}], "left": 0,
    }  # fmt: skip
    again = user.delete(f"/api/runs/{run_id}")
    assert again.status_code == 400
    assert again.json == {"error": "Run is not in a cancellable state", "detail": "cancelled"}
    assert state(user, run_id)["cancel"]["left"] == 0


def test_a_cancel_beyond_half_of_the_threads_is_answered_at_once(
    running: Services, user: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oxoflow.web.waiting._WAITING.acquire", lambda blocking: False)
    run_id = submit(user, "begin(); wait('go'); wait(); end('cancelled', 143)")
    wait_until(lambda: in_phase(user, run_id, "running"))
    assert user.delete(f"/api/runs/{run_id}").json["status"] == "cancelling"
    assert state(user, run_id)["phase"] == "cancelling"
    (running.workspace.run_directory("user", run_id) / "go").touch()
    assert finished(user, run_id)["status"] == "cancelled"


ROUTES = (
    *(
        ("GET", path)
        for path in ("", "/jobs", "/jobs/1/log", "/logs", "/events", "/plan", "/report")
    ),
    *(("GET", path) for path in ("/files", "/files/x", "/files.zip")),
    *(("POST", path) for path in ("/cancel", "/pause", "/resume", "/retry", "/clean")),
    *(("DELETE", path) for path in ("", "?purge=1")),
)


BAD_IDS = ("x", "..", "%2e%2e", "a" * 5000, "%00", "1;2", "é")


def test_foreign_unknown_and_malformed_ids_are_the_same_404_on_every_route(
    running: Services, app: Flask, user: FlaskClient
) -> None:
    run_id = submit(user, PATIENT)
    wait_until(lambda: in_phase(user, run_id, "running"))
    admin = log_in(app, "admin")
    for method, suffix in ROUTES:
        for asked in (run_id, "00000000-0000-4000-8000-000000000000"):
            answer = admin.open(f"/api/runs/{asked}{suffix}", method=method)
            assert (answer.status_code, answer.json) == (
                404, {"error": "Run not found", "detail": None},
            ), (method, suffix)  # fmt: skip
        for bad in BAD_IDS:
            answer = admin.open(f"/api/runs/{bad}{suffix}", method=method)
            assert answer.status_code == 404, (method, suffix, bad)
    assert admin.get("/api/runs").json == []
    assert state(user, run_id)["status"] == "running"
    user.delete(f"/api/runs/{run_id}")


def test_runs_need_a_live_session(client: FlaskClient) -> None:
    for headers in ({}, {"Authorization": "Bearer " + "0" * 32}):
        for method, suffix in ROUTES:
            answer = client.open(f"/api/runs/x{suffix}", method=method, headers=headers)
            assert answer.status_code == 401


def test_launch_and_cancel_are_audited(running: Services, user: FlaskClient) -> None:
    run_id = submit(user, PATIENT)
    user.delete(f"/api/runs/{run_id}")
    rows = running.db.read().execute("SELECT action, target FROM audit_logs ORDER BY id").fetchall()
    assert [tuple(row) for row in rows if row[0] != "login"] == [
        ("run", f"{run_id} demo"), ("cancel_run", run_id),
    ]  # fmt: skip


def test_no_process_is_left_by_these_tests(running: Services, user: FlaskClient) -> None:
    run_id = submit(user, PATIENT)
    wait_until(lambda: in_phase(user, run_id, "running"))
    pid = state(user, run_id)["pid"]
    user.delete(f"/api/runs/{run_id}")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
