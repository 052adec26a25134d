"""The audit log: who did what, unchangeable, and provably so."""

import sqlite3

import pytest
from flask.testing import FlaskClient

import app as application
from oxoflow.db.audit import Deed, append_deed
from oxoflow.web.housekeeping import Housekeeper
from oxoflow.web.services import Services
from tests.patience import wait_until

SAVE = {"name": "x", "toml_content": "[workflow]\nname='x'"}


def test_deeds_are_listed_newest_first_with_who_and_where(
    admin: FlaskClient, user: FlaskClient
) -> None:
    answer = user.post("/api/workflows/save", json=SAVE)
    body = admin.get("/api/audit").json
    assert body["days"] == 7
    assert [row["action"] for row in body["entries"]] == ["save_workflow", "login", "login"]
    row = body["entries"][0]
    assert row["user"] == "user"
    assert answer.json["id"] in row["resource"]
    assert row["result"] == "success"
    assert row["address"] == "127.0.0.1"
    assert row["request_id"] == answer.headers["x-request-id"]


def test_failed_logins_are_written_down_without_the_password(
    admin: FlaskClient, client: FlaskClient
) -> None:
    name = "x" * 500 + "\n<b>"
    client.post("/api/auth/login", json={"username": name, "password": "typed-by-mistake"})
    row = admin.get("/api/audit").json["entries"][0]
    assert (row["action"], row["result"], row["user"]) == ("login_failed", "failure", None)
    assert len(row["resource"]) <= 200
    assert "typed-by-mistake" not in admin.get("/api/audit").text


def test_a_listing_is_limited_and_continued(admin: FlaskClient, user: FlaskClient) -> None:
    for _ in range(4):
        user.post("/api/workflows/save", json=SAVE)
    first = admin.get("/api/audit?limit=3&days=99").json
    assert (len(first["entries"]), first["days"]) == (3, 30)
    last = first["entries"][-1]["id"]
    rest = admin.get(f"/api/audit?limit=99&before={last}").json["entries"]
    assert len(rest) == 3
    assert all(row["id"] < last for row in rest)
    assert admin.get("/api/audit?days=x").status_code == 400


def test_rows_can_be_neither_changed_nor_deleted(admin: FlaskClient, services: Services) -> None:
    for statement in ("UPDATE audit_logs SET action = 'x'", "DELETE FROM audit_logs"):
        with pytest.raises(sqlite3.IntegrityError, match="audit rows are never"):
            services.db.write(lambda connection, text=statement: connection.execute(text))


def test_a_deed_that_was_rolled_back_leaves_no_gap(admin: FlaskClient, services: Services) -> None:
    def fails(connection: sqlite3.Connection) -> None:
        append_deed(connection, Deed("save_workflow", "never"), "2026-01-01T00:00:00.000Z")
        raise LookupError

    waiting = [services.db.submit(fails) for _ in range(3)]
    admin.post("/api/workflows/save", json=SAVE)
    assert [type(each.exception()) for each in waiting] == [LookupError] * 3
    assert admin.get("/api/audit/verify").json["intact"] is True


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE audit_logs SET target = 'somebody else' WHERE id = 2",
        "UPDATE audit_logs SET timestamp = '2020' WHERE id = 2",
        "DELETE FROM audit_logs WHERE id = 2",
        "DELETE FROM audit_logs WHERE id > 2",
        "DELETE FROM audit_logs",
        "UPDATE audit_logs SET id = 9 WHERE id = 3",
        "UPDATE audit_logs SET hash = 'x' WHERE id = 2",
    ],
)
def test_a_change_behind_the_servers_back_is_found(
    admin: FlaskClient,
    user: FlaskClient,
    services: Services,
    capsys: pytest.CaptureFixture[str],
    damage: str,
) -> None:
    user.post("/api/workflows/save", json=SAVE)
    user.post("/api/auth/logout")
    whole = admin.get("/api/audit/verify").json
    assert (whole["intact"], whole["rows"], whole["broken_at"]) == (True, 4, None)
    command = ["audit-verify", "--home", str(services.settings.home)]
    assert application.main(command) == 0
    assert whole["last_hash"] in capsys.readouterr().out
    other = sqlite3.connect(services.settings.database, isolation_level=None)
    for name in ("audit_logs_keep", "audit_logs_stay"):
        other.execute(f"DROP TRIGGER {name}")
    other.execute(damage)
    other.close()
    found = admin.get("/api/audit/verify").json
    assert found["intact"] is False
    assert found["broken_at"] in (1, 2, 3)
    assert application.main(command) == 1
    assert f"row {found['broken_at']}" in capsys.readouterr().out


def test_a_noted_hash_shows_that_an_older_file_was_put_back(
    admin: FlaskClient, user: FlaskClient, services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["audit-verify", "--home", str(services.settings.home)]
    older = admin.get("/api/audit/verify").json["last_hash"]
    user.post("/api/workflows/save", json=SAVE)
    newest = admin.get("/api/audit/verify").json["last_hash"]
    for noted in (older, newest):
        found = admin.get(f"/api/audit/verify?head={noted}").json
        assert (found["intact"], found["head_found"]) == (True, True)
        assert application.main([*command, noted]) == 0
    other = sqlite3.connect(services.settings.database, isolation_level=None)
    other.execute("DROP TRIGGER audit_logs_stay")  # somebody who thinks of everything
    other.execute("DELETE FROM audit_logs WHERE id > 2")
    other.execute("UPDATE sqlite_sequence SET seq = 2 WHERE name = 'audit_logs'")
    other.close()
    assert admin.get("/api/audit/verify").json["intact"] is True
    assert admin.get(f"/api/audit/verify?head={older}").json["intact"] is True
    found = admin.get(f"/api/audit/verify?head={newest}").json
    assert (found["intact"], found["head_found"], found["broken_at"]) == (False, False, None)
    capsys.readouterr()
    assert application.main([*command, newest]) == 1
    assert newest in capsys.readouterr().out
    for wrong in ("x", newest[:-1], newest.upper()):
        assert admin.get(f"/api/audit/verify?head={wrong}").status_code == 400
        assert application.main([*command, wrong]) == 2


def test_the_servers_log_tells_the_last_hash_so_that_it_is_noted_elsewhere(
    user: FlaskClient,
    admin: FlaskClient,
    services: Services,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "oxoflow")
    last = admin.get("/api/audit/verify").json["last_hash"]
    keeper = Housekeeper(services)
    keeper.start()
    wait_until(lambda: caplog.messages)
    keeper.stop()
    assert caplog.messages == [f"the audit log has 2 rows, the last hash is {last}"]


def test_verifying_a_home_without_a_database_is_one_sentence(
    tmp_path: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert application.main(["audit-verify", "--home", f"{tmp_path}/none"]) == 2
    assert "cannot be read" in capsys.readouterr().err
