"""Checkpoints that bring samples and pairs into the run (spec/oxoflow-format.md 3.2)."""

import os
import re
import subprocess
import sys

import pytest

from oxoflow.engine.plan import PlanOptions
from oxoflow.engine.reentry import Addition, extend, read_manifest
from oxoflow.engine.rundir import RunDirectory
from oxoflow.engine.state import State
from oxoflow.errors import RunError
from oxoflow.lang.model import Pair, SampleGroup, Workflow
from tests.engine.running import ROOT, event_of, events, execute, kinds, rule

GROUP = "[[sample_groups]]\nname = 'batch'\nsamples = ['S1']\n"
ANALYZE = rule(
    "analyze", "cat {input} > {output}", input=["split/{sample}"], output=["out/{sample}"]
)


def find(shell: str = "cp found.toml m.toml", **fields) -> str:
    return rule(
        "find",
        f"mkdir -p split; touch split/S1 split/S2 split/S3; {shell}",
        input=["found.toml"],
        output=["m.toml"],
        checkpoint=True,
        checkpoint_manifest="m.toml",
        **fields,
    )


# the chunk files are made by the checkpoint without being declared, as upstream's users do
FLOW = GROUP + find() + ANALYZE.replace("[[rules]]", "[[rules]]\ndepends_on = ['find']")


def manifest(workdir, *samples: str) -> None:
    listed = ", ".join(f'"{name}"' for name in samples)
    (workdir / "found.toml").write_text(f"[reentry]\nsample = [{listed}]\n")


def reentries(workdir) -> str:
    state = State.view(RunDirectory(workdir).state)
    try:
        return state.meta("reentries") or "[]"
    finally:
        state.close()


def started(workdir) -> list[str]:
    found = events(workdir)
    last = max(at for at, event in enumerate(found) if event.type == "run_started")
    return [event.job for event in found[last:] if event.type == "rule_started"]


def test_fact_63_what_a_manifest_adds_runs_in_the_same_run_and_is_replayed(tmp_path):
    manifest(tmp_path, "S2")
    outcome = execute(tmp_path, FLOW)
    assert outcome.exit_code == 0
    assert started(tmp_path) == ["find", "analyze_batch_S1", "analyze_batch_S2"]
    assert (tmp_path / "out/S2").exists()
    assert (outcome.counts.succeeded, outcome.counts.skipped) == (3, 0)
    assert '"round": 1' in reentries(tmp_path)
    assert kinds(tmp_path)["run_started"] == kinds(tmp_path)["run_completed"] == 1
    outcome = execute(tmp_path, FLOW)
    assert started(tmp_path) == []
    assert outcome.counts.skipped == 3
    (tmp_path / "out/S2").unlink()
    assert execute(tmp_path, FLOW).exit_code == 0
    assert started(tmp_path) == ["analyze_batch_S2"]


def test_a_checkpoint_that_runs_again_revokes_what_it_added(tmp_path):
    manifest(tmp_path, "S2")
    assert execute(tmp_path, FLOW).exit_code == 0
    manifest(tmp_path, "S3")
    assert execute(tmp_path, FLOW).exit_code == 0
    assert started(tmp_path) == ["find", "analyze_batch_S3"]
    assert '"S3"' in reentries(tmp_path)
    assert '"S2"' not in reentries(tmp_path)


GATHER = rule("gather", "cat {input} > {output}", input=["out/*"], output=["all"]) + rule(
    "count", "wc -l < {input} > {output}", input=["all"], output=["n"]
)


def test_what_reads_new_results_is_brought_up_to_date_in_the_same_run(tmp_path):
    manifest(tmp_path, "S2")
    flow = FLOW.replace("touch split", "for s in 1 2 3; do echo $s > split/S$s; done; : split")
    assert execute(tmp_path, flow + GATHER).exit_code == 0
    assert (tmp_path / "all").read_text() == "1\n2\n"
    assert (tmp_path / "n").read_text() == "2\n"
    assert execute(tmp_path, flow + GATHER).counts.succeeded == 0


def test_a_rule_whose_samples_nobody_knows_yet_waits_with_its_readers_for_the_checkpoint(tmp_path):
    manifest(tmp_path, "S2", "S3")
    flow = FLOW.removeprefix(GROUP) + GATHER
    outcome = execute(tmp_path, flow)
    assert outcome.exit_code == 0
    assert sorted(os.listdir(tmp_path / "out")) == ["S2", "S3"]
    assert started(tmp_path)[0] == "find"
    assert started(tmp_path)[-2:] == ["gather", "count"]
    assert execute(tmp_path, flow).counts.succeeded == 0


def test_a_pair_that_was_found_waits_for_nothing_though_it_gives_no_value_to_every_name(tmp_path):
    found = "[reentry]\npairs = [{ pair_id = 'P', experiment = 'T' }]\n"
    (tmp_path / "found.toml").write_text(found)
    compare = rule(
        "compare", "echo '{control}' {experiment_type} {sample} > {output}", output=["{pair_id}"]
    )
    assert execute(tmp_path, FLOW + compare).exit_code == 0
    assert (tmp_path / "P").read_text() == " {experiment_type} {sample}\n"


def test_a_checkpoint_that_finds_nobody_leaves_what_waits_for_it(tmp_path):
    (tmp_path / "found.toml").write_text("[reentry]\nsample = []\n")
    outcome = execute(tmp_path, FLOW.removeprefix(GROUP) + GATHER)
    assert (outcome.exit_code, started(tmp_path)) == (0, ["find"])
    assert event_of(tmp_path, "gather", "rule_skipped").data["reason"] == (
        "it waits for the samples or pairs that checkpoint 'find' finds"
    )
    assert not (tmp_path / "out").exists()


def test_what_failed_beside_a_checkpoint_is_not_tried_again_with_the_new_results(tmp_path):
    manifest(tmp_path, "S2")
    broken = GATHER.replace("wc -l", "echo x >> tries; false")
    assert execute(tmp_path, FLOW + broken, keep_going=True).counts.failed == 1
    assert (tmp_path / "tries").read_text() == "x\n"


def test_what_a_checkpoint_adds_below_a_failure_is_blocked_by_it(tmp_path):
    manifest(tmp_path, "S2")
    text = GROUP + find() + rule("prep", "false", output=["prep"])
    text += rule("work", "echo > {output}", input=["prep"], output=["{sample}.txt"])
    text += rule("sum", "cp {input} {output}", input=["{sample}.txt"], output=["{sample}.sum"])
    outcome = execute(tmp_path, text, keep_going=True)
    assert (outcome.counts.succeeded, outcome.counts.failed, outcome.counts.blocked) == (1, 1, 4)
    assert event_of(tmp_path, "work_batch_S2", "rule_blocked").data["reason"] == (
        "blocked by failed dependency 'prep'"
    )
    assert not (tmp_path / "S2.txt").exists()


@pytest.mark.parametrize("how", [{"rerun": True}, {"force": ("find",)}], ids=["rerun", "force"])
def test_what_a_forced_checkpoint_adds_is_up_to_date_afterwards(tmp_path, how):
    manifest(tmp_path, "S2", "S3")
    text = GROUP + find() + ANALYZE.replace("input = ['split/{sample}']", "input = ['m.toml']")
    assert execute(tmp_path, text, plan=PlanOptions(**how)).counts.succeeded == 4
    assert execute(tmp_path, text).counts.skipped == 4


def test_planning_a_checkpoint_that_will_run_again_changes_nothing(tmp_path):
    manifest(tmp_path, "S2")
    (tmp_path / "w.oxoflow").write_text(f"[workflow]\nname = 'w'\n{FLOW}")
    assert execute(tmp_path, FLOW).exit_code == 0
    before = reentries(tmp_path)
    manifest(tmp_path, "S3")
    answer = subprocess.run(
        [sys.executable, "-m", "oxoflow", "plan", "w.oxoflow"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    assert "analyze_batch_S2" not in answer.stdout
    assert reentries(tmp_path) == before


def test_nothing_new_is_nothing_recorded(tmp_path):
    manifest(tmp_path, "S1")
    assert execute(tmp_path, FLOW).exit_code == 0
    assert reentries(tmp_path) == "[]"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "is not there"),
        ("x = [", "is no TOML.*; write \\[reentry\\] with sample = "),
        ("x = 1", "has no \\[reentry\\] table; write"),
        ("[reentry]\nsample = 'S2'", "sample a list of texts"),
        ("[reentry]\npairs = [{ pair_id = 'P' }]", "a pair needs pair_id and experiment"),
        ("[reentry]\nsample = ['$(rm x)']", "holds a command substitution"),
    ],
)
def test_fact_63_a_bad_manifest_fails_the_checkpoint_and_blocks_what_follows(tmp_path, text, words):
    (tmp_path / "found.toml").write_text(text or "")
    shell = "cp found.toml m.toml" if text is not None else "true"
    flow = GROUP + find(shell).replace("output = ['m.toml']\n", "")
    flow += ANALYZE.replace("[[rules]]", "[[rules]]\ndepends_on = ['find']")
    outcome = execute(tmp_path, flow, keep_going=True)
    assert outcome.exit_code == 1
    assert event_of(tmp_path, "find", "rule_failed").data["exit_code"] == -1
    assert re.search(words, outcome.error)
    assert outcome.blocked == ("analyze_batch_S1",)


def test_more_than_32_rounds_are_an_error(tmp_path):
    text = GROUP + find() + ANALYZE.replace("[[rules]]", "[[rules]]\ndepends_on = ['find']")
    grow = ANALYZE.replace(
        "cat {input} > {output}",
        'touch split/{sample}x {output}; printf "[reentry]\\nsample = [\\"{sample}x\\"]" > m.toml',
    )
    manifest(tmp_path, "S2")
    text = text.replace(ANALYZE[ANALYZE.index("name") :], grow[grow.index("name") :])
    with pytest.raises(RunError, match="after 32 rounds"):
        execute(tmp_path, text)


KNOWN = Workflow(
    "w",
    pairs=(Pair("P1", "T1", "N1"),),
    groups=(SampleGroup("batch", ("S1",)), SampleGroup("other", ("S9",))),
)


def test_fact_64_a_known_pair_with_another_content_is_e015_and_with_the_same_nothing():
    with pytest.raises(RunError, match=r"E015.*'P1'"):
        extend(KNOWN, Addition("c", pairs=(Pair("P1", "T2", "N1"),)))
    assert extend(KNOWN, Addition("c", pairs=(Pair("P1", "T1", "N1"),))) is KNOWN


@pytest.mark.parametrize(
    ("group", "samples", "expected"),
    [
        (None, ("S1", "S2"), {"batch": ("S1", "S2"), "other": ("S9",)}),
        ("other", ("S1",), {"batch": ("S1",), "other": ("S9", "S1")}),
        ("new", ("S1",), {"batch": ("S1",), "other": ("S9",), "new": ("S1",)}),
        ("new", (), {"batch": ("S1",), "other": ("S9",)}),
    ],
)
def test_samples_join_the_named_group_or_the_first(group, samples, expected):
    grown = extend(KNOWN, Addition("c", group, samples))
    assert {each.name: each.samples for each in grown.groups} == expected


def test_without_any_group_samples_are_discovered_ones():
    assert extend(Workflow("w"), Addition("c", None, ("S1",))).groups == (
        SampleGroup("auto-discovered", ("S1",)),
    )


def test_pairs_may_be_written_with_their_other_names():
    text = b"[reentry]\npairs = [{ pair_id = 'P', tumor = 'T', normal = 'N' }]"
    assert read_manifest("c", "m", text).pairs == (Pair("P", "T", "N"),)


SPLIT = rule("split", "mkdir -p parts; cp numbers/* parts", input=["names"]) + rule(
    "use", "cat {input} > {output}", input=["parts/{i}.txt"], output=["used/{i}"]
)
PARTS = SPLIT.replace("[[rules]]", "[[rules]]\noutput_pattern = 'parts/{i}.txt'", 1)


def parts(workdir, *names: str) -> None:
    (workdir / "numbers").mkdir(exist_ok=True)
    (workdir / "names").write_text(" ".join(names))
    for name in names:
        (workdir / "numbers" / f"{name}.txt").write_text(name)


def test_files_that_a_rule_finds_get_their_jobs_in_the_same_run(tmp_path):
    parts(tmp_path, "a", "b")
    outcome = execute(tmp_path, PARTS)
    assert outcome.exit_code == 0
    assert sorted(started(tmp_path)) == ["split", "use_a", "use_b"]
    assert (tmp_path / "used/b").read_text() == "b"
    assert "warning" not in kinds(tmp_path)
    execute(tmp_path, PARTS)
    assert started(tmp_path) == []
    parts(tmp_path, "a", "b", "c")
    assert execute(tmp_path, PARTS).exit_code == 0
    assert {"split", "use_c"} <= set(started(tmp_path))


def test_the_directory_in_which_a_rule_is_to_find_files_is_made_in_advance(tmp_path):
    parts(tmp_path, "a", "b")
    assert execute(tmp_path, PARTS.replace("mkdir -p parts; ", "")).exit_code == 0
    assert (tmp_path / "used/b").read_text() == "b"


GATHERED = (
    rule("sum", "cat {input} > {output}", input=["used/*"], output=["sum"])
    + rule("tell", "cp {input} {output}", input=["sum"], output=["told"])
    + PARTS
)


def test_what_gathers_files_of_jobs_to_come_waits_for_them(tmp_path):
    parts(tmp_path, "a", "b")
    outcome = execute(tmp_path, GATHERED, keep_going=True)
    assert (outcome.exit_code, outcome.counts.failed) == (0, 0)
    assert (tmp_path / "told").read_text() == "ab"
    assert sorted(started(tmp_path)) == ["split", "sum", "tell", "use_a", "use_b"]
    execute(tmp_path, GATHERED)
    assert started(tmp_path) == []
    parts(tmp_path, "a", "c")
    assert execute(tmp_path, GATHERED).exit_code == 0
    assert (tmp_path / "told").read_text() == "abc"


def test_what_gathers_says_what_it_waits_for_when_nothing_is_found(tmp_path):
    parts(tmp_path)
    (tmp_path / "numbers").rmdir()
    text = GATHERED.replace("cp numbers/* parts", "true")
    assert execute(tmp_path, text).counts.succeeded == 1
    reason = event_of(tmp_path, "sum", "rule_skipped").data["reason"]
    assert reason == "it waits for jobs that files have yet to call for, which make 'used/*'"


def test_one_of_several_inputs_is_enough_where_the_author_says_so(tmp_path):
    flow = rule("a", "ls {input} > {output} || true", input=["x", "y"], output=["o"])
    flow = flow.replace("[[rules]]", "[[rules]]\noptional = 'any'")
    assert execute(tmp_path, flow).counts.succeeded == 0
    (tmp_path / "y").write_text("")
    assert execute(tmp_path, flow).counts.succeeded == 1
