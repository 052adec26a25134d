"""A sensitive value given with a submission is in nothing that the server shows or a run leaves."""

import json
import sqlite3
from pathlib import Path
from typing import Any

from tests.engine.secret_search import SECRET, held_by, leaks, workflow
from tests.patience import wait_until
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
    assert answer["status"]["status"] == "dry-run"
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


WAITING = """
[workflow]
name = "waiting"
[config]
key = { default = "", sensitive = true }
odd = "none"
[[rules]]
name = "uses"
output = ["length.txt", "odd.txt"]
envvars = { KEY = "{config.key}", ODD = "{config.odd}" }
shell = '''
touch begun; until test -e go; do sleep 0.05; done
printf %s "$KEY" | wc -c > length.txt; printf %s "$ODD" > odd.txt
'''
"""
ODD = 'it\'s "an-0ddity"\n$HOME = {x} --config=key=no \\ é'
KEY = f"{SECRET} for the process list"  # other tests show SECRET in their own processes
GIVEN = {"key": KEY, "odd": ODD}


def shown_by_the_process_list() -> dict[int, bytes]:
    """Every command line of the machine, as any account can read it."""
    found = {}
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found[int(place.parent.name)] = place.read_bytes()
        except OSError:
            continue  # it has ended
    return found


def let_it_finish(server: ServerProcess, run_id: str) -> None:
    """Look at the processes while the rule waits; then at what the run left."""
    place = server.home / "workspace/users/user/runs" / run_id
    wait_until((place / "begun").exists)
    _, detail = server.call("GET", f"/api/runs/{run_id}", user="user")
    lines = shown_by_the_process_list()
    assert run_id.encode() in lines[detail["pid"]]
    assert [line for line in lines.values() if KEY.encode() in line or b"0ddity" in line] == []
    (place / "go").touch()
    assert server.finish(run_id)["status"] == "success"
    assert (place / "length.txt").read_text().strip() == str(len(KEY))
    assert (place / "odd.txt").read_text() == ODD
    assert leaks(server.home / "workspace") == []


def test_no_process_shows_the_values_of_a_run_queued_over_a_restart_or_of_its_retry(
    server: ServerProcess,
) -> None:
    server.kill()
    server.environ["OXO_FLOW_MAX_RUNS"] = "0"
    server.start()
    run_id = server.submit(WAITING, config_overrides=GIVEN)
    _, detail = server.call("GET", f"/api/runs/{run_id}", user="user")
    assert detail["phase"] == "queued"
    server.kill()
    server.environ["OXO_FLOW_MAX_RUNS"] = "2"
    server.start()
    let_it_finish(server, run_id)
    status, plan = server.call("GET", f"/api/runs/{run_id}/plan", user="user")
    assert (status, plan["jobs"][0]["verdict"]) == (200, "skip")  # so it was asked with the values
    status, answer = server.call("POST", f"/api/runs/{run_id}/retry", {"mode": "all"}, user="user")
    assert status == 200, answer
    let_it_finish(server, answer["run_id"])
    status, answer = server.call("POST", f"/api/runs/{run_id}/clean", {}, user="user")
    assert [file["path"] for file in answer["files"]] == ["length.txt", "odd.txt"]
