"""Revisions: every text that was saved can be read and brought back."""

from flask.testing import FlaskClient

from oxoflow.db.library import KEEP

SAVED = "/api/workflows/saved"


def text(number: int) -> str:
    return f"[workflow]\nname='w{number}'\n" + "[[rules]]\nname='r'\nshell='true'\n" * (number % 2)


def save(client: FlaskClient, number: int, workflow_id: str | None = None) -> str:
    body = {"name": f"n{number}", "version": f"{number}.0", "toml_content": text(number)}
    answer = client.post("/api/workflows/save", json=body | {"id": workflow_id})
    assert answer.status_code in (200, 201)
    return str(answer.json["id"])


def test_every_earlier_text_can_be_read(user: FlaskClient) -> None:
    workflow_id = save(user, 1)
    assert user.get(f"{SAVED}/{workflow_id}/revisions").json == {"current": 1, "revisions": []}
    save(user, 2, workflow_id)
    save(user, 3, workflow_id)
    body = user.get(f"{SAVED}/{workflow_id}/revisions").json
    assert body["current"] == 3
    assert [(row["revision"], row["name"], row["rules_count"]) for row in body["revisions"]] == [
        (2, "n2", 0),
        (1, "n1", 1),
    ]
    one = user.get(f"{SAVED}/{workflow_id}/revisions/1").json
    assert (one["version"], one["toml_content"]) == ("1.0", text(1))


def test_a_rollback_is_a_new_revision(user: FlaskClient) -> None:
    workflow_id = save(user, 1)
    save(user, 2, workflow_id)
    answer = user.post(f"{SAVED}/{workflow_id}/rollback", json={"revision": 1})
    assert answer.json == {"id": workflow_id, "status": "rolled_back", "revision": 3}
    now = user.get(f"{SAVED}/{workflow_id}").json
    assert (now["name"], now["toml_content"], now["revision"]) == ("n1", text(1), 3)
    assert user.get(f"{SAVED}/{workflow_id}/revisions/2").json["toml_content"] == text(2)


def test_the_newest_fifty_are_kept(user: FlaskClient) -> None:
    workflow_id = save(user, 1)
    for number in range(2, KEEP + 4):
        save(user, number, workflow_id)
    rows = user.get(f"{SAVED}/{workflow_id}/revisions").json["revisions"]
    assert len(rows) == KEEP
    assert user.get(f"{SAVED}/{workflow_id}/revisions/{rows[-1]['revision']}").status_code == 200
    assert user.get(f"{SAVED}/{workflow_id}/revisions/1").status_code == 404


def test_what_is_not_there_or_not_ones_own_is_404(user: FlaskClient, admin: FlaskClient) -> None:
    workflow_id = save(user, 1)
    save(user, 2, workflow_id)
    for client, place in (
        (user, f"{SAVED}/{workflow_id}/revisions/9"),
        (user, f"{SAVED}/{workflow_id}/revisions/{10**30}"),
        (user, f"{SAVED}/{workflow_id}/revisions/x"),
        (user, f"{SAVED}/x/revisions"),
        (admin, f"{SAVED}/{workflow_id}/revisions"),
        (admin, f"{SAVED}/{workflow_id}/revisions/1"),
    ):
        assert client.get(place).status_code == 404
    for client, body, status in (
        (user, {"revision": 9}, 404),
        (user, {"revision": 0}, 422),
        (user, {"revision": "1"}, 422),
        (user, {}, 422),
        (admin, {"revision": 1}, 404),
    ):
        answer = client.post(f"{SAVED}/{workflow_id}/rollback", json=body)
        assert answer.status_code == status


def test_the_quota_shows_limits_and_use(user: FlaskClient) -> None:
    body = user.get("/api/quota").json
    assert body["limits"]["running"] == 4
    assert body["limits"]["pending"] == 50
    assert body["used"] == {"running": 0, "cache_bytes": 0, "cache_results": 0}
    assert body["pending"] == 0
