"""Kill runs of temporaries, scratch, shadows, transforms and re-entry at random moments."""

import random
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from oxoflow.engine.identity import all_processes
from oxoflow.engine.reuse import Caching
from oxoflow.engine.rundir import RunDirectory
from oxoflow.engine.state import State
from tests.engine.running import events, execute, processes_in, records, rule, start
from tests.engine.test_torture import contents, kill_something, known, lives_until_told, told
from tests.patience import PATIENCE

SLOW = "sleep 0.0$((RANDOM % 4))2"
LINES = "north 3\\nsouth 1\\nnorth 2\\neast 5\\n"


def workflow(samples: int) -> str:
    """Every feature that leaves something between its jobs, twice over for each sample."""
    found = ", ".join(f'\\"F{n}\\"' for n in range(samples))
    text = ["[[sample_groups]]\nname = 'batch'\nsamples = ['F0']\n"]
    text.append(rule("source", f"{SLOW}; printf '{LINES}' > {{output}}", output=["source"]))
    text.append(
        rule(
            "find",
            f'{SLOW}; printf "[reentry]\\nsample = [{found}]\\n" > {{output}}',
            input=["source"],
            output=["found.toml"],
            checkpoint=True,
            checkpoint_manifest="found.toml",
        )
    )
    text.append(
        rule(
            "raw",
            f"for i in 1 2 3; do echo $i {{sample}}; {SLOW}; done >> {{output}}",
            input=["source"],
            output=["tmp/{sample}"],
            depends_on=["find"],
            temporary=True,
        )
    )
    text.append(
        rule(
            "scratched",
            f"sort -r {{input}} > piece; {SLOW}; cat piece piece >> {{output}}",
            input=["tmp/{sample}"],
            output=["scratched/{sample}"],
            scratch=True,
        )
    )
    for form in ("minimal", "shallow", "full"):
        text.append(
            rule(
                form,
                f"cat {{input}} > mine; echo rubbish > rubbish; {SLOW}; cat mine >> {{output}}",
                input=["scratched/{sample}"],
                output=[f"{form}/{{sample}}"],
                shadow=form,
                temp_output=[f"{form}/{{sample}}.temp", "minimal/{sample}"],
            )
        )
    text.append(
        rule(
            "joined",
            f"cat {{input}} > {{output}}.part; {SLOW}; mv {{output}}.part {{output}}",
            input=["minimal/{sample}", "shallow/{sample}", "full/{sample}"],
            output=["joined/{sample}"],
        )
    )
    text.append(
        "[[rules]]\nname = 'totals'\ninput = ['source']\noutput = ['totals']\n"
        "[rules.transform]\nsplit = { by = 'k', values = ['north', 'south', 'east'] }\n"
        f"map = 'grep {{k}} {{input}} >> {{output}}; {SLOW}'\n"
        f"combine = '{SLOW}; cat {{chunks}} >> {{output}}'\ncleanup = true\n"
    )
    return "".join(text)


def results(workdir: Path) -> dict[str, str]:
    """What came out; a draft that a killed command left beside its output is its own affair."""
    return {path: digest for path, digest in contents(workdir).items() if path[-5:] != ".part"}


def removed(workdir: Path) -> set[str]:
    return {job for job, record in records(workdir).items() if record.removed}


def grown(workdir: Path) -> str | None:
    state = State.view(RunDirectory(workdir).state)
    try:
        return state.meta("reentries")
    finally:
        state.close()


def torment(
    place: Path,
    text: str,
    rng: random.Random,
    kills: int,
    furthest: float,
    repeated: tuple[str, ...] = (),
    **environment: str,
) -> int:
    """Kill and start again until it is through; how often something was killed.

    The moment is soon after a run has told of at most `furthest` bytes, however fast it is. Jobs
    whose names begin with one of `repeated` may have to be done again.
    """
    hit, done_before, code = 0, set(), None
    while code != 0:
        size = told(place) + rng.uniform(0, furthest)
        runner = start(place, text, **environment)
        is_hit = hit < kills and lives_until_told(runner, place, size, rng)
        if is_hit:
            hit += 1
            if not kill_something(rng, runner):
                runner.kill()
        code = runner.wait(PATIENCE)
        assert is_hit or code == 0, runner.stderr.read()
        runner.stderr.close()
        done = {job for job, record in known(place).items() if record.status == "done"}
        lost = {job for job in done_before - done if not job.startswith(repeated)}
        assert lost == set(), "a completed job was forgotten"
        done_before = done
    return hit


def check(tmp_path: Path, seed: int, samples: int, kills: int, *, shared: bool = False) -> None:
    text = workflow(samples)
    calm = tmp_path / "calm/work"
    calm.mkdir(parents=True)
    (calm / "w.oxoflow").write_text(text)
    cache = tmp_path / "cache"
    caching = Caching(cache) if shared else None
    undisturbed = execute(calm, text, slots=4, cache=caching)
    assert undisturbed.exit_code == 0
    environment = {"SHARED_CACHE": str(cache)} if shared else {}
    # what is taken from a cache is there at once
    furthest = 0 if shared else 0.7 * told(calm)
    rng, hit = random.Random(seed), 0
    while not hit:  # a quick machine may end one before it is hit
        rough = Path(tempfile.mkdtemp(dir=tmp_path)) / "work"
        rough.mkdir()
        hit = torment(rough, text, rng, kills, furthest, **environment)
        assert_nothing_shows(rough, calm, shared)


def assert_nothing_shows(rough: Path, calm: Path, shared: bool) -> None:
    assert results(rough) == results(calm)
    assert set(records(rough)) == set(records(calm))
    assert removed(rough) == removed(calm) != set()
    assert grown(rough) == grown(calm)
    for name in ("scratch", "chunks", "scripts"):
        assert list((rough / ".oxo-flow" / name).rglob("*")) == [], "something temporary was left"
    for pattern in ("*.oxo-failed", "*.oxo-part", ".*.tmp", "rubbish", "mine", "piece"):
        assert list(rough.rglob(pattern)) == []
    completed = Counter(event.job for event in events(rough, "rule_completed"))
    again = {job for job, times in completed.items() if times > 1}
    assert again <= removed(rough), "a completed job was repeated without need"
    taken = {event.job for event in events(rough, "rule_skipped") if "reused_from" in event.data}
    assert set(completed) | taken == set(records(rough)), "a completed job has no event"
    assert bool(taken) is shared
    assert processes_in(rough) == []
    marker = f"OXORUN_ID={RunDirectory(rough).read_run().run_id}".encode()
    assert not [pid for pid in all_processes() if _has(pid, marker)]


def _has(pid: int, marker: bytes) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as handle:
            return marker in handle.read()
    except OSError:
        return False


def test_a_few_kills_do_not_show(tmp_path):
    check(tmp_path, seed=1, samples=2, kills=3)


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(20, 23))
def test_kills_while_results_are_left_and_taken_do_not_show(tmp_path, seed):
    check(tmp_path, seed, samples=5, kills=8, shared=True)


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(10, 16))
def test_many_kills_do_not_show(tmp_path, seed):
    check(tmp_path, seed, samples=5, kills=20)
