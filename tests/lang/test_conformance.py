"""Hold the conformance facts of the format, each test under its number (format spec 7).

Facts about edges and rendering (34 to 37, 40 to 46) are held where those are made.
"""

from __future__ import annotations

import pytest

from oxoflow.errors import ParseError, WorkflowError
from oxoflow.lang.condition import evaluate
from oxoflow.lang.declared import check_config
from oxoflow.lang.parse import parse_workflow
from oxoflow.lang.validate import validate
from oxoflow.lang.view import NOTHING
from tests.lang.build import HEAD, by_name, composed, jobs_of, names, rule

TWO_SAMPLES = '[[sample_groups]]\nname = "g"\nsamples = ["S1", "S2"]\n'
ONE_PAIR = '[[pairs]]\npair_id = "P1"\nexperiment = "E1"\ncontrol = "C1"\n'


def test_01_a_name_is_enough_for_a_workflow():
    workflow = parse_workflow('[workflow]\nname = "w"')
    assert (workflow.name, workflow.version, workflow.rules) == ("w", "0.1.0", ())


def test_02_two_rules_of_one_name_do_not_load():
    with pytest.raises(ParseError, match="duplicate rule name"):
        parse_workflow(HEAD + rule("a") + rule("a"))


def test_03_outputs_without_command_do_not_load():
    with pytest.raises(ParseError, match="rule 'a'"):
        parse_workflow(HEAD + rule("a", output='["x"]'))


def test_04_input_is_a_list_and_not_a_string():
    with pytest.raises(ParseError, match=r'write \["a.txt"\]'):
        parse_workflow(HEAD + rule("a", input='"a.txt"'))
    assert parse_workflow(HEAD + rule("a", input='["a.txt"]')).rules[0].input.paths == ("a.txt",)


def test_05_an_unknown_key_of_a_rule_is_carried_along():
    assert parse_workflow(HEAD + rule("a", foo="1")).rules[0].extra == {"foo": 1}


def test_06_a_declaration_counts_with_its_default_and_a_number_makes_it_a_plain_table():
    workflow = parse_workflow(
        HEAD + '[config]\nk = { default = "5", help = "h" }\np = { default = 5 }'
    )
    assert workflow.config == {"k": "5", "p": {"default": 5}}
    assert workflow.declared["k"].help == "h"
    assert "p" not in workflow.declared


def test_07_a_required_key_without_value_is_named_with_its_flag():
    workflow = parse_workflow(HEAD + '[config]\nk = { required = true, help = "the k" }')
    (found,) = check_config(workflow, NOTHING)
    assert "--k" in found.message
    assert "the k" in found.message


def test_08_a_choice_outside_the_list_names_the_allowed_values():
    text = HEAD + '[config]\nmode = { default = "dna", choices = ["dna", "rna"] }'
    (found,) = check_config(composed(text, overrides={"mode": "xyz"}), NOTHING)
    assert "dna, rna" in found.message
    assert check_config(composed(text, overrides={"mode": "rna"}), NOTHING) == []


def test_09_default_threads_replace_what_is_unset_or_one():
    text = (
        "[defaults]\nthreads = 8\n"
        + rule("a", resources="{ threads = 16 }")
        + rule("b")
        + rule("c", resources="{ threads = 1 }")
    )
    assert [r.resources.threads for r in composed(text).rules] == [16, 8, 8]


def test_10_a_sample_placeholder_makes_one_job_per_sample():
    jobs = jobs_of(TWO_SAMPLES + rule("al", input='["r/{sample}.fq"]'))
    assert names(jobs) == ["al_g_S1", "al_g_S2"]
    assert [job.input.paths for job in jobs] == [("r/S1.fq",), ("r/S2.fq",)]


def test_11_a_pair_placeholder_in_shell_makes_one_job_per_pair():
    (job,) = jobs_of(ONE_PAIR + rule("mu", shell='"x {experiment} {tumor} {normal}"'))
    assert (job.name, job.shell) == ("mu_P1", "x E1 E1 C1")


def test_12_a_missing_control_is_the_empty_string():
    text = '[[pairs]]\npair_id = "P1"\nexperiment = "E1"\n'
    (job,) = jobs_of(text + rule("mu", shell='"x {experiment} [{control}]"'))
    assert job.shell == "x E1 []"


@pytest.mark.parametrize("field", ["script", "pre_exec", "on_success", "on_failure"])
def test_13_script_and_hooks_do_not_fan_out(field: str):
    assert names(jobs_of(TWO_SAMPLES + rule("a", **{field: '"run {sample}"'}))) == ["a"]


def test_14_value_tables_multiply_with_the_first_slowest():
    text = (
        '[[values]]\nname = "asm"\nvalues = ["sp", "mh"]\n'
        '[[values]]\nname = "k"\nvalues = [21, 33]\n' + rule("b", shell='"{asm} {k}"')
    )
    assert names(jobs_of(text)) == [
        "b_asm_sp_k_21",
        "b_asm_sp_k_33",
        "b_asm_mh_k_21",
        "b_asm_mh_k_33",
    ]


def test_15_a_number_is_cleaned_in_the_name_and_plain_in_the_path():
    text = '[[values]]\nname = "k"\nvalues = [1.5]\n'
    (job,) = jobs_of(text + rule("b", output='["o/{k}.txt"]', shell='"x"'))
    assert (job.name, job.output.paths) == ("b_k_1_5", ("o/1.5.txt",))


def test_16_values_stand_outside_of_samples():
    text = (
        '[[values]]\nname = "asm"\nvalues = ["sp", "mh"]\n'
        '[[sample_groups]]\nname = "c"\nsamples = ["S1"]\n' + rule("b", shell='"{asm} {sample}"')
    )
    assert names(jobs_of(text)) == ["b_asm_sp_c_S1", "b_asm_mh_c_S1"]


@pytest.mark.parametrize(
    "text",
    [
        '[[values]]\nname = "input"\nvalues = ["a"]',
        '[[values]]\nname = "k"\nvalues = ["a"]\n[[values]]\nname = "k"\nvalues = ["b"]',
        '[[values]]\nname = "k"\nvalues = []',
        '[[values]]\nname = ""\nvalues = ["a"]',
    ],
)
def test_17_reserved_double_and_empty_value_tables_are_errors(text: str):
    assert validate(parse_workflow(HEAD + text))
    with pytest.raises(WorkflowError, match=r"\[\[values\]\]"):
        jobs_of(text)


def test_18_a_constraint_drops_what_it_does_not_match():
    text = (
        '[wildcard_constraints]\nsample = "^S[0-9]+$"\n'
        '[[sample_groups]]\nname = "g"\nsamples = ["S1", "bad"]\n' + rule("a", shell='"{sample}"')
    )
    assert names(jobs_of(text)) == ["a_g_S1"]


def test_19_depends_on_a_fanned_out_rule_means_all_of_its_jobs():
    jobs = jobs_of(TWO_SAMPLES + rule("al", shell='"{sample}"') + rule("b", depends_on='["al"]'))
    assert by_name(jobs)["b"].depends_on == ("al_g_S1", "al_g_S2")


def test_20_a_sample_pattern_discovers_a_group():
    text = (
        '[workflow]\nname = "w"\nsample_pattern = "{config.d}/{sample}_R1.fq"\n'
        '[config]\nd = "raw"\n'
    )
    workflow = composed(text, {"raw/S1_R1.fq": ""})
    assert [(g.name, g.samples) for g in workflow.groups] == [("auto-discovered", ("S1",))]
    assert workflow.config["samples_list"] == "S1"


def test_21_the_sample_list_is_sorted_and_joins_the_authors():
    text = '[config]\nsamples_list = "Z"\n[[sample_groups]]\nname = "g"\nsamples = ["S2", "S1"]'
    assert composed(text).config["samples_list"] == "S1,S2,Z"


def test_22_pairs_alone_fill_both_lists():
    config = composed(ONE_PAIR).config
    assert (config["samples_list"], config["pairs_list"]) == ("C1,E1", "P1")


def test_23_expand_inputs_joins_the_samples_in_one_job():
    spec = '[{ pattern = "v/{s}.g", variables = { s = "config.samples_list" } }]'
    jobs = jobs_of(TWO_SAMPLES + rule("j", input='["a"]', expand_inputs=spec))
    assert [(job.name, job.input.paths) for job in jobs] == [("j", ("a", "v/S1.g", "v/S2.g"))]


@pytest.mark.parametrize(
    ("variable", "paths"),
    [('"[\\"1\\", \\"2\\"]"', ("v/1.g", "v/2.g")), ('"GRCh38"', ("v/GRCh38.g",))],
)
def test_24_an_expand_variable_may_be_a_literal(variable: str, paths: tuple[str, ...]):
    spec = f'[{{ pattern = "v/{{s}}.g", variables = {{ s = {variable} }} }}]'
    (job,) = jobs_of(rule("j", expand_inputs=spec))
    assert job.input.paths == paths


def test_25_scatter_makes_a_job_per_value_and_gathers_the_outputs():
    scatter = '{ variable = "chr", values = ["a", "b"], gather = "m" }'
    jobs = jobs_of(
        rule("r", output='["o/{chr}"]', shell='"x {chr}"', scatter=scatter)
        + rule("m", input='["i"]', shell='"cat {input}"')
    )
    assert names(jobs) == ["r_a", "r_b", "m"]
    assert jobs[2].input.paths == ("i", "o/a", "o/b")


SPLIT = (
    'transform = { split = { by = "chr", values = ["chr1", "chr2"] }, map = "m {chr}", '
    "combine = %s }\n"
)


def test_26_a_transform_becomes_map_jobs_and_a_combine_job():
    text = rule("r", output='["v/s.g.vcf.gz"]') + SPLIT % "{ aggregate = true }"
    jobs = jobs_of(text)
    assert names(jobs) == ["r_chr1", "r_chr2", "r_combine"]
    chunks = (".oxo-flow/chunks/chr/chr1.g.vcf.gz", ".oxo-flow/chunks/chr/chr2.g.vcf.gz")
    assert (jobs[0].output.paths, jobs[1].output.paths) == (chunks[:1], chunks[1:])
    assert jobs[0].shell == "m chr1"
    assert (jobs[2].input.paths, jobs[2].output.paths) == (chunks, ("v/s.g.vcf.gz",))


@pytest.mark.parametrize(
    "transform",
    [
        '{ split = { by = "x" }, map = "m" }',
        '{ split = { by = "x", n = 2 }, map = "m", combine = {} }',
        '{ split = { by = "x", n = 2 }, map = "m", '
        'combine = { aggregate = true, method = "foo" } }',
    ],
)
def test_27_a_transform_that_cannot_work_is_an_error(transform: str):
    text = rule("r", output='["o"]', transform=transform)
    assert [d.rule for d in validate(parse_workflow(HEAD + text))] == ["r"]
    with pytest.raises(WorkflowError, match=r"transform\."):
        jobs_of(text)


def test_28_json_merge_runs_jq_over_the_chunks():
    text = rule("r", output='["o.json"]') + SPLIT % '{ aggregate = true, method = "json_merge" }'
    combine = jobs_of(text)[-1]
    chunks = ".oxo-flow/chunks/chr/chr1.json .oxo-flow/chunks/chr/chr2.json"
    assert " ".join(combine.input.paths) == chunks
    assert combine.output.paths == ("o.json",)
    assert combine.shell == "jq -s add {input} > {output[0]}"


def test_29_the_halves_of_an_unrequired_transform_are_not_required():
    text = rule("r", output='["o"]', required="false") + SPLIT % "{ aggregate = true }"
    assert [job.rule.required for job in jobs_of(text)] == [False] * 3


def test_30_a_namespace_prefixes_names_and_inner_dependencies():
    module = HEAD + rule("a") + rule("b", depends_on='["a", "outside"]')
    host = '[[include]]\npath = "qc.oxoflow"\nnamespace = "qc"\n' + rule("outside")
    workflow = composed(host, {"qc.oxoflow": module})
    assert [r.name for r in workflow.rules] == ["outside", "qc::a", "qc::b"]
    assert workflow.rules[2].depends_on == ("qc::a", "outside")


def test_31_the_host_wins_and_missing_or_endless_includes_are_errors():
    include = '[[include]]\npath = "m.oxoflow"\n'
    workflow = composed(
        include + rule("x", shell='"host"'), {"m.oxoflow": HEAD + rule("x", shell='"module"')}
    )
    assert [r.shell for r in workflow.rules] == ["host"]
    with pytest.raises(WorkflowError, match=r"m\.oxoflow' is not there"):
        composed(include)
    with pytest.raises(WorkflowError, match="depth"):
        composed(include, {"m.oxoflow": HEAD + include})


def test_32_a_contract_that_nobody_keeps_is_an_error_and_a_private_read_a_warning():
    module = HEAD + rule("a", output='["private", "public"]', shell='"x"')
    with pytest.raises(WorkflowError, match=r"a\.fq"):
        composed('[[include]]\npath = "m"\ninputs = ["a.fq"]\n', {"m": module})
    host = '[[include]]\npath = "m"\noutputs = ["public"]\n' + rule("h", input='["private"]')
    (warning,) = composed(host, {"m": module}).warnings
    assert "private" in warning


@pytest.mark.parametrize(
    ("include", "config", "expected"),
    [
        ("", "", "20"),
        ('params = { q = "30" }\n', "", "30"),
        ('params = { q = "30" }\n', 'q = "40"\n', "40"),
    ],
)
def test_33_host_config_beats_params_which_beat_the_module(
    include: str, config: str, expected: str
):
    host = f'[config]\n{config}[[include]]\npath = "m"\n{include}'
    workflow = composed(host, {"m": HEAD + '[config]\nq = "20"\n'})
    assert workflow.config["q"] == expected


def test_38_an_undefined_config_key_is_an_error():
    found = validate(parse_workflow(HEAD + rule("a", shell='"echo {config.typo}"')))
    assert [(d.code, d.severity.value, d.rule, d.key) for d in found] == [
        ("E005", "error", "a", "shell")
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("config.a && config.n >= 20 || config.f", True),
        ("config.missing", False),
        ('config.missing != "x"', False),
        ("what is this", True),
    ],
)
def test_39_conditions_read_the_config(text: str, expected: bool):
    assert evaluate(text, {"a": True, "n": 30, "f": False}, NOTHING) is expected
