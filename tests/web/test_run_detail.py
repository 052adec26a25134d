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
