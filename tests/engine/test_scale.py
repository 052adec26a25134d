"""Begin a hundred thousand jobs and change one's mind: records stay small, whole and true."""

import signal
import subprocess
from pathlib import Path

import pytest

from oxoflow.engine.rundir import RunDirectory
from tests.engine.running import events, processes_in, records, start

JOBS = 100_000
NAMES = [f"v{number}" for number in range(JOBS // 2)]
FANNED = f"""
[[values]]
name = "item"
values = {NAMES!r}

[[rules]]
name = "make"
output = ["out/{{item}}"]
shell = "echo {{item}} > {{output}}"

[[rules]]
name = "use"
input = ["out/{{item}}"]
output = ["used/{{item}}"]
shell = "cat {{input}} > {{output}}"
"""


def peak_kilobytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


@pytest.mark.torture
def test_a_hundred_thousand_jobs_are_begun_and_cancelled_with_small_and_true_records(tmp_path):
    run = start(tmp_path, FANNED)
    while not (tmp_path / "out" / "v99").exists():
        with pytest.raises(subprocess.TimeoutExpired):
            run.wait(0.1)  # it is still at work
    peak = peak_kilobytes(run.pid)
    run.send_signal(signal.SIGINT)
    _, said = run.communicate()

    assert run.returncode == 130, said
    assert not processes_in(tmp_path)
    names = [f"{rule}_item_{name}" for rule in ("make", "use") for name in NAMES]
    planned = [row[0] for each in events(tmp_path, "jobs_planned") for row in each.data["jobs"]]
    assert planned == names
    known = records(tmp_path)
    assert known.keys() == set(names)
    done = {name for name, record in known.items() if record.status == "done"}
    assert done == {each.job for each in events(tmp_path, "rule_completed")}
    assert len(done) >= 98  # what is being made while v99 is
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert made == {name.removeprefix("make_item_") for name in done}
    assert {record.status for record in known.values()} <= {"done", "planned", "failed"}
    assert peak < JOBS * 4, "kilobytes of memory"
    place = RunDirectory(tmp_path)
    assert place.events.stat().st_size < JOBS * 100
    assert place.state.stat().st_size < JOBS * 150
