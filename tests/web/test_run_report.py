"""The report of a run tells what its records hold, by the real runner, and escapes all of it."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from oxoflow.errors import WorkflowError
from oxoflow.web import run_report
from oxoflow.web.services import Services
from tests.patience import wait_until
from tests.supervisor.conftest import end_runners
from tests.web.test_run_again import GATED, TWO, launch, place, statuses
from tests.web.test_runs import finished


@pytest.fixture
def running(app: Flask) -> Iterator[Services]:
    services: Services = app.extensions["oxoflow"]
    services.start()
    yield services
    services.stop()
    end_runners(services.db)


def test_the_report_tells_the_truth_of_the_run_and_escapes_it(
    running: Services, user: FlaskClient, viewer: FlaskClient, client: FlaskClient
) -> None:
    text = """[workflow]
name = "<script>alert(1)</script>"
version = "4.5.6"
[config]
key = { sensitive = true }
[[rules]]
name = "fine"
output = ["fine.txt"]
shell = "echo ok > fine.txt"
[[rules]]
name = "broken"
input = ["fine.txt"]
output = ["never.txt"]
shell = "echo '<b>reason</b> {config.key}' >&2; exit 7"
"""
    run_id = launch(user, text, config_overrides={"key": "Op3n-Sesame"}, tags=["<i>"])
    finished(user, run_id)
    data = user.get(f"/api/runs/{run_id}/report?format=json").json
    sections = {section["id"]: section for section in data["sections"]}
    assert list(sections) == [
        "overview", "jobs", "failures", "commands", "environments", "outputs", "files",
    ]  # fmt: skip
    assert data["workflow_version"] == "4.5.6"
    assert ["Status", "failed"] in sections["overview"]["content"]["pairs"]
    rows = {row[0]: row for row in sections["jobs"]["content"]["rows"]}
    assert (rows["fine"][2], rows["broken"][2], rows["broken"][6]) == ("success", "failed", "7")
    assert "<b>reason</b>" in sections["failures"]["subsections"][0]["content"]["text"]
    assert sections["commands"]["content"]["rows"] == [
        ["fine", "echo ok > fine.txt"],
        ["broken", "echo '<b>reason</b> ***' >&2; exit 7"],
    ]
    digest = hashlib.sha256(b"ok\n").hexdigest()
    outputs = [["fine.txt", "3", digest, "fine", "unchanged"]]
    assert sections["outputs"]["content"]["rows"] == outputs
    assert ["data/in.txt", "4", "—"] in sections["files"]["content"]["rows"]
    page = user.get(f"/api/runs/{run_id}/report")
    assert page.text.startswith("<!DOCTYPE html>")
    assert "<script>" not in page.text
    assert "<b>reason</b>" not in page.text
    assert "<i>" not in page.text
    assert "Op3n-Sesame" not in page.text + json.dumps(data)
    assert digest in page.text
    assert "sandbox" in page.headers["Content-Security-Policy"]
    assert user.get(f"/api/runs/{run_id}/report?format=pdf").status_code == 400
    asked = {"run_id": run_id, "format": "json"}
    same = user.post("/api/reports/generate", json=asked).json
    assert same["sections"] == data["sections"]
    assert user.post("/api/reports/generate", json={"run_id": run_id}).text.startswith("<!DOCTYPE")
    assert client.post("/api/reports/generate", json=asked).status_code == 401
    assert viewer.post("/api/reports/generate", json=asked).status_code == 404


def reported(client: FlaskClient, run_id: str) -> dict[str, Any]:
    data = client.get(f"/api/runs/{run_id}/report?format=json").json
    return {section["id"]: section for section in data["sections"]}


def test_the_report_of_a_run_that_goes_on_tells_what_is_done(
    running: Services, user: FlaskClient
) -> None:
    early = '[[rules]]\nname = "early"\noutput = ["e"]\nshell = "touch e"\n'
    text = GATED.replace("[[rules]]", f'{early}[[rules]]\ninput = ["e"]', 1)
    run_id = launch(user, text)
    wait_until(lambda: statuses(user, run_id).get("early") == "success")
    wait_until(lambda: statuses(user, run_id).get("gate") == "running")
    found = reported(user, run_id)
    assert ["Status", "running"] in found["overview"]["content"]["pairs"]
    assert found["commands"]["content"]["rows"] == [["early", "touch e"]]
    assert [row[0] for row in found["outputs"]["content"]["rows"]] == ["e"]
    (place(running, run_id) / "go").touch()
    finished(user, run_id)
    assert len(reported(user, run_id)["commands"]["content"]["rows"]) == 3


def test_the_report_of_a_retry_names_the_run_that_made_what_was_kept(
    running: Services, user: FlaskClient
) -> None:
    old = launch(user)
    finished(user, old)
    new = user.post(f"/api/runs/{old}/retry").json["run_id"]
    finished(user, new)
    found = reported(user, new)
    assert found["reused"]["content"]["rows"] == [["good", old, "—", "kept"]]
    assert ["Retry of", old] in found["overview"]["content"]["pairs"]
    assert "reused" not in reported(user, old)


def test_the_report_of_a_run_whose_directory_is_gone_says_so_and_keeps_the_failure(
    running: Services, user: FlaskClient
) -> None:
    run_id = launch(user, TWO.replace("test -e /proc/self/fd/9", "echo the cause >&2; false"))
    finished(user, run_id)
    shutil.rmtree(place(running, run_id))
    found = reported(user, run_id)
    assert "directory of this run is gone" in found["records"]["content"]["text"]
    assert "the cause" in found["failures"]["subsections"][0]["content"]["text"]
    assert "directory of this run is gone" in user.get(f"/api/runs/{run_id}/report").text


def test_a_failure_behind_the_end_of_the_table_is_still_told(
    running: Services, user: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(run_report.MOST, "json", 1)
    run_id = launch(user)
    finished(user, run_id)
    found = reported(user, run_id)
    assert [row[0] for row in found["jobs"]["content"]["rows"]] == ["good"]
    assert found["jobs"]["subsections"][0]["content"]["text"] == "1 further jobs are not shown"
    assert [part["title"] for part in found["failures"]["subsections"]] == ["bad"]


def test_records_that_are_too_much_to_read_leave_the_rest_of_the_report(
    running: Services, user: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = launch(user)
    finished(user, run_id)

    def stopped(verb: str, asked: object) -> None:
        raise WorkflowError(f"{verb} took longer than 5 s and was stopped")

    monkeypatch.setattr(running, "texts", stopped)
    found = reported(user, run_id)
    assert "take too long to read" in found["records"]["content"]["text"]
    assert len(found["jobs"]["content"]["rows"]) == 2
    monkeypatch.undo()


def test_reports_wait_for_each_other_and_never_hold_the_last_process_for_texts(
    running: Services, user: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = launch(user)
    finished(user, run_id)
    monkeypatch.setattr(run_report, "PATIENCE", 0.0)
    with run_report._READING:
        answer = user.get(f"/api/runs/{run_id}/report")
        assert (answer.status_code, answer.json["error"]) == (503, "Too many reports at a time")
    assert user.get(f"/api/runs/{run_id}/report").status_code == 200
