"""Two users on one machine: a run that has all of it lends to whoever has nothing."""

from pathlib import Path
from typing import Any

from tests.patience import wait_until
from tests.server_process import ServerProcess
from tests.web.test_server_runs import (
    CORES,
    detail,
    directory,
    one_rule,
    rows,
    several_at_a_time,
)

JOB = """
[[rules]]
name = "job{n}"
output = ["{n}.out"]
shell = "touch begun{n}; while [ ! -e go{n} ]; do sleep 0.05; done; touch {n}.out"
"""


def many_jobs(number: int) -> str:
    jobs = "".join(JOB.replace("{n}", str(n)) for n in range(number))
    return f'[workflow]\nname = "many"\n{jobs}'


def begun(place: Path) -> set[int]:
    return {int(file.name[5:]) for file in place.glob("begun*")}


def threads(server: ServerProcess, run_id: str) -> Any:
    return rows(server, f"SELECT threads FROM runs WHERE id = '{run_id}'")[0][0]


@several_at_a_time
def test_a_run_with_the_whole_machine_makes_room_for_another_user(server: ServerProcess) -> None:
    whole = server.submit(many_jobs(CORES + 2))
    place = directory(server, whole)
    wait_until(lambda: len(begun(place)) == CORES)
    assert threads(server, whole) == CORES
    wait_until(lambda: detail(server, whole)["phase"] == "running")
    small = server.submit(one_rule("while [ ! -e go ]; do sleep 0.05; done"), user="admin")
    waits = f"SELECT 1 FROM events WHERE type = 'run_queued' AND run_id = '{small}'"
    wait_until(lambda: rows(server, waits))  # before that, the first was told to make room
    wait_until(lambda: not list((place / ".oxo-flow/control").glob("*.json")))  # and has heard it
    keeps = CORES - CORES // 2
    for number in sorted(begun(place))[: CORES // 2]:
        (place / f"go{number}").touch()
    other = directory(server, small, "admin")
    wait_until(lambda: (other / ".oxo-flow/run.json").exists())
    assert threads(server, whole) == keeps
    assert threads(server, small) == CORES // 2
    assert len(begun(place)) == CORES  # nothing was begun in place of what ended
    (other / "go").touch()
    server.finish(small, "admin")
    wait_until(lambda: len(begun(place)) > CORES)  # it has the machine again
    assert threads(server, whole) == CORES
    for number in range(CORES + 2):
        (place / f"go{number}").touch()
    assert server.finish(whole)["status"] == "success"
    assert detail(server, whole)["threads"] == CORES
