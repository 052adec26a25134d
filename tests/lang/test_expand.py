"""Test the way from rules to jobs: fan-out, names, fields, dependencies, fan-in, transforms."""

from __future__ import annotations

import re

import pytest

from oxoflow.errors import Diagnostic, WorkflowError
from oxoflow.lang.deadline import Deadline
from oxoflow.lang.expand import expand
from oxoflow.lang.model import Job
from oxoflow.lang.parse import parse_workflow
from oxoflow.limits import Limits
from tests.lang.build import HEAD, Files, by_name, composed, jobs_of, names, rule

GROUP = '[[sample_groups]]\nname = "g"\nsamples = ["S1", "S2"]\nmetadata = { lab = "L" }\n'
PAIRS = (
    '[[pairs]]\npair_id = "P1"\nexperiment = "T1"\ncontrol = "N1"\nmetadata = { kit = "x" }\n'
    '[[pairs]]\npair_id = "P2"\nexperiment = "T2"\n'
)


def problem(text: str, **options: object) -> Diagnostic:
    with pytest.raises(WorkflowError) as caught:
        jobs_of(text, **options)
    return caught.value.diagnostics[0]


def the_job(text: str) -> Job:
    (job,) = jobs_of(text)
    return job


def test_every_text_of_a_clone_is_filled_and_the_rest_is_shared():
    hooks = {key: f'"{key} {{sample}}"' for key in ("pre_exec", "on_success", "on_failure")}
    first, second = jobs_of(
        GROUP
        + rule(
            "a",
            input='{ r = "{sample}.fq", fixed = "f" }',
            output='["{group}/{sample}.o"]',
            shell='"x {sample} {lab} {input}"',
            script='"s.py {sample}"',
            log='"{sample}.log"',
            params='{ p = "{sample}" }',
            **hooks,
        )
    )
    assert first.input.paths == ("f", "S1.fq")
    assert first.input.names == ("fixed", "r")
    assert second.output.paths == ("g/S2.o",)
    assert (first.shell, first.script, first.log) == ("x S1 L {input}", "s.py S1", "S1.log")
    assert (first.pre_exec, first.on_success, first.on_failure) == (
        "pre_exec S1",
        "on_success S1",
        "on_failure S1",
    )
    assert first.rule is second.rule
    assert first.rule.params == {"p": "{sample}"}
    assert first.bindings == (("lab", "L"), ("group", "g"), ("sample", "S1"))


def test_group_metadata_does_not_fan_out():
    assert names(jobs_of(GROUP + rule("a", shell='"{lab}"'))) == ["a"]


def test_pair_metadata_fans_out_and_stays_literal_where_a_pair_lacks_it():
    jobs = jobs_of(PAIRS + rule("a", shell='"[{kit}] {experiment_type}"'))
    assert [(job.name, job.shell) for job in jobs] == [
        ("a_P1", "[x] {experiment_type}"),
        ("a_P2", "[{kit}] {experiment_type}"),
    ]


def test_a_rule_with_pair_and_sample_placeholders_follows_the_pairs():
    jobs = jobs_of(PAIRS + GROUP + rule("a", shell='"{sample} {pair_id}"'))
    assert [job.shell for job in jobs] == ["{sample} P1", "{sample} P2"]


def test_without_any_sample_a_rule_runs_once_with_its_braces():
    job = the_job('[[sample_groups]]\nname = "g"\n' + rule("a", shell='"{sample}"'))
    assert (job.name, job.shell, job.bindings) == ("a", "{sample}", ())


def test_when_a_constraint_drops_everything_the_rule_disappears():
    text = '[wildcard_constraints]\nsample = "^X"\n' + GROUP + rule("a", shell='"{sample}"')
    assert jobs_of(text) == ()


def test_when_no_pair_counts_the_rule_disappears():
    text = PAIRS.replace("[[pairs]]", "[[pairs]]\nwhen = 'config.no'") + rule(
        "a", shell='"{pair_id}"'
    )
    assert jobs_of(text) == ()


NUMBERS = "[1.0, 2.50, 1e3, 1e-7, -0.0, 3, true]"
MAKERS = {
    "a table": f"[[values]]\nname = 'k'\nvalues = {NUMBERS}\n"
    + rule("m", output='["{k}.x"]', shell='"x"'),
    "a list of the config": '[[values]]\nname = "k"\nvalues_from = "config.all"\n'
    + rule("m", output='["{k}.x"]', shell='"x"'),
    "a scatter": rule(
        "m", output='["{k}.x"]', shell='"x"', scatter=f'{{ variable = "k", values = {NUMBERS} }}'
    ),
    "a scatter over the config": rule(
        "m",
        output='["{k}.x"]',
        shell='"x"',
        scatter='{ variable = "k", values_from = "config.all" }',
    ),
}


@pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS)
def test_a_number_has_one_text_wherever_it_stands(maker: str):
    reader = '[{ pattern = "{n}.x", variables = { n = "config.all" } }]'
    text = f"[config]\nall = {NUMBERS}\n{maker}" + rule("r", expand_inputs=reader, shell='"x"')
    *making, reading = jobs_of(text)
    made = tuple([path for job in making for path in job.output.paths])
    assert made == ("1.0.x", "2.5.x", "1000.0.x", "0.0000001.x", "-0.0.x", "3.x", "true.x")
    assert reading.input.paths == made


def test_names_are_not_cleaned_but_values_are():
    text = (
        '[[sample_groups]]\nname = "a/b"\nsamples = ["x y/../z"]\n'
        '[[values]]\nname = "v"\nvalues = ["p/q é"]\n' + rule("r", shell='"{sample}{v}"')
    )
    assert names(jobs_of(text)) == ["r_v_p_q___a/b_x y/../z"]


@pytest.mark.parametrize("text", ['"{values.k}"', '"{k}"'])
def test_a_value_table_may_be_named_with_its_prefix(text: str):
    values = '[[values]]\nname = "k"\nvalues = [true, 0.0001]\n'
    jobs = jobs_of(values + rule("r", shell=text))
    assert [(job.name, job.shell) for job in jobs] == [
        ("r_k_true", "true"),
        ("r_k_0_0001", "0.0001"),
    ]


def test_an_expand_inputs_pattern_names_a_value_table_too():
    text = '[[values]]\nname = "k"\nvalues = ["a", "b"]\n' + GROUP
    spec = '[{ pattern = "{k}/{s}", variables = { s = "config.samples_list" } }]'
    jobs = jobs_of(text + rule("j", expand_inputs=spec))
    assert [(job.name, job.input.paths) for job in jobs] == [
        ("j_k_a", ("a/S1", "a/S2")),
        ("j_k_b", ("b/S1", "b/S2")),
    ]


def test_a_value_beats_metadata_of_the_same_name():
    text = (
        '[[values]]\nname = "kit"\nvalues = ["v"]\n' + PAIRS + rule("a", shell='"{pair_id} {kit}"')
    )
    assert [job.shell for job in jobs_of(text)] == ["P1 v", "P2 v"]


def test_a_values_table_may_take_its_values_from_the_config():
    text = '[config]\nks = "a, b"\n[[values]]\nname = "k"\nvalues_from = "config.ks"\n'
    assert names(jobs_of(text + rule("r", shell='"{k}"'))) == ["r_k_a", "r_k_b"]


def test_colliding_job_names_say_who_collides():
    found = problem(GROUP + rule("a", shell='"{sample}"') + rule("a_g_S1"))
    assert found.code == "E016"
    assert "duplicate rule name" in found.message
    assert "'a' and 'a_g_S1'" in found.message
    twice = problem(
        "[[sample_groups]]\nname = 'g'\nsamples = ['S', 'S']\n" + rule("a", shell='"{sample}"')
    )
    assert "makes the job 'a_g_S' twice, for the sample 'S' is listed twice" in twice.message
    assert twice.suggestion == "list each sample, group, pair and value only once"


def test_a_pair_that_is_listed_twice_is_told_once_whatever_it_is_combined_with():
    pair = '[[pairs]]\npair_id = "P"\nexperiment = "%s"\n'
    values = '[[values]]\nname = "k"\nvalues = ["%s", "%s"]\n'
    both = rule("a", shell='"{pair_id} {k}"') + rule("b", shell='"{pair_id}"')
    with pytest.raises(WorkflowError) as failure:
        jobs_of(pair % "x" + pair % "y" + values % ("1", "2") + both)
    (found,) = failure.value.diagnostics
    assert "rule 'a' makes the job 'a_k_1_P' twice, for the pair 'P' is listed" in found.message
    with pytest.raises(WorkflowError) as failure:
        jobs_of(pair % "x" + values % ("a.b", "a_b") + both)
    assert [d.message[-5:] for d in failure.value.diagnostics] == ["twice"]


@pytest.mark.parametrize("value", ["$(id)", "`id`", "a\\nb"])
def test_a_sample_that_a_shell_would_run_is_refused(value: str):
    assert problem(f'[[sample_groups]]\nname = "g"\nsamples = ["{value}"]').code == "E011"


def test_metadata_may_not_take_the_name_of_an_engine_placeholder():
    assert "'input'" in problem(PAIRS.replace("kit", "input")).message


# depends_on


def test_depends_on_reaches_jobs_of_every_kind_of_rule():
    text = (
        rule("s", scatter='{ variable = "v", values = ["1", "2"] }', shell='"{v}"')
        + rule(
            "t",
            output='["o"]',
            transform='{ split = { by = "k", n = 2 }, map = "m", combine = "c" }',
        )
        + rule("m", output='["p"]', transform='{ split = { by = "k", n = 2 }, map = "m" }')
        + rule("z", depends_on='["s", "t", "m", "s_1", "s"]')
    )
    assert by_name(jobs_of(text))["z"].depends_on == (
        "s_1",
        "s_2",
        "t_combine",
        "m_0",
        "m_1",
    )


def test_an_unknown_dependency_is_left_for_the_dag():
    assert the_job(rule("a", depends_on='["who"]')).depends_on == ("who",)


# scatter


def test_scatter_multiplies_a_fan_out_and_fills_every_text():
    text = GROUP + rule(
        "r",
        output='["{sample}.{v}"]',
        shell='"{sample} {v}"',
        log='"{v}.log"',
        scatter='{ variable = "v", values_from = "vs" }',
    )
    jobs = jobs_of('[config]\nvs = ["a", 2]\n' + text)
    assert names(jobs) == ["r_g_S1_a", "r_g_S1_2", "r_g_S2_a", "r_g_S2_2"]
    assert (jobs[1].output.paths, jobs[1].log) == (("S1.2",), "2.log")


def test_scatter_without_values_makes_no_job_and_an_unknown_gather_does_nothing():
    none = rule("r", shell='"{v}"', scatter='{ variable = "v", values_from = "config.gone" }')
    lost = rule("q", shell='"{v}"', scatter='{ variable = "v", values = ["1"], gather = "who" }')
    assert names(jobs_of(none + lost)) == ["q_1"]


def test_gather_keeps_to_the_same_sample_where_both_sides_fan_out():
    scatter = '{ variable = "v", values = ["1", "2"], gather = "m" }'
    text = (
        GROUP
        + rule("r", output='["{sample}.{v}"]', shell='"x"', scatter=scatter)
        + rule("m", input='{ own = "i.{sample}" }', output='["o.{sample}"]', shell='"x"')
    )
    merged = by_name(jobs_of(text))["m_g_S2"].input
    assert (merged.paths, merged.names) == (("i.S2", "S2.1", "S2.2"), ("own",))


# expand_inputs


@pytest.mark.parametrize(
    ("spec", "paths"),
    [
        ('{ pattern = "{a}{b}", variables = { b = "l", a = "m" } }', ("p1", "p2", "q1", "q2")),
        ('{ pattern = "{a}{a}", variables = { a = "m" } }', ("pp", "qq")),
        ('{ pattern = "{a}/{x}", variables = { a = "[\\"z\\"]" } }', ("z/{x}",)),
        ('{ pattern = "{a}{b}", variables = { a = "m", b = "empty" } }', ("p{b}", "q{b}")),
        ('{ pattern = "{a}", variables = { a = "one" } }', ("x,y",)),
        ('{ pattern = "fixed", variables = { a = "m" } }', ("fixed",)),
        ('{ pattern = "{a}", variables = { a = "[1, 2]" } }', ("1", "2")),
        ('{ pattern = "{a}", variables = { a = "[x, y]" } }', ("x", "y")),
    ],
)
def test_patterns_multiply_with_the_first_placeholder_slowest(spec: str, paths: tuple[str, ...]):
    config = '[config]\nl = "1,2"\nm = ["p", "q"]\nempty = ""\none = ["x,y"]\n'
    assert the_job(config + rule("j", expand_inputs=f"[{spec}]")).input.paths == paths


def test_an_empty_list_adds_nothing_to_what_is_gathered():
    config = '[config]\nm = ["p"]\nnone = []\nempty = ""\n'
    more = '{ pattern = "{a}", variables = { a = "none" } }'
    more += ', { pattern = "{a}{b}", variables = { a = "m", b = "config.empty" } }'
    gathered = rule(
        "j", expand_inputs=f'[{{ pattern = "{{a}}", variables = {{ a = "m" }} }}, {more}]'
    )
    assert the_job(config + gathered).input.paths == ("p",)
    own = rule("j", input='["i"]', expand_inputs=f"[{more}]")
    assert the_job(config + own).input.paths == ("i",)
    assert the_job(config + rule("j", expand_inputs=f"[{more}]")).input.paths == ("{a}", "p{b}")
    later = '[{ pattern = "{s}", variables = { s = "config.samples_list" } }]'
    found_later = '[config]\nsamples_list = ""\n' + rule("j", input='["i"]', expand_inputs=later)
    assert the_job(found_later).input.paths == ("i", "{s}")


def test_a_pattern_may_use_the_values_of_its_own_job():
    spec = '[{ pattern = "{sample}/{k}", variables = { k = "config.samples_{group}" } }]'
    jobs = jobs_of(GROUP + rule("j", shell='"{sample}"', expand_inputs=spec))
    assert jobs[1].input.paths == ("S2/S1", "S2/S2")


# when


def test_a_condition_on_wildcards_keeps_the_jobs_for_which_it_holds():
    text = GROUP + (
        '[[sample_groups]]\nname = "h"\nsamples = ["S3"]\nmetadata = { lab = "M" }\n'
        "[config]\nx = false\n"
    )
    when = "\"wildcard.lab == 'L' && (config.x || wildcard.sample != 'S1' || file_exists('f'))\""
    jobs = jobs_of(text + rule("a", shell='"{sample}"', when=when))
    assert [(job.name, job.rule.when) for job in jobs] == [
        ("a_g_S1", "true && (config.x || false || file_exists('f'))"),
        ("a_g_S2", "true && (config.x || true || file_exists('f'))"),
        ("a_h_S3", "false && (config.x || true || file_exists('f'))"),
    ]
    plain = jobs_of(text + rule("a", shell='"{sample}"', when="\"wildcard.lab == 'M'\""))
    assert names(plain) == ["a_h_S3"]


def test_a_rule_of_one_job_keeps_it_whatever_its_condition_asks():
    (job,) = jobs_of(PAIRS + rule("a", shell='"x"', when="\"wildcard.control != ''\""))
    assert (job.name, job.rule.when) == ("a", "false")


def test_a_condition_may_ask_for_the_value_of_a_scatter():
    scatter = '{ variable = "chr", values = ["1", "X"] }'
    when = "\"wildcard.chr == 'X'\""
    text = rule("a", shell='"x {chr} {sample}"', scatter=scatter, when=when)
    assert names(jobs_of(text)) == ["a_X"]
    assert names(jobs_of(GROUP + text)) == ["a_g_S1_X", "a_g_S2_X"]


def test_two_rules_that_exclude_each_other_may_write_the_same_file():
    text = rule("a", output='["o"]', shell='"x"', when='"config.k"') + rule(
        "b", output='["o"]', shell='"x"', when='"!config.k"'
    )
    assert names(jobs_of(text)) == ["a", "b"]


def test_a_pair_may_depend_on_the_config():
    text = PAIRS + 'when = "config.more"\n' + rule("a", shell='"{pair_id}"')
    assert names(jobs_of("[config]\nmore = false\n" + text)) == ["a_P1"]


# Limits


@pytest.mark.parametrize(
    "text",
    [
        "".join(f'[[values]]\nname = "v{i}"\nvalues = ["a", "b"]\n' for i in range(64))
        + rule("a", shell='"' + "".join(f"{{v{i}}}" for i in range(64)) + '"'),
        rule("a", scatter='{ variable = "v", values_from = "config.l" }', shell='"{v}"'),
        rule("a", transform='{ split = { by = "k", n = 2000 }, map = "m" }'),
        rule("a", transform='{ split = { by = "k", values_from = "l" }, map = "m" }'),
        rule(
            "a",
            expand_inputs='[{ pattern = "{a}{b}", variables = { a = "l", b = "l" } }]',
        ),
        '[[sample_groups]]\nname = "g"\nsamples = ["s"]\n'
        + rule("a", shell='"{sample}' + "x" * 3_000_000 + '"'),
    ],
)
def test_what_would_become_too_much_names_the_rule_and_the_cure(text: str):
    found = problem_with_limit("[config]\nl = '" + ",".join(map(str, range(1001))) + "'\n" + text)
    assert found.rule == "a"
    assert re.search("use (shorter lists|a smaller n)", f"{found.message} {found.suggestion}")


def problem_with_limit(text: str) -> Diagnostic:
    with pytest.raises(WorkflowError) as caught:
        expand(composed(text, limits=Limits(jobs=1000)), Files())
    return caught.value.diagnostics[0]


def test_jobs_up_to_the_limit_are_made():
    text = rule("a", transform='{ split = { by = "k", n = 1000 }, map = "m {k}" }')
    assert len(expand(composed(text, limits=Limits(jobs=1000)))) == 1000


def test_a_deadline_that_has_passed_stops_the_expansion():
    workflow = parse_workflow(HEAD + rule("a"))
    with pytest.raises(WorkflowError, match="longer than 2 s"):
        expand(workflow, deadline=Deadline.after(2, now=iter([0.0, 1.0, 2.5, 3.0]).__next__))
    assert expand(workflow, deadline=Deadline.after(2, now=lambda: 0.0))


def test_metadata_in_conditions_chooses_the_branch_of_each_group():
    text = (
        "[config]\ndedup = false\n"
        '[[sample_groups]]\nname = "g"\nsamples = ["S1"]\nmetadata = { dedup = "true" }\n'
        '[[sample_groups]]\nname = "h"\nsamples = ["S2"]\n'
    )
    with_it = "(config.dedup || {meta.dedup} == 'true') && {meta.dedup} != 'false'"
    without = "(!config.dedup || {meta.dedup} == 'false') && {meta.dedup} != 'true'"
    made = jobs_of(
        text
        + rule("with", shell='"{sample}"', when=f'"{with_it}"')
        + rule("without", shell='"{sample}"', when=f'"{without}"')
    )
    assert names(made) == ["with_g_S1", "without_h_S2"]


def test_a_wildcard_in_a_comment_of_the_command_fans_out_too():
    text = '[[sample_groups]]\nname = "g"\nsamples = ["S1", "S2"]\n'
    made = jobs_of(text + rule("a", shell='"""\n# for ${sample}\ntrue\n"""'))
    assert [job.shell for job in made] == ["# for $S1\ntrue\n", "# for $S2\ntrue\n"]


def test_a_constraint_is_searched_anywhere_in_the_value_unless_it_is_anchored():
    text = '[[sample_groups]]\nname = "g"\nsamples = ["S1", "xS2", "T"]\n'
    for pattern, kept in (("S[0-9]", ["a_g_S1", "a_g_xS2"]), ("^S[0-9]", ["a_g_S1"])):
        found = f"[wildcard_constraints]\nsample = '{pattern}'\n" + text
        assert names(jobs_of(found + rule("a", shell='"{sample}"'))) == kept
