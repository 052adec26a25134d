"""Every event of the catalogue as clients get it, key by key (spec/oxo-flow-api.md 2.2)."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.server_process import ServerProcess
from tests.web.streaming import Reader
from tests.web.test_server_runs import GATE, directory, follow, one_rule, reached

KEYS = {
    "heartbeat": set(),
    "run_started": {"run_id", "workflow_name", "username", "status", "started_at"},
    "run_completed": {"run_id", "status", "finished_at", "duration_secs"},
    "run_failed": {"run_id", "status", "finished_at", "exit_code", "error"},
    "run_cancelled": {"run_id", "status", "cancelled_at"},
    "run_queued": {"run_id", "position", "reason"},
    "rule_started": {"run_id", "rule", "job"},
    "rule_completed": {"run_id", "rule", "job", "exit_code", "duration_secs"},
    "rule_failed": {"run_id", "rule", "job", "exit_code", "duration_secs", "error"},
    "rule_skipped": {"run_id", "rule", "job", "reason"},
    "workflow_saved": {"id", "name"},
    "workflow_deleted": {"id", "name"},
}
STATUS = {
    "run_started": "running", "run_completed": "success", "run_failed": "failed",
    "run_cancelled": "cancelled",
}  # fmt: skip
FAILS = """
[workflow]
name = "fails"
[[rules]]
name = "off"
when = "false"
output = ["off.txt"]
shell = "touch off.txt"
[[rules]]
name = "bad"
output = ["bad.txt"]
shell = "exit 3"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path_factory.mktemp("shapes") / "home", MAX_RUNS="1")
    try:
        yield process.start()
    finally:
        process.clean_up()


def until(reader: Reader, *types: str) -> list[dict[str, str]]:
    """The frames up to the one with the last of these types."""
    wanted, frames = list(types), []
    for frame in reader.blocks():
        frames.append(frame)
        if wanted and f'"type": "{wanted[0]}"' in frame.get("data", ""):
            wanted.pop(0)
        if not wanted:
            break
    return frames


def bodies(frames: list[dict[str, str]]) -> list[dict[str, Any]]:
    found = [json.loads(frame["data"]) for frame in frames if "data" in frame]
    assert all(isinstance(body, dict) for body in found)
    return found


def cause_everything(server: ServerProcess) -> None:
    """One of each: saved, deleted, a success, a failure with a skipped rule, a cancel, a wait."""
    body = {"name": "n", "toml_content": "[workflow]\nname = 'x'"}
    saved = server.call("POST", "/api/workflows/save", body, user="user")[1]["id"]
    server.call("DELETE", f"/api/workflows/saved/{saved}", user="user")
    first = server.submit(one_rule(f"{GATE}; touch out.txt"))
    reached(server, first, "only")
    waits = server.submit(one_rule("sleep 600"))
    (directory(server, first) / "go").touch()
    server.finish(first)
    reached(server, waits, "only")
    server.call("DELETE", f"/api/runs/{waits}", user="user")
    server.finish(server.submit(FAILS))


def test_every_event_has_its_keys_and_every_frame_its_form(server: ServerProcess) -> None:
    plain, named = follow(server, "/api/events"), follow(server, "/api/events?named=1")
    cause_everything(server)
    ends = ("run_completed", "run_cancelled", "run_failed")
    frames, others = until(plain, *ends), until(named, *ends)
    assert frames[0] == {"retry": "3000"}
    numbers = []
    for frame, body in zip(frames[1:], bodies(frames), strict=True):
        if body["type"] == "heartbeat":
            assert set(frame) == {"data"}
            assert (set(body), body["data"]) == ({"type", "time", "data"}, {})
            continue
        assert set(frame) == {"id", "data"}
        assert set(body) == {"type", "time", "user", "data"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", body["time"])
        numbers.append(int(frame["id"]))
        if body["type"] in KEYS:
            assert KEYS[body["type"]] <= set(body["data"]), body
        assert body["data"].get("status") == STATUS.get(body["type"], body["data"].get("status"))
    assert numbers == sorted(set(numbers))
    assert set(KEYS) <= {body["type"] for body in bodies(frames)}
    assert len({body["user"] for body in bodies(frames) if "user" in body}) == 1
    for frame, body in zip(others[1:], bodies(others), strict=True):
        assert frame["event"] == body["type"]
    known = [frame for frame in frames if "id" in frame]
    assert [frame["data"] for frame in others if "id" in frame] == [f["data"] for f in known]
    for reader in (plain, named):
        reader.close()
    middle = known[len(known) // 2]["id"]
    for again in (
        follow(server, "/api/events", Last_Event_ID=middle),
        follow(server, f"/api/events?last_event_id={middle}"),
    ):
        replayed = [frame for frame in until(again, "run_failed") if "id" in frame]
        assert replayed == known[len(known) // 2 + 1 :]
        again.close()


def test_a_second_user_is_next_however_many_runs_the_first_has_waiting(
    server: ServerProcess,
) -> None:
    first = server.submit(one_rule(f"{GATE}; echo first > out.txt"))
    reached(server, first, "only")
    own = [server.submit(one_rule(f"echo {number} > out.txt")) for number in range(3)]
    other = server.submit(one_rule("touch out.txt"), user="admin")
    places = [queue(server, run_id, "user")["position"] for run_id in own]
    assert (queue(server, other, "admin")["position"], places) == (1, [2, 3, 4])
    assert "live" in queue(server, other, "admin")["reason"]
    (directory(server, first) / "go").touch()
    ends = [server.finish(run_id) for run_id in own]
    assert server.finish(other, "admin")["started_at"] < ends[0]["started_at"]


def queue(server: ServerProcess, run_id: str, user: str) -> dict[str, Any]:
    """Where a run waits, and for what."""
    found: dict[str, Any] = server.call("GET", f"/api/runs/{run_id}", user=user)[1]["queue"]
    return found
