"""Kill runners amid pipes, among temporary results, scratch, shadows, transforms and re-entry."""

import random

import pytest

from tests.engine.running import execute, processes_in, records, rule
from tests.engine.test_pipes import pipes_left
from tests.engine.test_torture import PIECES, contents, told
from tests.engine.test_torture_features import torment

KILLS = 20
SAMPLES = ("S2", "S3", "S4")
REPEATED = ("say", "hear", "cut")  # ends of a pipe run together, on what is deleted after them


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
    calm = tmp_path / "calm/work"
    calm.mkdir(parents=True)
    (calm / "w.oxoflow").write_text(text)
    assert execute(calm, text).exit_code == 0
    assert not (calm / "cut").exists() or not list((calm / "cut").iterdir())
    furthest, hit = told(calm) / 8, 0
    while hit < KILLS:  # a quick machine may end one before it is hit often enough
        rough = tmp_path / f"rough{hit}/work"
        rough.mkdir(parents=True)
        more = torment(rough, text, rng, KILLS - hit, furthest, REPEATED)
        assert more > 0, "it was never hit"
        hit += more
        assert contents(rough) == contents(calm)
        assert pipes_left(rough) == []
        assert list(rough.rglob("*.oxo-failed")) == []
        assert {job for job, record in records(rough).items() if record.status != "done"} == set()
        assert processes_in(rough) == []
        assert execute(rough, text).counts.succeeded == 0
