"""Lists over HTTP: whole unless a page is asked for, as clients of the first API expect."""

import sqlite3
import uuid

import pytest
from flask.testing import FlaskClient

from oxoflow.db.library import Content, insert_workflow
from oxoflow.db.runs import NewRun, insert_run
from oxoflow.web.services import Services

NOW = "2026-01-01T00:00:00.000Z"
MANY = 1203


def own_id(services: Services) -> str:
    row = services.db.read().execute("SELECT id FROM users WHERE username = 'user'").fetchone()
    return str(row[0])


@pytest.fixture
def full(services: Services) -> None:
    """A library and a list of runs that are longer than any page."""
    owner = own_id(services)

    def work(connection: sqlite3.Connection) -> None:
        for _ in range(MANY):
            run = NewRun(
                id=str(uuid.uuid4()), user_id=owner, workflow_name="x", rules_total=1,
                created_at=NOW,
            )  # fmt: skip
            insert_run(connection, run)
            insert_workflow(connection, owner, str(uuid.uuid4()), Content("x", "1", "", 0), NOW)

    services.db.write(work)


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("path", ["/api/runs", "/api/workflows/saved"])
def test_a_list_is_whole_without_a_word_about_pages(user: FlaskClient, path: str) -> None:
    answer = user.get(path)
    assert len({row["id"] for row in answer.json}) == MANY
    assert answer.headers["X-Total-Count"] == str(MANY)
    assert answer.headers["X-Total-Pages"] == "1"
    assert answer.headers["X-Per-Page"] == str(MANY)


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("path", ["/api/runs", "/api/workflows/saved"])
def test_pages_together_are_the_list(user: FlaskClient, path: str) -> None:
    whole = [row["id"] for row in user.get(path).json]
    pages = [user.get(f"{path}?per_page=500&page={number}") for number in (1, 2, 3, 4)]
    assert [row["id"] for page in pages for row in page.json] == whole
    assert {page.headers["X-Total-Pages"] for page in pages} == {"3"}
    assert len(user.get(f"{path}?page=1").json) == 100
    assert len(user.get(f"{path}?per_page=5000").json) == 1000


@pytest.mark.usefixtures("full")
def test_what_one_can_start_from_is_listed_whole(user: FlaskClient) -> None:
    rows = user.get("/api/workflows").json["workflows"]
    assert sum(row["source"] == "saved" for row in rows) == MANY
