"""The library: saved workflows, their owners, and what is refused."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from oxoflow.access import Role
from oxoflow.access.accounts import new_user
from oxoflow.access.passwords import hash_password
from oxoflow.db.accounts import insert_user
from oxoflow.web.services import Services
from tests.web.conftest import log_in

TEXT = """[workflow]
name = "two"
[[rules]]
name = "a"
output = ["x.txt"]
shell = "date > {output}"
[[rules]]
name = "b"
input = ["x.txt"]
output = ["y.txt"]
shell = "wc {input} > {output}"
"""
SAVE = "/api/workflows/save"
SAVED = "/api/workflows/saved"
GONE = {"error": "Workflow not found", "detail": None}


def save(client: FlaskClient, name: str = "mine", **more: object) -> str:
    answer = client.post(SAVE, json={"name": name, "toml_content": TEXT, **more})
    assert answer.status_code in (200, 201), answer.json
    return str(answer.json["id"])


def test_a_saved_text_comes_back_byte_for_byte(user: FlaskClient) -> None:
    answer = user.post(SAVE, json={"name": " mine ", "version": "2.1", "toml_content": TEXT})
    assert answer.status_code == 201
    assert set(answer.json) == {"id", "status"}
    assert answer.json["status"] == "saved"
    listed = user.get(SAVED).json
    assert len(listed) == 1
    assert set(listed[0]) == {"id", "name", "version", "rules_count", "created_at", "updated_at"}
    found = user.get(f"{SAVED}/{answer.json['id']}").json
    assert (found["name"], found["version"], found["rules_count"]) == ("mine", "2.1", 2)
    assert found["toml_content"] == TEXT
    assert found["created_at"].endswith("Z")


def test_the_version_has_a_default_and_names_may_repeat(user: FlaskClient) -> None:
    one, two = save(user), save(user)
    assert one != two
    assert user.get(f"{SAVED}/{one}").json["version"] == "1.0.0"


def test_saving_under_an_id_updates_and_moves_to_the_top(user: FlaskClient) -> None:
    first, second = save(user, "first"), save(user, "second")
    assert [row["name"] for row in user.get(SAVED).json] == ["second", "first"]
    answer = user.post(SAVE, json={"id": first, "name": "new", "toml_content": TEXT + "# more\n"})
    assert (answer.status_code, answer.json) == (200, {"id": first, "status": "updated"})
    assert [row["id"] for row in user.get(SAVED).json] == [first, second]
    assert user.get(f"{SAVED}/{first}").json["toml_content"].endswith("# more\n")


def test_a_deleted_workflow_is_gone(user: FlaskClient) -> None:
    workflow_id = save(user)
    answer = user.delete(f"{SAVED}/{workflow_id}")
    assert (answer.status_code, answer.json) == (200, {"status": "deleted"})
    for answer in (user.get(f"{SAVED}/{workflow_id}"), user.delete(f"{SAVED}/{workflow_id}")):
        assert (answer.status_code, answer.json) == (404, GONE)


@pytest.mark.parametrize(
    "workflow_id", ["x", "00000000-0000-4000-8000-000000000000", "..", "%2e%2e", "' OR 1=1 --", "1"]
)
def test_an_unknown_id_is_404(user: FlaskClient, workflow_id: str) -> None:
    for answer in (user.get(f"{SAVED}/{workflow_id}"), user.delete(f"{SAVED}/{workflow_id}")):
        assert answer.status_code == 404


def test_somebody_elses_workflow_is_unknown_and_stays_as_it_was(
    app: Flask, services: Services, user: FlaskClient, admin: FlaskClient
) -> None:
    other = new_user("bob", Role.USER, password_hash=hash_password("bob-secret"))
    services.db.write(lambda connection: insert_user(connection, other))
    bob = log_in(app, "bob")
    workflow_id = save(user)
    before = user.get(f"{SAVED}/{workflow_id}").json
    body = {"id": workflow_id, "name": "stolen", "toml_content": TEXT}
    for client in (bob, admin):
        for answer in (
            client.get(f"{SAVED}/{workflow_id}"),
            client.delete(f"{SAVED}/{workflow_id}"),
            client.post(SAVE, json=body),
            client.get(f"{SAVED}/{workflow_id}/revisions"),
        ):
            assert (answer.status_code, answer.json["error"]) == (404, answer.json["error"])
        assert client.get(SAVED).json == []
    assert user.get(f"{SAVED}/{workflow_id}").json == before


@pytest.mark.parametrize(
    ("change", "status", "word"),
    [
        ({"name": "  "}, 422, "'name'"),
        ({"name": "x" * 201}, 422, "'name'"),
        ({"name": "a\nb"}, 422, "'name'"),
        ({"name": "a\u0000b"}, 422, "'name'"),
        ({"name": 5}, 422, "'name' must be a string"),
        ({"version": "x" * 65}, 422, "'version'"),
        ({"version": 2}, 422, "'version' must be a string"),
        ({"toml_content": None}, 422, "'toml_content'"),
        ({"toml_content": "[workflow]\nname=\n"}, 400, "line 2"),
        ({"toml_content": ""}, 400, "workflow"),
    ],
)
def test_what_cannot_be_saved_says_why(
    user: FlaskClient, change: dict[str, object], status: int, word: str
) -> None:
    answer = user.post(SAVE, json={"name": "x", "toml_content": TEXT} | change)
    assert answer.status_code == status
    assert word in answer.json["detail"]
    assert user.get(SAVED).json == []


def test_markup_in_a_name_is_kept_as_text(user: FlaskClient) -> None:
    name = "<img src=x onerror=alert(1)>"
    assert user.get(f"{SAVED}/{save(user, name)}").json["name"] == name


def test_a_list_can_be_read_in_pages(user: FlaskClient) -> None:
    for number in range(5):
        save(user, str(number))
    answer = user.get(f"{SAVED}?page=2&per_page=2")
    assert [row["name"] for row in answer.json] == ["2", "1"]
    assert answer.headers["X-Total-Count"] == "5"
    assert user.get(f"{SAVED}?page=9&per_page=2").json == []
    assert user.get(f"{SAVED}?page=x").status_code == 400


def test_a_viewer_reads_but_does_not_write(viewer: FlaskClient) -> None:
    answer = viewer.post(SAVE, json={"name": "x", "toml_content": TEXT})
    assert answer.status_code == 403
    assert set(answer.json) == {"error", "detail"}
    assert viewer.get(SAVED).status_code == 200
    assert viewer.delete(f"{SAVED}/x").status_code == 403


def test_changes_are_announced_to_the_owner_and_written_down(
    user: FlaskClient, services: Services
) -> None:
    workflow_id = save(user, "mine")
    user.post(SAVE, json={"id": workflow_id, "name": "mine", "toml_content": TEXT})
    user.delete(f"{SAVED}/{workflow_id}")
    reader = services.db.read()
    events = reader.execute("SELECT type, data FROM events ORDER BY id").fetchall()
    assert [row["type"] for row in events] == ["workflow_saved"] * 2 + ["workflow_deleted"]
    assert events[2]["data"] == f'{{"id":"{workflow_id}","name":"mine"}}'
    actions = reader.execute("SELECT action FROM audit_logs ORDER BY id").fetchall()
    assert [row["action"] for row in actions] == [
        "login", "save_workflow", "update_workflow", "delete_workflow",
    ]  # fmt: skip
