"""What can be done with a run, by the real runner: pause, retry, plan, clean, remove, files."""

import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from oxoflow.web.services import Services
from tests.patience import wait_until
from tests.supervisor.conftest import end_runners
from tests.web.test_runs import finished, in_phase, state

TWO = """
[workflow]
name = "two"
[[rules]]
name = "good"
input = ["data/in.txt"]
output = ["good.txt"]
shell = "cat data/in.txt > good.txt; date +%N >> good.txt"
[[rules]]
name = "bad"
input = ["good.txt"]
output = ["sub/bad.txt"]
shell = "test -e /proc/self/fd/9 || [ -e allow ] && cp good.txt sub/bad.txt"
"""
GATED = """
[workflow]
name = "gated"
[[rules]]
name = "gate"
output = ["gate.txt"]
shell = "while [ ! -e go ]; do sleep 0.05; done; touch gate.txt"
[[rules]]
name = "after"
input = ["gate.txt"]
output = ["after.txt"]
shell = "touch after.txt"
"""


@pytest.fixture
def running(app: Flask) -> Iterator[Services]:
    services: Services = app.extensions["oxoflow"]
    services.start()
    yield services
    services.stop()
    end_runners(services.db)


def launch(client: FlaskClient, text: str = TWO, **more: Any) -> str:
    body = {"toml_content": text, "files": {"data/in.txt": "one\n"}} | more
    answer = client.post("/api/workflows/run", json=body)
    assert answer.status_code == 200, answer.json
    return answer.json["run_id"]


def place(services: Services, run_id: str) -> Path:
    return services.workspace.run_directory("user", run_id)


def times(directory: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in directory.rglob("*")}


def statuses(client: FlaskClient, run_id: str) -> dict[str, str]:
    jobs = client.get(f"/api/runs/{run_id}/jobs").json
    return {job["job"]: job["status"] for job in jobs}


def test_a_retry_goes_on_from_the_verified_results_and_leaves_the_old_run_alone(
    running: Services, user: FlaskClient
) -> None:
    old = launch(user, tags=["t"])
    assert finished(user, old)["status"] == "failed"
    assert statuses(user, old) == {"good": "success", "bad": "failed"}
    before = times(place(running, old))
    made = (place(running, old) / "good.txt").read_text()
    answer = user.post(f"/api/runs/{old}/retry")
    assert answer.status_code == 200, answer.json
    assert answer.json["retry_of"] == old
    new = answer.json["run_id"]
    assert finished(user, new)["status"] == "failed"  # nothing has changed for the bad rule
    assert statuses(user, new)["good"] == "skipped"
    assert (place(running, new) / "good.txt").read_text() == made
    assert (place(running, new) / "data/in.txt").read_text() == "one\n"
    assert times(place(running, old)) == before
    detail = state(user, new)
    assert (detail["retry_of"], detail["tags"]) == (old, ["t"])


def test_a_retry_of_everything_begins_without_results(running: Services, user: FlaskClient) -> None:
    old = launch(user)
    finished(user, old)
    made = (place(running, old) / "good.txt").read_text()
    new = user.post(f"/api/runs/{old}/retry", json={"mode": "all"}).json["run_id"]
    finished(user, new)
    assert statuses(user, new)["good"] == "success"
    assert (place(running, new) / "good.txt").read_text() != made


STEPS = """
[workflow]
name = "steps"
[config]
word = "one"
code = "3"
[[rules]]
name = "first"
output = ["first.txt"]
shell = "date +%N > first.stamp; echo fixed > first.txt"
[[rules]]
name = "second"
input = ["first.txt"]
output = ["second.txt"]
shell = "echo {config.word} > second.txt"
[[rules]]
name = "third"
input = ["second.txt"]
output = ["third.txt"]
shell = "cat second.txt > third.txt; exit {config.code}"
[[rules]]
name = "other"
output = ["other.txt"]
shell = "echo other > other.txt"
"""


def test_a_retry_takes_changed_config_and_begins_at_a_named_rule(
    running: Services, user: FlaskClient
) -> None:
    first = launch(user, STEPS)
    assert finished(user, first)["status"] == "failed"
    body: dict[str, Any] = {"config_overrides": {"code": 0}}
    second = user.post(f"/api/runs/{first}/retry", json=body).json["run_id"]
    assert finished(user, second)["status"] == "success"
    skipped = {"first": "skipped", "second": "skipped", "other": "skipped"}
    assert statuses(user, second) == {**skipped, "third": "success"}
    body = {"from_rule": "second", "config_overrides": {"word": "two"}}
    third = user.post(f"/api/runs/{second}/retry", json=body).json["run_id"]
    assert finished(user, third)["status"] == "success"
    assert statuses(user, third) == {**skipped, "second": "success", "third": "success"}
    assert (place(running, third) / "third.txt").read_text() == "two\n"
    assert (place(running, second) / "third.txt").read_text() == "one\n"
    fourth = user.post(f"/api/runs/{third}/retry", json={"from_rule": "first"}).json["run_id"]
    assert finished(user, fourth)["status"] == "success"
    assert statuses(user, fourth)["first"] == "success"
    assert statuses(user, fourth)["second"] == "skipped", "its input came out the same"
    plan = user.get(f"/api/runs/{fourth}/plan").json
    assert plan["summary"]["skip"] == 4, "what was forced once is not forced again"
    refused = user.post(f"/api/runs/{fourth}/retry", json={"from_rule": "nosuch"})
    assert refused.status_code == 422
    assert "from_rule" in refused.json["detail"]
    assert "nosuch" in refused.json["detail"]


def test_a_retry_takes_no_result_that_was_changed_and_follows_no_link(
    running: Services, user: FlaskClient
) -> None:
    old = launch(user, no_cache=True)  # else the retry takes what was kept
    finished(user, old)
    secret = running.settings.home / "secret"
    secret.write_text("secret")
    (place(running, old) / "good.txt").unlink()
    (place(running, old) / "good.txt").symlink_to(secret)
    new = user.post(f"/api/runs/{old}/retry").json["run_id"]
    finished(user, new)
    assert statuses(user, new)["good"] == "success"
    assert "secret" not in (place(running, new) / "good.txt").read_text()
    (place(running, old) / "data/in.txt").unlink()
    (place(running, old) / "data/in.txt").symlink_to(secret)
    refused = user.post(f"/api/runs/{old}/retry")
    assert (refused.status_code, refused.json["error"]) == (409, "A file is gone")


def test_a_run_that_is_not_over_is_neither_retried_cleaned_nor_removed(
    running: Services, user: FlaskClient
) -> None:
    run_id = launch(user, GATED)
    wait_until(lambda: in_phase(user, run_id, "running"))
    for path in ("retry", "clean"):
        assert user.post(f"/api/runs/{run_id}/{path}").status_code == 409
    assert user.delete(f"/api/runs/{run_id}?purge=1").status_code == 409
    assert user.post(f"/api/runs/{run_id}/retry", json={"mode": "odd"}).status_code in (409, 422)
    (place(running, run_id) / "go").touch()
    assert finished(user, run_id)["status"] == "success"


def test_the_plan_of_a_run_says_what_would_run_and_why(
    running: Services, user: FlaskClient
) -> None:
    run_id = launch(user)
    finished(user, run_id)
    (place(running, run_id) / "data/in.txt").write_text("two\n")
    answer = user.get(f"/api/runs/{run_id}/plan")
    assert answer.status_code == 200, answer.json
    good, bad = answer.json["jobs"]
    assert (good["verdict"], bad["verdict"]) == ("run", "run")
    assert [reason["part"] for reason in good["reasons"]] == ["input.data/in.txt"]


def test_cleaning_deletes_outputs_and_nothing_else(running: Services, user: FlaskClient) -> None:
    run_id = launch(user)
    finished(user, run_id)
    listed = user.post(f"/api/runs/{run_id}/clean").json
    assert set(listed) == {"run_id", "files", "total_bytes", "deleted"}
    assert ([file["path"] for file in listed["files"]], listed["deleted"]) == (["good.txt"], False)
    assert user.post(f"/api/runs/{run_id}/clean", json={"dry_run": True}).json == listed
    assert user.post(f"/api/runs/{run_id}/clean", json={"dry_run": None}).json == listed
    assert (place(running, run_id) / "good.txt").exists()
    assert "good.txt" in state(user, run_id)["output_files"]
    done = user.post(f"/api/runs/{run_id}/clean", json={"dry_run": False}).json
    assert done == listed | {"deleted": True}
    assert done["run_id"] == run_id
    assert state(user, run_id)["output_files"] == ["data/in.txt"]
    assert user.post(f"/api/runs/{run_id}/clean").json["files"] == []


def test_a_run_is_paused_and_goes_on(
    running: Services, user: FlaskClient, admin: FlaskClient
) -> None:
    run_id = launch(user, GATED)
    wait_until(lambda: statuses(user, run_id).get("gate") == "running")
    assert user.post(f"/api/runs/{run_id}/pause").json == {"status": "paused"}
    assert state(user, run_id)["phase"] == "paused"
    assert state(user, run_id)["status"] == "running"
    (place(running, run_id) / "go").touch()
    wait_until(lambda: statuses(user, run_id)["gate"] == "success")
    assert statuses(user, run_id)["after"] == "pending"
    assert user.post(f"/api/runs/{run_id}/pause").json == {"status": "paused"}
    assert user.post(f"/api/runs/{run_id}/resume").json["status"] in ("running", "resuming")
    assert finished(user, run_id)["status"] == "success"
    told = [row["action"] for row in admin.get("/api/audit").json["entries"]]
    assert (told.count("pause_run"), told.count("resume_run")) == (1, 1)
    for word in ("pause", "resume"):
        assert user.post(f"/api/runs/{run_id}/{word}").status_code == 409


def test_a_paused_run_can_be_cancelled_by_post(running: Services, user: FlaskClient) -> None:
    run_id = launch(user, GATED)
    wait_until(lambda: statuses(user, run_id).get("gate") == "running")
    user.post(f"/api/runs/{run_id}/pause")
    answer = user.post(f"/api/runs/{run_id}/cancel")
    assert (answer.json["status"], answer.json["left"]) == ("cancelled", 0)
    assert statuses(user, run_id) == {"gate": "cancelled", "after": "cancelled"}


def test_a_removed_run_is_gone_with_its_files(running: Services, user: FlaskClient) -> None:
    run_id = launch(user)
    finished(user, run_id)
    state(user, run_id)  # an answer that is kept for a while
    locked = place(running, run_id) / "locked"
    locked.mkdir()
    (locked / "file").touch()
    locked.chmod(0)
    for unclear in ("no", "yes", "2", "-1"):
        assert user.delete(f"/api/runs/{run_id}?purge={unclear}").status_code == 400
    assert user.delete(f"/api/runs/{run_id}?purge=1").json == {"status": "deleted"}
    assert user.get(f"/api/runs/{run_id}").status_code == 404
    assert user.get("/api/runs").json == []
    assert not place(running, run_id).exists()
    wait_until(lambda: not list(running.workspace.root.glob("trash/*")))


def test_files_are_listed_and_taken_one_by_one_or_together(
    running: Services, user: FlaskClient
) -> None:
    run_id = launch(user)
    finished(user, run_id)
    there = place(running, run_id)
    (there / "page.html").write_text("<script>alert(1)</script>")
    os.symlink("/etc/passwd", there / "link")
    listing = user.get(f"/api/runs/{run_id}/files").json
    assert [file["path"] for file in listing["files"]] == ["data/in.txt", "good.txt", "page.html"]
    assert user.get(f"/api/runs/{run_id}/files?under=data").json["total_bytes"] == 4
    page = user.get(f"/api/runs/{run_id}/files/page.html")
    assert page.content_type == "application/octet-stream"
    assert page.headers["Content-Disposition"] == 'attachment; filename="page.html"'
    assert page.headers["Cache-Control"] == "private, no-cache"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    (there / 'caf\u00e9 ";x').write_text("")
    odd = user.get(f"/api/runs/{run_id}/files/caf%C3%A9%20%22;x").headers["Content-Disposition"]
    assert odd == "attachment; filename=\"caf_ __x\"; filename*=UTF-8''caf%C3%A9%20%22%3Bx"
    (there / 'caf\u00e9 ";x').unlink()
    for name in ("~til", "back\\slash"):
        (there / name).write_text(name)
        assert user.get(f"/api/runs/{run_id}/files/{name}").text == name
        (there / name).unlink()
    same = user.get(
        f"/api/runs/{run_id}/files/page.html", headers={"If-None-Match": page.headers["ETag"]}
    )
    assert same.status_code == 304
    archive = zipfile.ZipFile(io.BytesIO(user.get(f"/api/runs/{run_id}/files.zip").data))
    assert archive.testzip() is None
    assert archive.namelist() == ["data/in.txt", "good.txt", "page.html"]
    assert archive.read("data/in.txt") == b"one\n"
    assert user.get(f"/api/runs/{run_id}/files/workflow.oxoflow").text == TWO


@pytest.mark.parametrize(
    "path",
    [
        "link", "fifo", "missing", "..", "../../../../../../etc/passwd", "%2e%2e/x", "/etc/passwd",
        ".oxo-flow/run.json", "./.oxo-flow/run.json", "data/../.oxo-flow/run.json", "etc/passwd",
        "data", "a%00b", "~/x", "..%5cx",
    ],
)  # fmt: skip
def test_no_path_leads_out_of_the_run(running: Services, user: FlaskClient, path: str) -> None:
    directory = running.workspace.create("user", "00000000-0000-4000-8000-000000000000", {})
    (directory / "data").mkdir()
    os.symlink("/etc/passwd", directory / "link")
    os.symlink("/etc", directory / "etc")
    os.mkfifo(directory / "fifo")
    running.db.write(
        lambda c: c.execute(
            "INSERT INTO runs (id, user_id, workflow_name, created_at, ordered_at, status, phase)"
            " SELECT ?, id, 'w', '', '', 'success', NULL FROM users WHERE username = 'user'",
            (directory.name,),
        )
    )
    answer = user.get(f"/api/runs/{directory.name}/files/{path}")
    assert answer.status_code == 404
    assert b"root:" not in answer.data
