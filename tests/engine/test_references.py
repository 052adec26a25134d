"""References are built before what uses them, once on the machine, and again when they changed."""

import json
import os
import subprocess
import sys

import pytest

from oxoflow.engine.plan import PlanOptions
from oxoflow.engine.rundir import RunDirectory
from tests.engine.running import ROOT, events, execute, rule
from tests.engine.several import run_at_once

BUILD = "echo built >> count; cat {input} > {output}"


def flow(place: str = "ref/g.idx", build: str = BUILD, rules: str | None = None) -> str:
    use = rule("use", "cat {config.g} > used", output=["used"])
    return (
        f"[[references]]\nname = 'g'\nsource = 'g.fa'\noutput = '{place}'\nbuild = '''{build}'''\n"
        + (use if rules is None else rules)
    )


def started(workdir) -> list[str]:
    found = events(workdir)
    last = max(at for at, event in enumerate(found) if event.type == "run_started")
    return [event.job for event in found[last:] if event.type == "rule_started"]


@pytest.fixture
def work(tmp_path):
    place = tmp_path / "work"
    place.mkdir()
    (place / "g.fa").write_text("ACGT\n")
    return place


def test_a_reference_is_built_first_and_only_when_its_source_changes(work, tmp_path):
    environ = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    assert execute(work, flow(), environ=environ).exit_code == 0
    assert started(work) == ["reference:g", "use"]
    assert (work / "used").read_text() == "ACGT\n"
    assert execute(work, flow(), environ=environ).exit_code == 0
    assert started(work) == []
    (work / "g.fa").write_text("GGGG\n")
    assert execute(work, flow(), environ=environ).exit_code == 0
    assert started(work)[0] == "reference:g"
    assert (work / "ref/g.idx").read_text() == "GGGG\n"


def test_a_failed_build_ends_the_run(work, tmp_path):
    outcome = execute(work, flow(build="exit 3"), environ={"HOME": str(tmp_path)})
    assert outcome.exit_code == 1
    assert outcome.failures[0][0] == "reference:g"
    assert not (work / "used").exists()


def test_two_runs_at_once_build_a_shared_reference_once(tmp_path):
    environ = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "g.fa").write_text("ACGT\n")
    places = [tmp_path / "one", tmp_path / "two"]
    both = " && ".join(f"grep -q jobs_planned {place}/.oxo-flow/events.jsonl" for place in places)
    build = f"echo built >> {shared}/count; until {both}; do sleep 0.05; done; "
    text = flow(f"{shared}/g.idx", build + "cat {input} > {output}")
    text = text.replace("'g.fa'", f"'{shared}/g.fa'")
    assert run_at_once(places, text, **environ) == [0, 0]
    assert (shared / "count").read_text() == "built\n"


def test_what_a_dead_builder_left_is_built_anew(work, tmp_path):
    environ = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    assert execute(work, flow(), environ=environ).exit_code == 0
    (lock,) = (tmp_path / ".oxo-flow/locks").iterdir()
    lock.write_text(json.dumps({"state": "making"}))
    other = tmp_path / "other"
    other.mkdir()
    text = flow(f"{work}/ref/g.idx").replace("'g.fa'", f"'{work}/g.fa'")
    (work / "ref/g.idx").write_text("ha")
    assert execute(other, text, environ=environ).exit_code == 0
    assert (work / "ref/g.idx").read_text() == "ACGT\n"


def test_of_implied_references_only_those_are_built_that_a_rule_names(work, tmp_path):
    (work / "ref").mkdir()
    (work / "ref/genome.fa").write_text("ACGT\n")
    text = "[config]\nreference_dir = 'ref'\n" + rule("a", "echo > a", output=["a"])
    assert execute(work, text, environ={"HOME": str(tmp_path)}).exit_code == 0
    assert started(work) == ["a"]


def test_a_reference_without_its_source_is_taken_as_it_is(work, tmp_path):
    (work / "g.fa").unlink()
    (work / "ref").mkdir()
    (work / "ref/g.idx").write_text("given\n")
    assert execute(work, flow(), environ={"HOME": str(tmp_path)}).exit_code == 0
    assert started(work) == ["use"]


def test_a_source_that_a_rule_makes_comes_before_the_reference(work, tmp_path):
    (work / "g.fa").unlink()
    rules = rule("fetch", "echo ACGT > g.fa", output=["g.fa"]) + rule(
        "use", "cat {config.g} > used", output=["used"], input=["g.fa"]
    )
    outcome = execute(
        work, flow(rules=rules), environ={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    )
    assert outcome.exit_code == 0
    assert started(work) == ["fetch", "reference:g", "use"]


def test_skip_ref_build_takes_references_as_they_are(work, tmp_path):
    environ = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    (work / "ref").mkdir()
    (work / "ref/g.idx").write_text("mine\n")
    (work / "g.fa").write_text("newer\n")
    skipping = PlanOptions(skip_references=True)
    assert execute(work, flow(), environ=environ, plan=skipping).exit_code == 0
    assert started(work) == ["use"]
    assert (work / "used").read_text() == "mine\n"
    assert execute(work, flow(), environ=environ).exit_code == 0
    assert "reference:g" in started(work)


def test_the_flag_reaches_plan_run_and_what_resume_repeats(work):
    (work / "w.oxoflow").write_text("[workflow]\nname = 'w'\n" + flow())
    flags = ["w.oxoflow", "--skip-ref-build"]

    def program(*words: str) -> str:
        command = [sys.executable, "-m", "oxoflow", *words]
        env = os.environ | {"PYTHONPATH": str(ROOT), "HOME": str(work)}
        return subprocess.run(command, cwd=work, env=env, capture_output=True, text=True).stdout

    assert "reference:g" in program("plan", "w.oxoflow")
    assert "reference:g" not in program("plan", *flags)
    assert "reference:g" not in program("run", *flags)
    assert RunDirectory(work).read_run().settings["skip_ref_build"] is True
    assert "reference:g" not in program("resume", ".")
