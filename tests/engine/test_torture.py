"""Kill runners, jobs or both at a hundred random moments; what comes out must not show it."""

import hashlib
import os
import random
import signal
import threading
import time

import pytest

from oxoflow.engine.identity import all_processes
from oxoflow.engine.rundir import RunDirectory
from oxoflow.engine.trees import descendants
from tests.engine.running import events, execute, processes_in, records, rule, start

SAMPLES = 25
KILLS = 25
# Each command writes slowly, in pieces, and behind what it finds: half a result would show.
PIECES = (
    "for i in 1 2 3 4; do echo piece-$i-$(cat {input} | cksum); "
    "sleep 0.0$((RANDOM % 6))1; done >> {output}"
)


def workflow() -> str:
    """25 samples, three steps, joined by fives and then all: 56 jobs and 4 more to the end."""

    def step(name: str, reads: list[str], writes: str) -> str:
        return rule(name, PIECES, input=reads, output=[writes])

    text = [step("seed", ["source"], "seed")]
    for at in range(SAMPLES):
        text.append(step(f"trim{at}", ["seed"], f"trim/{at}"))
        text.append(step(f"map{at}", [f"trim/{at}"], f"map/{at}"))
    for at in range(5):
        reads = [f"map/{number}" for number in range(at * 5, at * 5 + 5)]
        text.append(step(f"join{at}", reads, f"join/{at}"))
    text.append(step("all", [f"join/{at}" for at in range(5)], "all"))
    text.append(step("left", ["all"], "left"))
    text.append(step("right", ["all"], "right"))
    text.append(step("end", ["left", "right"], "end"))
    return "".join(text)


def contents(workdir) -> dict[str, str]:
    """Every file outside our own records, by its digest."""
    return {
        str(path.relative_to(workdir)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(workdir.rglob("*"))
        if path.is_file() and ".oxo-flow" not in path.parts and path.name != "execution.log"
    }


def known(workdir):
    """The records; none while the state file is only just being made."""
    state = RunDirectory(workdir).state
    return records(workdir) if state.exists() and state.stat().st_size > 0 else {}


def kill_something(rng: random.Random, runner) -> bool:
    """Kill the runner, some jobs, or all of it; whether the runner was hit."""
    what = rng.choice(["runner", "runner", "jobs", "both"])
    below = list(descendants([runner.pid], all_processes()))
    if what in ("jobs", "both"):
        for pid in below if what == "both" else rng.sample(below, min(1, len(below))):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
    if what in ("runner", "both"):
        runner.kill()
        return True
    return False


@pytest.mark.torture
@pytest.mark.parametrize("round_", range(4))
def test_after_many_kills_the_results_are_those_of_an_undisturbed_run(tmp_path, round_):
    rng = random.Random(round_)
    text = workflow()
    calm, rough = tmp_path / "calm/work", tmp_path / "rough/work"
    for place in (calm, rough):
        place.mkdir(parents=True)
        (place / "source").write_text("source\n")
        (place / "w.oxoflow").write_text(text)
    assert execute(calm, text).exit_code == 0

    kills, done_before, finished = 0, set(), False
    while not finished:
        runner = start(rough, text)
        moment = rng.uniform(0.1, 0.45)
        if kills < KILLS:
            began = time.monotonic()
            while runner.poll() is None and time.monotonic() < began + moment:
                threading.Event().wait(0.005)
            if runner.poll() is None:
                kills += 1
                if not kill_something(rng, runner):
                    threading.Event().wait(0.05)
                    runner.kill()
        code = runner.wait(120)
        runner.stderr.close()
        done = {job for job, record in known(rough).items() if record.status == "done"}
        assert done_before <= done, "a completed job was forgotten"
        finished = code == 0
        done_before = done
    assert contents(rough) == contents(calm)
    assert list(rough.rglob("*.oxo-failed")) == []
    assert list(rough.rglob(".*.tmp")) == []
    completed = [event.job for event in events(rough, "rule_completed")]
    assert len(completed) == len(set(completed)), "a completed job was repeated"
    assert set(completed) == set(records(rough)), "a completed job has no event"
    assert processes_in(rough) == []
    assert kills == KILLS
