"""Test what newer pipelines use: sample metadata, grouped files, patterns of outputs."""

from __future__ import annotations

import pytest

from oxoflow.errors import WorkflowError
from oxoflow.lang.expand import expand
from oxoflow.lang.grouping import empty_groups
from oxoflow.lang.lint import lint
from oxoflow.lang.parse import parse_workflow
from oxoflow.lang.validate import validate
from tests.lang.build import HEAD, Files, by_name, composed, jobs_of, names, rule

GROUP = '[[sample_groups]]\nname = "g"\nsamples = ["S1", "S2", "S3"]\n'
METADATA = '[workflow]\nname = "w"\nmetadata_file = "m.tsv"\n'
SHEET = "id\tmark\tadapter\nS1\tH3\tAAA\nS2\tH3\tCCC\nS3\t\tGGG\n"


def test_metadata_of_a_sample_is_filled_in_everywhere():
    text = (
        METADATA
        + GROUP
        + rule(
            "trim",
            input='["{sample}.{meta.mark}.fq"]',
            output='["{sample}.{meta.adapter}.o"]',
            shell='"cut -a {meta.adapter} {meta.absent}"',
        )
    )
    first, _, third = jobs_of(text, {"m.tsv": SHEET})
    assert (first.input.paths, first.output.paths) == (("S1.H3.fq",), ("S1.AAA.o",))
    assert first.shell == "cut -a AAA "
    assert third.input.paths == ("S3..fq",)


def test_a_wildcard_may_be_asked_for_by_its_full_name():
    text = GROUP.replace('name = "g"', 'name = "g"\nmetadata = { umi = "NN-N" }') + rule(
        "trim",
        output='["{sample}.{chr}.o"]',
        shell='"u {wildcard.umi} {wildcard.none}| {wildcard.sample} {wildcard.chr} ${wildcard}"',
        scatter='{ variable = "chr", values = ["1", "2"] }',
    )
    first, second, *_ = jobs_of(text)
    assert first.shell == "u NN-N | S1 1 ${wildcard}"
    assert second.shell == "u NN-N | S1 2 ${wildcard}"
    assert dict(second.bindings) == {"umi": "NN-N", "group": "g", "sample": "S1", "chr": "2"}


def test_metadata_decides_which_jobs_exist():
    gated = rule("a", shell='"x {sample}"', when="\"{meta.mark} == 'H3'\"")
    assert names(jobs_of(METADATA + GROUP + gated, {"m.tsv": SHEET})) == ["a_g_S1", "a_g_S2"]
    bare = rule("a", shell='"x {sample}"', when='"{meta.mark}"')
    assert names(jobs_of(METADATA + GROUP + bare, {"m.tsv": SHEET})) == ["a_g_S1", "a_g_S2"]


def test_metadata_of_a_pair_is_that_of_its_id_or_else_of_its_samples():
    pairs = '[[pairs]]\npair_id = "P"\nexperiment = "S2"\ncontrol = "S1"\n'
    (job,) = jobs_of(
        METADATA + pairs + rule("a", shell='"{pair_id} {meta.adapter}"'), {"m.tsv": SHEET}
    )
    assert job.shell == "P CCC"


def test_metadata_may_be_json():
    text = METADATA.replace("tsv", "json") + GROUP + rule("a", shell='"{sample} {meta.n}"')
    jobs = jobs_of(text, {"m.json": '[{"sample": "S1", "n": 3}]'})
    assert [job.shell for job in jobs] == ["S1 3", "S2 ", "S3 "]


def test_a_missing_metadata_file_is_said():
    with pytest.raises(WorkflowError, match=r"metadata_file 'm\.tsv': there is no such file"):
        composed(METADATA)


def test_columns_of_a_sample_sheet_are_metadata_of_its_groups():
    text = '[workflow]\nname = "w"\nsample_groups_file = "s.tsv"\n' + rule(
        "a", input='["{reads}"]', shell='"run {sample} {reads}"', when="\"wildcard.kind == 'ont'\""
    )
    sheet = "name\tsamples\tkind\treads\nx\tA\tont\tf1.fq;f2.fq\ny\tB\tpe\tr.fq\n"
    (job,) = jobs_of(text, {"s.tsv": sheet})
    assert (job.name, job.shell) == ("a_x_A", "run A f1.fq f2.fq")


def test_files_on_disk_are_grouped_by_a_wildcard():
    text = rule(
        "merge",
        input_groups='[{ pattern = "raw/{sample}_{lane}_R1.fq", group_by = "sample" }]',
        input='["ref.fa"]',
        output='["out/{sample}.{lane}.fq"]',
        shell='"cat {input} # {input_group.lane}"',
    )
    files = dict.fromkeys(["raw/A_L2_R1.fq", "raw/A_L1_R1.fq", "raw/B_L1_R1.fq"], "")
    jobs = by_name(jobs_of(text, files))
    assert list(jobs) == ["merge_A", "merge_B"]
    assert jobs["merge_A"].input.paths == ("raw/A_L1_R1.fq", "raw/A_L2_R1.fq", "ref.fa")
    assert jobs["merge_A"].output.paths == ("out/A.L1.fq",)
    assert jobs["merge_A"].shell == "cat {input} # L1 L2"
    assert jobs_of(text) == ()


def test_outputs_of_earlier_rules_are_grouped_by_metadata():
    peaks = rule(
        "peaks",
        input_groups='[{ pattern = "{config.d}/{sample}.bam", group_by = "meta.mark" }]',
        output='["peaks/{mark}.bed"]',
        shell='"call {mark} {input_group.sample}"',
    )
    align = rule("align", output='["{config.d}/{sample}.bam"]', shell='"x"')
    later = rule("note", shell='"y"', depends_on='["peaks"]')
    text = METADATA + '[config]\nd = "bam"\n' + GROUP + align + peaks + later
    jobs = by_name(jobs_of(text, {"m.tsv": SHEET}))
    assert jobs["peaks_H3"].input.paths == ("bam/S1.bam", "bam/S2.bam")
    assert jobs["peaks_H3"].shell == "call H3 S1 S2"
    assert jobs["note"].depends_on == ("peaks_H3",)


def test_wildcards_of_grouped_files_are_no_loose_wildcards():
    group = '[{ pattern = "{sample}_{lane}.fq", group_by = "sample" }]'
    text = rule("m", input='["r"]', input_groups=group, output='["{sample}.{lane}"]', shell='"x"')
    assert validate(parse_workflow(HEAD + text)) == []


def test_two_entries_of_grouped_files_are_refused():
    group = '{ pattern = "{a}.x", group_by = "a" }'
    with pytest.raises(WorkflowError, match="takes one entry"):
        jobs_of(rule("m", input_groups=f"[{group}, {group}]", shell='"x"'))


CHUNKS = rule("split", output_pattern='"chunks/{sample}/{i}.txt"', shell='"split {sample}"') + rule(
    "use", input='["chunks/{sample}/{i}.txt"]', output='["used/{sample}.{i}"]', shell='"x"'
)


def test_readers_of_an_output_pattern_wait_for_its_files():
    assert names(jobs_of(GROUP + CHUNKS)) == ["split_g_S1", "split_g_S2", "split_g_S3"]


def test_each_file_of_an_output_pattern_gets_its_reader():
    files = dict.fromkeys(["chunks/S1/a.txt", "chunks/S1/b.txt", "chunks/S2/a.txt"], "")
    jobs = by_name(jobs_of(GROUP + CHUNKS, files))
    assert [n for n in jobs if n.startswith("use")] == ["use_g_S1_a", "use_g_S1_b", "use_g_S2_a"]
    assert jobs["use_g_S1_b"].input.paths == ("chunks/S1/b.txt",)
    assert jobs["use_g_S1_b"].depends_on == ("split_g_S1", "split_g_S2", "split_g_S3")


def test_readers_of_an_output_pattern_may_stand_above_its_rule():
    both = [
        rule("split", output_pattern='"c/{i}.txt"', shell='"split"'),
        rule("use", input='["c/{i}.txt"]', output='["o/{i}"]', shell='"use {input}"'),
        rule("end", input='["o/2"]', shell='"x"'),
    ]
    files = {"c/1.txt": "", "c/2.txt": ""}
    below, above = jobs_of("".join(both), files), jobs_of("".join(both[::-1]), files)
    assert names(below) == ["split", "use_1", "use_2", "end"]
    assert names(above) == ["end", "use_1", "use_2", "split"]
    assert by_name(above)["use_2"].depends_on == ("split",)


def test_rules_that_read_each_others_patterns_have_no_jobs_and_that_is_told():
    text = rule("a", input='["y/{j}"]', output_pattern='"x/{i}"', shell='"x"') + rule(
        "b", input='["x/{i}"]', output_pattern='"y/{j}"', shell='"x"'
    )
    for files in ({}, {"x/1": "", "y/1": ""}):
        assert names(jobs_of(text, files)) == []
    workflow = composed(text + rule("end", input='["x/{i}"]', shell='"cat {input}"'))
    (found,) = empty_groups(workflow, expand(workflow))
    assert (found.code, found.rule, found.key) == ("W035", "a", "input")
    assert found.message.endswith("have no jobs: a → b → a")


def test_rules_that_read_patterns_in_a_row_wait_for_no_circle():
    text = rule("b", input='["x/{i}"]', output_pattern='"y/{j}"', shell='"x"')
    text += rule("a", output_pattern='"x/{i}"', shell='"x"')
    workflow = composed(text + rule("end", input='["y/{j}"]', shell='"x"'))
    assert empty_groups(workflow, expand(workflow)) == []


def test_a_rule_whose_files_make_no_group_is_told():
    entry = "[{ pattern = '{sample}_{lane}.fq', group_by = 'sample' }]"
    text = rule("merge", input_groups=entry, output='["{sample}.fq"]', shell='"cat {input}"')
    workflow = composed(text)
    (found,) = empty_groups(workflow, expand(workflow))
    assert (found.code, found.rule, found.key) == ("W035", "merge", "input_groups")
    assert "'{sample}_{lane}.fq' gives no group" in found.message
    off = composed("[config]\non = false\n" + text + "when = 'config.on'\n")
    assert empty_groups(off, expand(off)) == [], "nobody wants its jobs"
    workflow = composed(text, {"S_1.fq": ""})
    assert empty_groups(workflow, expand(workflow, Files({"S_1.fq": ""}))) == []


def test_a_value_table_in_an_output_pattern_is_known_before_the_run():
    table = '[[values]]\nname = "tool"\nvalues = ["x", "y"]\n'
    text = table + rule("make", output_pattern='"out/{tool}/chunks.txt"', shell='"go"')
    assert names(jobs_of(text)) == ["make_tool_x", "make_tool_y"]


def test_one_input_may_be_enough():
    assert composed(rule("a", optional='"any"', shell='"x"')).rules[0].optional == "any"
    with pytest.raises(WorkflowError, match="optional"):
        composed(rule("a", optional='"some"', shell='"x"'))


def test_gpus_go_with_a_container_only():
    text = rule("a", shell='"x"', environment='{ docker = "i:1", gpus = "all" }')
    assert composed(text).rules[0].environment.gpus == "all"
    text = rule("a", shell='"x"', environment='{ conda = "e.yaml", gpus = "all" }')
    assert composed(text).rules[0].environment.gpus is None


def test_a_condition_may_count_what_a_config_list_holds():
    text = '[config]\nsets = []\nmore = ["a", "b"]\n' + rule("a", shell='"x {sample}"')
    text += "when = \"wildcard.sample != '' && (len(config.sets) > 0 || len(config.more) == 2)\"\n"
    assert len(jobs_of(GROUP + text)) == 3
    assert jobs_of(GROUP + text.replace("== 2", "> 2")) == ()


def test_an_output_pattern_is_an_output_and_a_source_of_its_wildcards():
    text = GROUP + CHUNKS + rule("late", input='["used"]', output='["{i}.late"]', shell='"x"')
    workflow = composed(text)
    assert validate(workflow) == []
    assert {each.code for each in lint(workflow, [])} & {"W019", "W024"} == set()


def test_a_condition_asks_for_the_file_of_its_own_job():
    jobs = jobs_of(GROUP + rule("a", shell='"x {sample}"', when="\"file_exists('{sample}.bam')\""))
    assert [job.rule.when for job in jobs][:2] == ["file_exists('S1.bam')", "file_exists('S2.bam')"]
