"""When the answer about one run is given again as it is, and when it is made anew."""

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from oxoflow.db.runs import Run
from oxoflow.web import run_detail
from oxoflow.web.services import Services
from tests.web.conftest import MakeApp, log_in

TEXT = '[workflow]\nname = "w"\n[[rules]]\nname = "a"\nshell = "true"\n'
NEVER = 3600.0


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs that were looked up; answers are kept for longer than a test lasts."""
    found: list[str] = []
    plain: Callable[[str], Run] = vars(run_detail)["own_run"]

    def own_run(run_id: str) -> Run:
        found.append(run_id)
        return plain(run_id)

    monkeypatch.setattr(run_detail, "own_run", own_run)
    monkeypatch.setattr(run_detail, "KEPT_LIVE", NEVER)
    return found


def submit(client: FlaskClient) -> str:
    answer: Any = client.post("/api/workflows/run", json={"toml_content": TEXT}).json
    return str(answer["run_id"])


def shown(client: FlaskClient, run_id: str) -> Any:
    return client.get(f"/api/runs/{run_id}").json


def change(services: Services, run_id: str, **columns: Any) -> None:
    def work(connection: sqlite3.Connection) -> None:
        for name, value in columns.items():
            connection.execute(f"UPDATE runs SET {name} = ? WHERE id = ?", (value, run_id))

    services.db.write(work)


def test_a_live_run_is_not_looked_up_while_nothing_is_committed(
    services: Services, user: FlaskClient, looked: list[str]
) -> None:
    run_id = submit(user)
    change(services, run_id, status="running", phase="running")
    answers = [shown(user, run_id) for _ in range(3)]
    assert answers[0]["status"] == "running"
    assert answers[1:] == answers[:2]
    assert looked == [run_id]


def test_a_change_of_a_live_run_is_seen_by_the_next_request(
    services: Services, user: FlaskClient, looked: list[str]
) -> None:
    run_id = submit(user)
    change(services, run_id, status="running", phase="running")
    assert shown(user, run_id)["status"] == "running"
    change(services, run_id, phase="paused")
    assert shown(user, run_id)["phase"] == "paused"
    change(services, submit(user), error="another run")  # the row of the first stays as it is
    assert shown(user, run_id)["phase"] == "paused"
    assert len(looked) == 3
    assert shown(user, run_id)["phase"] == "paused"
    assert len(looked) == 3  # it was found unchanged, and that is remembered


@pytest.mark.parametrize("status", ["running", "success"])
def test_a_kept_answer_is_its_owners_alone(make_app: MakeApp, status: str) -> None:
    app = make_app()
    owner, other = log_in(app, "user"), log_in(app, "admin")
    run_id = submit(owner)
    change(app.extensions["oxoflow"], run_id, status=status)
    assert shown(owner, run_id)["status"] == status
    assert other.get(f"/api/runs/{run_id}").status_code == 404
    assert app.test_client().get(f"/api/runs/{run_id}").status_code == 401


def test_an_ended_session_gets_no_kept_answer(services: Services, user: FlaskClient) -> None:
    run_id = submit(user)
    change(services, run_id, status="success")
    assert user.get(f"/api/runs/{run_id}").status_code == 200
    assert user.post("/api/auth/logout").status_code == 200
    assert user.get(f"/api/runs/{run_id}").status_code == 401


def test_an_answer_made_while_a_run_was_changed_is_not_kept(
    services: Services, user: FlaskClient, looked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = submit(user)
    change(services, run_id, status="success")
    plain: Callable[..., Any] = vars(run_detail)["tail"]

    def changed_meanwhile(*arguments: Any) -> Any:
        run_detail.forget(run_id)
        return plain(*arguments)

    monkeypatch.setattr(run_detail, "tail", changed_meanwhile)
    shown(user, run_id)
    monkeypatch.setattr(run_detail, "tail", plain)
    shown(user, run_id)
    assert looked == [run_id, run_id]
    shown(user, run_id)
    assert looked == [run_id, run_id]  # and this one is


@pytest.mark.parametrize("status", ["running", "success"])
@pytest.mark.parametrize("how", ["disabled", "deleted", "revoked"])
def test_who_may_not_log_in_any_more_gets_no_kept_answer(
    make_app: MakeApp, how: str, status: str
) -> None:
    app = make_app()
    admin = log_in(app, "admin")
    made: Any = admin.post(
        "/api/users", json={"username": "ann", "password": "long enough", "role": "user"}
    ).json
    ann = log_in(app, "ann", "long enough")
    key: Any = ann.post("/api/auth/keys", json={"name": "script", "scope": "write"}).json
    script = app.test_client()
    script.environ_base["HTTP_X_API_KEY"] = key["key"]
    run_id = submit(script)
    change(app.extensions["oxoflow"], run_id, status=status)
    assert shown(script, run_id) == shown(ann, run_id)
    if how == "disabled":
        gone = admin.patch(f"/api/users/{made['id']}", json={"disabled": True})
    elif how == "deleted":
        change(app.extensions["oxoflow"], run_id, status="success")
        gone = admin.delete(f"/api/users/{made['id']}")
    else:
        gone = ann.delete(f"/api/auth/keys/{key['id']}")
    assert gone.status_code in (200, 204), gone.json
    assert script.get(f"/api/runs/{run_id}").status_code == 401
    if how != "revoked":
        assert ann.get(f"/api/runs/{run_id}").status_code == 401
