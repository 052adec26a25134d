"""Results shared between the runs of one user on a real server, and never with another's."""

import json
from typing import Any

import pytest

from tests.patience import wait_until
from tests.server_process import ServerProcess

FLOW = """
[workflow]
name = "shared"
[[rules]]
name = "dear"
input = ["in.txt"]
output = ["dear.txt"]
shell = "cat {input} > {output}; cat /proc/sys/kernel/random/uuid >> {output}"
[[rules]]
name = "own"
input = ["in.txt"]
output = ["own.txt"]
cache = false
shell = "cat /proc/sys/kernel/random/uuid > {output}"
"""
FILES = {"in.txt": "in\n"}


def run(server: ServerProcess, user: str = "user", **more: Any) -> str:
    """Run the workflow to its end."""
    run_id = server.submit(FLOW, user, **{"files": FILES} | more)
    assert server.finish(run_id, user)["status"] == "success"
    return run_id


def result(server: ServerProcess, run_id: str, name: str = "dear.txt", user: str = "user") -> bytes:
    status, data = server.call("GET", f"/api/runs/{run_id}/files/{name}", user=user)
    assert status == 200, data
    return data  # type: ignore[no-any-return]


def job(server: ServerProcess, run_id: str, name: str, user: str = "user") -> dict[str, Any]:
    _, jobs = server.call("GET", f"/api/runs/{run_id}/jobs", user=user)
    return next(each for each in jobs if each["job"] == name)


def test_a_user_s_run_takes_what_an_earlier_one_of_his_computed_and_says_so(
    server: ServerProcess,
) -> None:
    first, second = run(server), run(server)
    assert result(server, first) == result(server, second)
    assert result(server, first, "own.txt") != result(server, second, "own.txt")
    told = job(server, second, "dear")
    assert (told["status"], told["reason"]) == ("skipped", f"reused from run {first}, by copy")
    (event,) = [each for each in server.events(second) if each["type"] == "rule_skipped"]
    assert event["data"]["reused_from"] == first
    _, log = server.call("GET", f"/api/runs/{second}/logs", user="user")
    assert f"reused from run {first}".encode() in log
    directory = server.home / "workspace/users/user/runs" / second
    (directory / "dear.txt").unlink()
    _, plan = server.call("GET", f"/api/runs/{second}/plan", user="user")
    reasons = [each["reasons"] for each in plan["jobs"] if each["job"] == "dear"]
    assert reasons[0][0] == {"part": "cache", "old": None, "new": f"run {first}"}


@pytest.mark.parametrize("other", ["admin", "another"])
def test_nobody_is_given_what_somebody_else_computed(server: ServerProcess, other: str) -> None:
    if other == "another":
        account = {"username": other, "password": f"{other}-secret", "role": "user"}
        status, answer = server.call("POST", "/api/users", account, user="admin")
        assert status == 201, answer
    mine, theirs = run(server), run(server, other)
    assert result(server, mine) != result(server, theirs, user=other)
    assert job(server, theirs, "dear", other)["status"] == "success"
    assert result(server, run(server, other), user=other) == result(server, theirs, user=other)


def test_a_run_may_ask_to_compute_everything_itself(server: ServerProcess) -> None:
    first = run(server)
    assert result(server, run(server, no_cache=True)) != result(server, first)
    status, again = server.call("POST", f"/api/runs/{first}/retry", {"mode": "all"}, user="user")
    assert status == 200, again
    assert server.finish(again["run_id"])["status"] == "success"
    assert result(server, again["run_id"]) != result(server, first)
    assert result(server, run(server)) == result(server, first)


def test_a_spoilt_result_is_computed_and_a_deleted_run_is_not_missed(
    server: ServerProcess,
) -> None:
    first = run(server)
    made = result(server, first)
    status, _ = server.call("DELETE", f"/api/runs/{first}?purge=1", user="user")
    assert status == 200
    assert result(server, run(server)) == made
    objects = server.home / "workspace/users/user/cache/objects"
    for path in objects.rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(b"x" * path.stat().st_size)
    third = run(server)
    assert result(server, third) not in (made, b"x" * len(made))
    assert job(server, third, "dear")["status"] == "success"


def test_what_is_kept_is_counted_bounded_and_can_be_forgotten(server: ServerProcess) -> None:
    run(server)
    _, quota = server.call("GET", "/api/quota", user="user")
    assert quota["limits"]["cache_bytes"] == 50 * 1024**3
    assert quota["used"] == {"running": 0, "cache_bytes": 8192, "cache_results": 1}
    place = server.home / "workspace/users/user/cache"
    assert place.stat().st_mode & 0o777 == 0o700
    status, answer = server.call("DELETE", "/api/cache", user="user")
    assert (status, answer) == (200, {"status": "deleted"})
    assert not place.exists()
    _, quota = server.call("GET", "/api/quota", user="user")
    assert quota["used"]["cache_bytes"] == 0
    run(server)
    assert place.exists()
    server.stop()
    server.environ["OXO_FLOW_CACHE_SIZE"] = "0"
    server.start()
    wait_until(lambda: not list(place.glob("entries/*/*")))
    assert not list(place.glob("objects/*/*"))
    run(server)
    assert json.loads((place / "use.json").read_text())["results"] == 0
