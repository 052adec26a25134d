"""What a submission may carry beyond its text: files, uploads, samples, targets and more."""

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from oxoflow.supervisor import launch
from oxoflow.web.services import Services
from tests.supervisor.conftest import RUNNER, end_runners
from tests.web.conftest import log_in
from tests.web.test_runs import finished, run_directories, state, workflow

RECORD = "begin(); Path('seen').write_text(open('data/in.txt').read()); end()"
SHEET = """[workflow]
name = "sheet"
[config]
script = "begin(); end()"
[[rules]]
name = "a"
output = ["{sample}.txt"]
shell = "touch {output}"
"""
SHEET = SHEET.replace('"sheet"', '"sheet"\nsample_groups_file = "sheets/groups.csv"')


@pytest.fixture
def running(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    monkeypatch.setattr(launch, "PROGRAM", (sys.executable, str(RUNNER)))
    services: Services = app.extensions["oxoflow"]
    services.start()
    yield services
    services.stop()
    end_runners(services.db)


def send(client: FlaskClient, script: str = "begin(); end()", **more: Any) -> Any:
    return client.post("/api/workflows/run", json={"toml_content": workflow(script)} | more)


def file_of(services: Services, run_id: str, name: str) -> str:
    return (services.workspace.run_directory("user", run_id) / name).read_text()


def test_small_files_are_there_when_the_run_begins(running: Services, user: FlaskClient) -> None:
    answer = send(user, RECORD, files={"data/in.txt": "content ü\n", "b.sh": "#!/bin/sh\n"})
    assert answer.status_code == 200, answer.json
    assert finished(user, answer.json["run_id"])["status"] == "success"
    assert file_of(running, answer.json["run_id"], "seen") == "content ü\n"


def test_uploads_are_put_together_from_pieces_and_copied_into_the_run(
    running: Services, user: FlaskClient
) -> None:
    first = user.put("/api/uploads/in.txt", data=b"hello ")
    assert (first.status_code, first.json["size_bytes"]) == (201, 6)
    again = user.put("/api/uploads/in.txt?offset=6", data=b"world")
    assert (again.status_code, again.json["size_bytes"]) == (200, 11)
    wrong = user.put("/api/uploads/in.txt?offset=3", data=b"x")
    assert (wrong.status_code, "11 bytes" in wrong.json["detail"]) == (409, True)
    assert [item["name"] for item in user.get("/api/uploads").json] == ["in.txt"]
    answer = send(user, RECORD, uploads={"data/in.txt": "in.txt"})
    assert answer.status_code == 200, answer.json
    assert finished(user, answer.json["run_id"])["status"] == "success"
    assert file_of(running, answer.json["run_id"], "seen") == "hello world"
    directory = running.workspace.run_directory("user", answer.json["run_id"])
    assert not (directory / "data/in.txt").is_symlink()
    assert user.delete("/api/uploads/in.txt").status_code == 200
    assert user.delete("/api/uploads/in.txt").status_code == 404
    assert (directory / "data/in.txt").read_text() == "hello world"


def test_a_new_upload_replaces_the_old_one(running: Services, user: FlaskClient) -> None:
    user.put("/api/uploads/a", data=b"long content")
    assert user.put("/api/uploads/a", data=b"short").json["size_bytes"] == 5


def test_uploads_are_larger_than_json_bodies_may_be(user: FlaskClient) -> None:
    assert user.put("/api/uploads/big", data=b"x" * 3_000_000).json["size_bytes"] == 3_000_000


@pytest.mark.parametrize("name", ["..", ".hidden", "a%2fb", "a b", "-x", "x" * 201, "é"])
def test_upload_names_are_plain(user: FlaskClient, name: str) -> None:
    assert user.put(f"/api/uploads/{name}", data=b"x").status_code in (400, 404)
    assert user.get("/api/uploads").json == []


def test_uploads_belong_to_their_owner(
    running: Services, app: Flask, user: FlaskClient, viewer: FlaskClient, client: FlaskClient
) -> None:
    user.put("/api/uploads/mine", data=b"x")
    admin = log_in(app, "admin")
    assert admin.get("/api/uploads").json == []
    assert admin.delete("/api/uploads/mine").status_code == 404
    assert send(admin, uploads={"a": "mine"}).status_code == 422
    assert viewer.put("/api/uploads/x", data=b"x").status_code == 403
    assert client.put("/api/uploads/x", data=b"x").status_code == 401


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"files": {"../x": ""}}, "files"),
        ({"files": {"/etc/x": ""}}, "files"),
        ({"files": {".oxo-flow/run.json": ""}}, "files"),
        ({"files": {"./.oxo-flow/x": ""}}, "files"),
        ({"files": {"a/../../x": ""}}, "files"),
        ({"files": {"~root/x": ""}}, "files"),
        ({"files": {"a\x00b": ""}}, "files"),
        ({"files": {"": ""}}, "files"),
        ({"files": {"x" * 300: ""}}, "files"),
        ({"files": {"workflow.oxoflow": ""}}, "files"),
        ({"files": {"./execution.log": ""}}, "files"),
        ({"files": {"a": "", "a/b": ""}}, "files"),
        ({"files": {"a": 1}}, "files"),
        ({"files": []}, "files"),
        ({"uploads": {"../x": "u"}}, "uploads"),
        ({"uploads": {"x": "../../user/uploads/u"}}, "uploads"),
        ({"uploads": {"x": "nothing"}}, "uploads"),
        ({"uploads": {"x": 1}}, "uploads"),
        ({"targets": ["nothing"]}, "targets"),
        ({"targets": [1]}, "targets"),
        ({"targets": [""]}, "targets"),
        ({"samples": ["a\nb"]}, "samples"),
        ({"samples": "a"}, "samples"),
        ({"config_overrides": {"a=b": "x"}}, "config_overrides"),
        ({"config_overrides": {"--x": "x"}}, "config_overrides"),
        ({"config_overrides": {"a": []}}, "config_overrides"),
        ({"config_overrides": {"a": "x" * 70_000}}, "config_overrides"),
        ({"config_overrides": {"a": "x\x00"}}, "config_overrides"),
        ({"tags": ["x" * 65]}, "tags"),
        ({"tags": [""]}, "tags"),
        ({"tags": list("abcdefghijklmnopqrstuvwxyz")}, "tags"),
        ({"max_jobs": 0}, "max_jobs"),
        ({"no_cache": "yes"}, "no_cache"),
        ({"idempotency_key": "x" * 201}, "idempotency_key"),
        ({"workflow_id": "x"}, "workflow_id"),
    ],
)
def test_a_field_that_cannot_be_is_named_and_nothing_is_made(
    running: Services, user: FlaskClient, more: dict[str, Any], word: str
) -> None:
    answer = send(user, **more)
    assert answer.status_code == 422
    assert word in answer.json["detail"]
    assert user.get("/api/runs").json == []
    assert run_directories(running) == []


@pytest.mark.parametrize("more", [{}, {"dry_run": True}])
def test_a_config_value_in_the_place_of_settings_is_refused_and_not_ignored(
    running: Services, user: FlaskClient, more: dict[str, Any]
) -> None:
    text = '[workflow]\nname = "w"\n[config]\nword = "a"\n[[rules]]\nname = "r"\n'
    text += 'output = ["o"]\nshell = "echo {config.word} > {output}"\n'
    body = {"toml_content": text, "config": {"word": "b", "max_jobs": 1}} | more
    answer: Any = user.post("/api/workflows/run", json=body)
    assert answer.status_code == 422
    assert "config.word" in answer.json["detail"]
    assert "config_overrides" in answer.json["detail"]
    body["config"] = {"unknown": "b", "max_jobs": 1}
    assert user.post("/api/workflows/run", json=body).status_code == 200


def test_samples_targets_overrides_and_limits_reach_the_runner(
    running: Services, user: FlaskClient
) -> None:
    text = workflow("begin(); end()") + '[[sample_groups]]\nname = "g"\nsamples = ["p", "q"]\n'
    answer = send(
        user, toml_content=text, targets=["a"], samples=["first:1"], max_jobs=1, keep_going=True,
        config_overrides={"n": 3, "on": True, "t": "-x y"}, tags=["pilot", "pilot", "x"],
        no_cache=True,
    )  # fmt: skip
    assert answer.status_code == 200, answer.json
    finished(user, answer.json["run_id"])
    argv = file_of(running, answer.json["run_id"], "argv").split("\n")
    assert argv[4:-2] == [
        "-j", "1", "-k", "--config-file=-", "--target=a", "--samples=first:1",
    ]  # fmt: skip
    given = json.loads(file_of(running, answer.json["run_id"], "config"))
    assert given == {"n": "3", "on": "true", "t": "-x y"}
    assert state(user, answer.json["run_id"])["tags"] == ["pilot", "x"]


def test_the_text_is_checked_against_the_files_that_came_with_it(
    running: Services, user: FlaskClient
) -> None:
    body = {"toml_content": SHEET}
    refused = user.post("/api/workflows/run", json=body)
    assert refused.status_code in (400, 422)
    assert "groups.csv" in refused.json["detail"]
    body["files"] = {"sheets/groups.csv": 'name,samples\ng,"s1,s2"\n'}
    accepted = user.post("/api/workflows/run", json=body)
    assert accepted.status_code == 200, accepted.json
    shown = user.post("/api/workflows/run", json=body | {"dry_run": True}).json
    assert [job["job"] for job in shown["jobs"]] == ["a_g_s1", "a_g_s2"]


@pytest.mark.parametrize("path", ["/etc/passwd", "../../../../../../etc/passwd"])
def test_a_text_cannot_make_the_server_read_what_is_not_its_own(
    running: Services, user: FlaskClient, path: str
) -> None:
    text = SHEET.replace("sheets/groups.csv", path)
    answer = user.post("/api/workflows/run", json={"toml_content": text})
    assert answer.status_code in (400, 422)
    assert "root:" not in answer.text


def test_the_same_key_is_the_same_run(running: Services, user: FlaskClient) -> None:
    first = send(user, idempotency_key="k-1")
    again = send(user, idempotency_key="k-1")
    assert first.json == again.json
    body = {"toml_content": workflow("begin(); end()")}
    header = user.post("/api/workflows/run", json=body, headers={"Idempotency-Key": "k-1"})
    assert header.json == first.json
    other = send(user, idempotency_key="k-1", tags=["other"])
    assert other.status_code == 409
    assert len(user.get("/api/runs").json) == 1
    assert len(run_directories(running)) == 1


def test_keys_of_others_are_others(running: Services, app: Flask, user: FlaskClient) -> None:
    mine = send(user, idempotency_key="k")
    theirs = send(log_in(app, "admin"), idempotency_key="k")
    assert theirs.status_code == 200
    assert mine.json["run_id"] != theirs.json["run_id"]


def test_a_saved_workflow_is_run_by_its_id(
    running: Services, app: Flask, user: FlaskClient
) -> None:
    saved = user.post(
        "/api/workflows/save", json={"name": "s", "toml_content": workflow("begin(); end()")}
    ).json["id"]
    answer = user.post("/api/workflows/run", json={"workflow_id": saved})
    assert answer.status_code == 200
    assert finished(user, answer.json["run_id"])["workflow_name"] == "demo"
    admin = log_in(app, "admin")
    assert admin.post("/api/workflows/run", json={"workflow_id": saved}).status_code == 404


@pytest.mark.parametrize("wish", [{"dry_run": True}, {"config": {"dry_run": True}}])
def test_a_dry_run_takes_everything_and_leaves_nothing(
    running: Services, user: FlaskClient, wish: dict[str, Any]
) -> None:
    answer = send(user, **wish, files={"x.csv": "a"}, targets=["b"], idempotency_key="k")
    assert answer.status_code == 200
    assert answer.json["status"]["status"] == "dry-run"
    assert run_directories(running) == []
    assert json.dumps(user.get("/api/runs").json) == "[]"
    assert send(user, dry_run="yes").status_code == 422
