"""A sensitive value given with a submission is in nothing that the server shows or a run leaves."""

import json
import sqlite3
from typing import Any

from tests.engine.secret_search import SECRET, held_by, leaks, workflow
from tests.server_process import ServerProcess

# Kept because a queued run, and its retry, must be able to begin with it; nobody is shown it.
KEPT = ("runs", "options")


def stored(server: ServerProcess) -> dict[str, Any]:
    """Every text in the database, by table and column, without the one that must have it."""
    with sqlite3.connect(server.home / "oxoflow.db") as connection:
        tables = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master")
            if not name.startswith("sqlite_")
        ]  # fmt: skip
        found: dict[str, Any] = {}
        for table in tables:
            try:
                rows = connection.execute(f'SELECT * FROM "{table}"')
            except sqlite3.OperationalError:
                continue  # an index
            names = [column[0] for column in rows.description]
            for row in rows:
                for name, value in zip(names, row, strict=True):
                    if (table, name) != KEPT and isinstance(value, str | bytes):
                        raw = value.encode() if isinstance(value, str) else value
                        if held_by(raw):
                            found[f"{table}.{name}"] = raw
    connection.close()
    return found


def test_a_secret_is_in_nothing_that_a_run_leaves_and_the_server_answers(
    server: ServerProcess,
) -> None:
    text = "[workflow]\nname = 'w'\n" + workflow()
    body = {"toml_content": text, "config_overrides": {"key": SECRET}, "keep_going": True}
    _, answer = server.call("POST", "/api/workflows/run", body | {"dry_run": True}, user="user")
    assert "order" in json.dumps(answer)
    assert held_by(json.dumps(answer).encode()) == []
    status, answer = server.call("POST", "/api/workflows/run", body, user="user")
    assert status in (200, 201, 202), answer
    run_id = answer["run_id"]
    assert held_by(json.dumps(answer).encode()) == []
    assert server.finish(run_id)["status"] == "failed"
    assert held_by(json.dumps(server.events(run_id)).encode()) == []
    _, jobs = server.call("GET", f"/api/runs/{run_id}/jobs", user="user")
    assert {job["status"] for job in jobs} >= {"success", "failed"}
    logs = [f"jobs/{job['id']}/log?stream={way}" for job in jobs for way in ("stdout", "stderr")]
    places = ["", "/plan", "/report?format=html", "/report?format=json", "/logs", "/files", "/jobs"]
    paths = [f"/api/runs/{run_id}{place}" for place in places]
    paths += [f"/api/runs/{run_id}/{place}" for place in logs]
    paths += ["/api/runs", "/api/audit", "/metrics"]
    shown = {}
    for path in paths:
        status, answer = server.call("GET", path, user="admin" if "audit" in path else "user")
        assert status == 200, path
        raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        if held_by(raw):
            shown[path] = held_by(raw)
    assert shown == {}
    assert leaks(server.home / "workspace") == []
    assert stored(server) == {}
    status, answer = server.call("POST", f"/api/runs/{run_id}/retry", {}, user="user")
    assert status in (200, 201, 202), answer
    assert server.finish(answer["run_id"])["status"] == "failed"
    assert leaks(server.home / "workspace") == []
    others = [leak for leak in leaks(server.home.parent) if "oxoflow.db" not in leak]
    assert others == []
