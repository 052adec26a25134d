"""Kill runners, jobs or both at a hundred random moments; what comes out must not show it."""

import contextlib
import hashlib
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter

import pytest

from oxoflow.engine.identity import all_processes
from oxoflow.engine.rundir import RunDirectory
from oxoflow.engine.trees import descendants
from tests.engine.running import cmdline, events, execute, processes_in, records, rule, start
from tests.patience import PATIENCE

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


def names(directory) -> set[str]:
    """What is there, but for SQLite's side files, which readers leave behind as well."""
    found = {str(path.relative_to(directory)) for path in directory.rglob("*")}
    return found - {"state.sqlite-shm", "state.sqlite-wal"}


def known(workdir):
    """The records; none while the state file is only just being made."""
    state = RunDirectory(workdir).state
    return records(workdir) if state.exists() and state.stat().st_size > 0 else {}


def kill_something(rng: random.Random, runner) -> str:
    """Kill the runner, a whole job, or all of it; what was hit, or nothing."""
    what = rng.choice(["runner", "job", "both"])
    if what == "job":
        while not (jobs := jobs_of(runner)) and runner.poll() is None:
            threading.Event().wait(0.005)
        if not jobs:
            return ""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(rng.choice(jobs), signal.SIGKILL)
        return what
    for pid in descendants([runner.pid], all_processes()) if what == "both" else ():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)  # its watchdog is among them
    runner.kill()
    return what


def jobs_of(runner) -> list[int]:
    """The leaders of the jobs that are at work."""
    family = descendants([runner.pid], all_processes()).values()
    leaders = [stat.pid for stat in family if stat.pid == stat.session]
    return [pid for pid in leaders if b"piece-" in cmdline(pid)]


def told(place) -> int:
    """How many bytes of events the runs in a directory have written."""
    path = RunDirectory(place).events
    return path.stat().st_size if path.exists() else 0


def lives_until_told(runner, place, size: float, rng: random.Random) -> bool:
    """Wait until there are more bytes of events than `size`, and a moment; False if it ended.

    What a run has come to by then does not depend on how fast the machine is.
    """
    end = None
    while runner.poll() is None:
        if end is None and told(place) > size:
            end = time.monotonic() + rng.uniform(0, 0.01)
        if end is not None and time.monotonic() >= end:
            return True
        time.sleep(0.002)
    return False


def lives_for(runner, seconds: float) -> bool:
    """Wait so long, for what happens before a run says anything; False if it ended."""
    try:
        runner.wait(seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


def torment(place, text: str, rng: random.Random, kills: int, furthest: float) -> Counter:
    """Start, kill and start again until the run is whole; what was hit, at most `kills` times.

    Each is killed before it has told of more than `furthest` bytes.
    """
    hits, done_before, code = Counter(), set(), 1
    while code != 0:
        size, hit = told(place) + rng.uniform(0, furthest), ""
        runner = start(place, text)
        if hits.total() < kills:
            early = rng.random() < 0.2
            lives = lives_for(runner, rng.uniform(0, 0.4)) if early else True
            lives = lives and (early or lives_until_told(runner, place, size, rng))
            hit = kill_something(rng, runner) if lives else ""
            hits.update([hit] if hit else [])
        code = runner.wait(PATIENCE)
        assert hit or code == 0, runner.stderr.read()
        runner.stderr.close()
        done = {job for job, record in known(place).items() if record.status == "done"}
        assert done_before <= done, "a completed job was forgotten"
        done_before = done
    return hits


def assert_nothing_shows(rough, calm) -> None:
    assert contents(rough) == contents(calm)
    assert list(rough.rglob("*.oxo-failed")) == []
    assert names(rough / ".oxo-flow") == names(calm / ".oxo-flow"), "something temporary is left"
    completed = [event.job for event in events(rough, "rule_completed")]
    assert len(completed) == len(set(completed)), "a completed job was repeated"
    assert set(completed) == set(records(rough)), "a completed job has no event"
    assert processes_in(rough) == []


def prepared(place, text: str):
    place.mkdir(parents=True)
    (place / "source").write_text("source\n")
    (place / "w.oxoflow").write_text(text)
    return place


@pytest.mark.torture
@pytest.mark.parametrize("round_", range(4))
def test_after_many_kills_the_results_are_those_of_an_undisturbed_run(tmp_path, round_):
    """A quick machine may end a run before it was hit often enough: then another one is hit."""
    rng = random.Random(round_)
    text = workflow()
    calm = prepared(tmp_path / "calm/work", text)
    assert execute(calm, text).exit_code == 0
    furthest = told(calm) / 12

    hits = Counter()
    while hits.total() < KILLS or set(hits) != {"runner", "job", "both"}:
        rough = prepared(tmp_path / f"rough{hits.total()}/work", text)
        more = torment(rough, text, rng, max(KILLS - hits.total(), 1), furthest)
        assert more, "a run of sixty jobs was never hit"
        assert_nothing_shows(rough, calm)
        hits += more
