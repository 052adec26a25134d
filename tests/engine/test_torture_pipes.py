"""Kill runners amid pipes, among temporary results, scratch, shadows, transforms and re-entry."""

import random
import threading
import time

import pytest

from tests.engine.running import execute, processes_in, records, rule, start
from tests.engine.test_pipes import pipes_left
from tests.engine.test_torture import PIECES, contents, kill_something, known

KILLS = 20
SAMPLES = ("S2", "S3", "S4")


def workflow() -> str:
    """A checkpoint that brings three samples, and for each one of everything."""
    listed = ", ".join(f'"{name}"' for name in SAMPLES)
    split = "{ by = 'k', values = ['1', '2', '3'] }"
    combine = "{ aggregate = true }"
    mapping = "sleep 0.05; grep {k} {input} > {output} || true"
    return (
        "[[sample_groups]]\nname = 'g'\nsamples = ['S1']\n"
        + rule("source", PIECES.replace(" {input}", " /dev/null"), output=["source"])
        + rule(
            "find",
            f"sleep 0.1; printf '[reentry]\\nsample = [{listed}]\\n' > {{output}}",
            input=["source"],
            output=["found.toml"],
            checkpoint=True,
            checkpoint_manifest="found.toml",
        )
        + rule("cut", PIECES, input=["source"], output=["cut/{sample}"], temporary=True)
        + rule("say", PIECES, input=["cut/{sample}"], output=["said/{sample}"], pipe=True)
        + rule(
            "hear",
            "while read line; do echo heard $line; sleep 0.02; done < {input} > {output}",
            input=["said/{sample}"],
            output=["heard/{sample}"],
        )
        + rule("in_scratch", PIECES, input=["cut/{sample}"], output=["sc/{sample}"], scratch=True)
        + rule("in_shadow", PIECES, input=["source"], output=["shadowed"], shadow="shallow")
        + "[[rules]]\nname = 'parts'\ninput = ['source']\noutput = ['parts.txt']\n"
        + f"transform = {{ split = {split}, map = '{mapping}', combine = {combine}, "
        + "cleanup = true }\n"
        + rule("all", "cat {input} > {output}", input=["heard/*", "sc/*"], output=["all"])
    )


@pytest.mark.torture
@pytest.mark.parametrize("round_", range(3))
def test_after_many_kills_nothing_shows_that_there_were_any(tmp_path, round_):
    rng = random.Random(round_)
    text = workflow()
    calm, rough = tmp_path / "calm/work", tmp_path / "rough/work"
    for place in (calm, rough):
        place.mkdir(parents=True)
        (place / "w.oxoflow").write_text(text)
    assert execute(calm, text).exit_code == 0
    assert not (calm / "cut").exists() or not list((calm / "cut").iterdir())

    kills, done_before, finished = 0, set(), False
    while not finished:
        runner = start(rough, text)
        began, moment = time.monotonic(), rng.uniform(0.3, 1.1)
        while kills < KILLS and runner.poll() is None:
            if time.monotonic() > began + moment:
                kills += 1
                if not kill_something(rng, runner):
                    threading.Event().wait(0.05)
                    runner.kill()
                break
            threading.Event().wait(0.005)
        finished = runner.wait(120) == 0
        runner.stderr.close()
        done = {job for job, record in known(rough).items() if record.status == "done"}
        lost = {job for job in done_before - done if not job.startswith(("say", "hear", "cut"))}
        assert lost == set(), "a completed job was forgotten"
        done_before = done
    assert contents(rough) == contents(calm)
    assert pipes_left(rough) == []
    assert list(rough.rglob("*.oxo-failed")) == []
    assert {job for job, record in records(rough).items() if record.status != "done"} == set()
    assert processes_in(rough) == []
    assert execute(rough, text).counts.succeeded == 0
