"""Test `--samples`: sheets, names, first:N, ready."""

from __future__ import annotations

import pytest

from oxoflow.errors import Severity, WorkflowError
from oxoflow.lang.model import Workflow
from oxoflow.lang.readiness import readiness
from oxoflow.lang.validate import validate
from tests.lang.build import Files, composed, jobs_of, names, rule

GROUPS = (
    '[[sample_groups]]\nname = "g"\nsamples = ["S2", "S1", "S3"]\n'
    '[[sample_groups]]\nname = "h"\nsamples = ["S4"]\n'
)
PAIRS = (
    '[[pairs]]\npair_id = "P1"\nexperiment = "T1"\ncontrol = "N1"\n'
    '[[pairs]]\npair_id = "P2"\nexperiment = "T2"\n'
)
SHEETS = {
    "new.csv": 'name,samples\nn,"T1,N1"\n',
    "more.tsv": "name\tsamples\ng\tS1,S9\nk\tS8\n",
    "empty.csv": "name,samples\nn,\n",
}


def shape(workflow: Workflow) -> list[tuple[str, str]]:
    return [(g.name, ",".join(g.samples)) for g in workflow.groups]


@pytest.mark.parametrize(
    ("specs", "groups"),
    [
        (["S1,S4"], [("g", "S1"), ("h", "S4")]),
        (["S3", "S1"], [("g", "S1,S3"), ("h", "")]),
        (["first:2"], [("g", "S2,S1"), ("h", "")]),
        (["first:1", "first:2"], [("g", "S2,S1"), ("h", "")]),
        (["first:1", "S4"], [("g", "S2"), ("h", "S4")]),
        (["+@more.tsv"], [("g", "S2,S1,S3,S9"), ("h", "S4"), ("k", "S8")]),
        (["S8", "+@more.tsv"], [("g", ""), ("h", ""), ("k", "S8")]),
        (["@new.csv"], [("n", "T1,N1")]),
        (["@new.csv", "+@more.tsv", "first:1"], [("n", "T1"), ("g", ""), ("k", "")]),
    ],
)
def test_specs_choose_from_the_groups(specs: list[str], groups: list[tuple[str, str]]):
    assert shape(composed(GROUPS, SHEETS, samples=specs)) == groups


def test_lists_follow_in_workflow_order_and_also_when_empty():
    config = composed(GROUPS + PAIRS, samples=["S3,S1"]).config
    assert [config[k] for k in ("samples_list", "samples_g", "samples_h", "pairs_list")] == [
        "S1,S3",
        "S1,S3",
        "",
        "",
    ]


def test_a_sheet_drops_pairs_that_lost_a_member_and_stale_lists():
    workflow = composed(GROUPS + PAIRS, SHEETS, samples=["@new.csv"])
    assert [p.pair_id for p in workflow.pairs] == ["P1"]
    assert "samples_g" not in workflow.config
    assert (workflow.config["samples_list"], workflow.config["pairs_list"]) == ("T1,N1", "P1")


@pytest.mark.parametrize(
    ("specs", "pairs"),
    [(["P1"], ["P1"]), (["T1,N1"], ["P1"]), (["T1", "T2"], ["P2"]), (["first:2"], ["P1"])],
)
def test_names_and_pair_ids_choose_pairs(specs: list[str], pairs: list[str]):
    assert [p.pair_id for p in composed(PAIRS, samples=specs).pairs] == pairs


def test_half_of_a_pair_chooses_nothing_and_says_so():
    with pytest.raises(WorkflowError, match=r"needs both of its samples.*T1 and N1"):
        composed(PAIRS, samples=["T1"])


@pytest.mark.parametrize(
    ("samples", "jobs", "told"),
    [
        ("S1", ["s_g_S1", "one"], ["--samples leaves no pair"]),
        ("P1", ["p_P1", "one"], ["--samples leaves no sample of a group"]),
        ("P2,S4", ["s_h_S4", "p_P2", "one"], []),
        ("@new.csv", ["s_n_T1", "s_n_N1", "p_P1", "one"], []),
        ("@other.csv", ["s_o_X", "one"], ["--samples leaves no pair"]),
    ],
)
def test_rules_for_what_has_nothing_left_have_no_jobs(
    samples: str, jobs: list[str], told: list[str]
):
    text = GROUPS + PAIRS + rule("s", output='["{sample}.s"]', shell='"{sample}"')
    text += rule("p", output='["{pair_id}.p"]', shell='"x"') + rule("one", shell='"x"')
    sheets = SHEETS | {"other.csv": "name,samples\no,X\n"}
    assert names(jobs_of(text, sheets, samples=[samples])) == jobs
    workflow = composed(text, sheets, samples=[samples])
    assert [each.partition(":")[0] for each in workflow.warnings] == told
    assert [each for each in validate(workflow) if each.severity is Severity.ERROR] == []


def test_without_any_sample_the_names_declare_a_group():
    assert shape(composed("", samples=["A,B", "A"])) == [("samples", "A,B")]


def test_an_unknown_name_warns():
    workflow = composed(GROUPS, samples=["S1,Sx"])
    assert shape(workflow)[0] == ("g", "S1")
    assert "Sx" in workflow.warnings[0]


@pytest.mark.parametrize(
    ("specs", "words"),
    [
        (["Sx"], "leaves nothing"),
        ([""], "names no sample"),
        (["S1", " , "], "names no sample"),
        (["first:0"], "leaves nothing"),
        (["first:x"], "first:N"),
        (["first:-1"], "first:N"),
        (["@gone.csv"], "no file"),
        (["@empty.csv"], "lists no sample"),
        (["+@new.xls"], "no file"),
    ],
)
def test_a_spec_that_cannot_be_met_is_an_error(specs: list[str], words: str):
    with pytest.raises(WorkflowError, match=words):
        composed(GROUPS, SHEETS, samples=specs)


READS = '[config]\nd = "raw"\n' + rule(
    "a", input='["{config.d}/{sample}.fq", "ref.fa"]', output='["{sample}.bam"]', shell='"x"'
)


def test_ready_samples_have_all_their_external_inputs():
    files = {"raw/S1.fq": "", "raw/S4.fq": ""}
    assert shape(composed(READS + GROUPS, files, samples=["ready"])) == [("g", "S1"), ("h", "S4")]
    with pytest.raises(WorkflowError, match="leaves nothing"):
        composed(READS + GROUPS, files, samples=["ready", "S2"])


def test_a_missing_file_belongs_to_the_longest_name_in_it_or_to_nobody():
    text = (
        '[[pairs]]\npair_id = "P"\nexperiment = "S1"\ncontrol = "S1_n"\n'
        + rule(
            "a", input='["{experiment}.bam", "{control}.bam", "ref.fa", "*.x", "{q}"]', shell='""'
        )
        + rule("b", input='["{experiment}.extra"]', optional="true", shell='""')
        + rule("c", input='["S1_n.bam"]', output='["{experiment}.bam"]', shell='""')
    )
    found = readiness(composed(text), Files())
    assert found.missing == {"S1_n": ("S1_n.bam",)}
    assert found.unattributed == ("ref.fa",)


def test_a_reference_is_no_external_input_for_the_run_makes_it():
    text = (
        '[config]\ndir = "refs"\n'
        '[[references]]\nname = "fa"\noutput = "{config.dir}/g.fa"\nbuild = "fetch > {output}"\n'
        + rule("map", input='["{config.fa}", "refs/other.fa"]', output='["o"]', shell='"x"')
    )
    assert readiness(composed(text), Files()).unattributed == ("refs/other.fa",)


@pytest.mark.parametrize("path", ["qc/{sample}", "qc/{sample}/", "qc", "all/", "all"])
def test_a_directory_that_the_run_makes_or_fills_is_no_external_input(path):
    text = GROUPS + rule("a", output='["qc/{sample}/x.txt"]', shell='"x"')
    text += rule("b", output='["all"]', shell='"x"')
    text += rule("c", input=f'["{path}"]', output='["c/{sample}"]', shell='"x"')
    found = readiness(composed(text), Files())
    assert (found.missing, found.unattributed) == ({}, ())


def test_a_rule_whose_condition_is_false_keeps_no_sample_from_being_ready():
    off = rule("off", input='["merged/{sample}"]', shell='"x {sample}"', when='"config.merge"')
    text = "[config]\nmerge = false\n" + GROUPS + off
    assert readiness(composed(text), Files()).missing == {}
    on = readiness(composed(text.replace("false", "true")), Files()).missing
    assert sorted(on) == ["S1", "S2", "S3", "S4"]
