"""Placeholders become commands as spec 2.2 says, and nothing else is touched."""

import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oxoflow.engine.interpreters import is_acceptable
from oxoflow.engine.render import Renderer, quote, render_job
from oxoflow.errors import WorkflowError
from oxoflow.lang.model import (
    ConfigDeclaration,
    Defaults,
    FileSet,
    Job,
    Resources,
    Rule,
    Workflow,
)
from tests.engine.making import Machine


def rendered(
    shell, reads=("a", "b"), writes=("out",), config=None, names=(), workflow=None, **rule
):
    inputs, outputs = FileSet(tuple(reads), tuple(names)), FileSet(tuple(writes))
    made = Rule("r", input=inputs, output=outputs, shell=shell, **rule)
    job = Job(
        "r",
        made,
        input=inputs,
        output=outputs,
        shell=shell,
        script=made.script,
        log=made.log,
        pre_exec=made.pre_exec,
    )
    return render_job(job, workflow or Workflow("w", config=config or {}), Machine())


@pytest.mark.parametrize(
    ("shell", "expected"),
    [
        ("cat {input[0]} {input} > {output[0]}", "cat a a b > out"),
        ("{input[7]} {output[1]}", "{input[7]} {output[1]}"),
        ("{input.x} {output.y}", "{input.x} {output.y}"),
        ("-t {threads} {memory}", "-t 1 {memory}"),
        ("{effective_threads} {effective_memory_mb}", "1 1000"),
        ("{log} {log[0]} {params.k}", "{log} {log[0]} {params.k}"),
        ("{values.k} {env.X} {unknown}", "{values.k} {env.X} {unknown}"),
        ("$(({threads} - 1)) ${run_id} ${s}_1", "$((1 - 1)) ${run_id} ${s}_1"),
        ("awk 'BEGIN { x } {print $14}'", "awk 'BEGIN { x } {print $14}'"),
        ("find -exec rm {} \\;", "find -exec rm {} \\;"),
        ("{{input}} {input {threads}}", "{a b} {input 1}"),
        ("# {1,2} { a; } || { b; }", "# {1,2} { a; } || { b; }"),
        ("{in\nput}", "{in\nput}"),
    ],
)
def test_known_placeholders_are_filled_and_others_stay(shell, expected):
    assert rendered(shell).command == expected


def test_threads_and_memory_are_declared_and_clamped():
    resources = Resources(threads=96, memory="8G")
    made = rendered(
        "{threads} {memory} {effective_threads} {effective_memory_mb}", resources=resources
    )
    assert made.command == "96 8G 4 1000"
    assert (made.threads, made.memory_mb) == (96, 8192)
    assert rendered("{threads}", threads=2, resources=resources).command == "2"
    assert rendered("{threads}", resources=Resources(threads=0)).command == "1"


def test_a_retry_with_more_memory_says_so():
    rule = Rule("r", shell="x", memory="1G")
    job = Job("r", rule, shell="{memory} {effective_memory_mb}")
    renderer = Renderer(Workflow("w"), Machine(memory_mb=9000))
    assert renderer.render(job).command == "1G 1024"
    assert renderer.render(job, memory_mb=2048).command == "2048M 2048"


def test_named_files_are_filled_by_name():
    made = rendered("x {input.reads} {input[0]}", reads=("d.fq",), names=("reads",))
    assert made.command == "x d.fq d.fq"


def test_config_is_filled_last_and_everywhere():
    config = {"d": "{config.e}", "e": "res", "tools": ["x", "y"], "n": 30, "f": True}
    made = rendered(
        "{config.tools} {config.n} {config.f} {output} {params.p}",
        writes=("{config.d}/o",),
        config=config,
        params={"p": "{config.e}", "q": 3},
        envvars={"DIR": "{config.d}"},
        log="{config.d}/log.txt",
        pre_exec="mkdir {config.d}; {log}",
    )
    assert made.command == "x y 30 true res/o res"
    assert made.env == {"DIR": "res"}
    assert made.log == "res/log.txt"
    assert made.pre_exec == "mkdir res; res/log.txt"
    assert made.outputs == ("res/o",)


def test_values_of_config_and_params_may_not_name_files():
    made = rendered("{config.a} {params.p}", config={"a": "{input}"}, params={"p": "{threads}"})
    assert made.command == "{input} {threads}"


def test_params_carry_the_wildcards_of_their_job_and_no_other_braces():
    files = FileSet(("a.bam",))
    rule = Rule("r", params={"rg": r"@RG\tID:{sample}\tLB:{lib} {1,2}"}, shell="{params.rg}")
    job = Job("r_S1", rule, input=files, shell=rule.shell, bindings=(("sample", "S1"),))
    made = render_job(job, Workflow("w"), Machine())
    assert made.command == r"@RG\tID:S1\tLB:{lib} {1,2}"


def test_an_undefined_config_key_stops_with_the_nearest_name():
    with pytest.raises(
        WorkflowError, match=r"rule 'r': '\{config.typo\}'.*did you mean 'config.type'"
    ):
        rendered("{config.typo}", config={"type": "x"})


@pytest.mark.parametrize(
    ("script", "rule", "expected"),
    [
        ("x.sh a", {}, "bash x.sh a"),
        ('x.R a "" b', {}, 'Rscript x.R a "" b'),
        ("x.PL", {}, "perl x.PL"),
        ("x.py3", {}, "python3 x.py3"),
        ("./tool --flag", {}, "./tool --flag"),
        (".py", {}, ".py"),
        ("x.lua", {}, "lua x.lua"),
        ("x.sh", {"interpreter": "zsh -f"}, "zsh -f x.sh"),
        ("x.sh", {"interpreter": "../zsh"}, "bash x.sh"),
        ("x.sh {input}", {}, "bash x.sh a b"),
    ],
)
def test_scripts_get_the_interpreter_of_their_suffix(script, rule, expected):
    workflow = Workflow("w", interpreter_map={".lua": "lua"})
    assert rendered(None, script=script, workflow=workflow, **rule).command == expected


@pytest.mark.parametrize(("there", "expected"), [(True, "python s.py"), (False, "python3 s.py")])
def test_python_scripts_fall_back_to_python3(there, expected):
    renderer = Renderer(Workflow("w"), Machine(), has_program=lambda name: there)
    assert renderer.render(Job("r", Rule("r"), script="s.py")).command == expected


def test_shell_comes_before_the_script():
    assert rendered("echo {input[0]}", script="x.sh").command == "echo a\nbash x.sh"
    assert rendered(None).command is None


@pytest.mark.parametrize(
    ("path", "accepted"),
    [
        ("python3.11", True),
        ("/usr/bin/env perl", True),
        ("/opt/x/bin/r", True),
        ("/tmp/evil", False),
        ("../x", False),
        ("/usr/bin/../../tmp/x", False),
        (" ", False),
    ],
)
def test_interpreters_come_from_usual_places(path, accepted):
    assert is_acceptable(path) is accepted


def test_scratch_rules_see_the_work_directory_by_absolute_paths():
    rule = Rule("r", scratch=True)
    job = Job(
        "r",
        rule,
        shell="cat {input} > {output} 2> {log}",
        script="tools/x.sh a",
        log="logs/r.log",
        input=FileSet(("in/a", "/abs/b")),
        output=FileSet(("out/c",)),
    )
    made = Renderer(Workflow("w"), Machine(), workdir="/w").render(job)
    assert made.command == ("cat /w/in/a /abs/b > out/c 2> /w/logs/r.log\nbash /w/tools/x.sh a")
    assert made.outputs == ("out/c",)


def test_an_environment_gets_exports_and_prelude_in_front():
    workflow = Workflow("w", defaults=Defaults(shell_prelude="set -u\n"))
    made = rendered("x", workflow=workflow, envvars={"A": "it's"})
    assert made.composed() == "export A='it'\\''s'\nset -u\nx"
    assert made.with_prelude("hook") == "set -u\nhook"


def test_temporary_files_are_those_of_the_job():
    rule = Rule("r", temp_output=("tmp/{sample}.{config.x}",))
    job = Job("r_S1", rule, bindings=(("sample", "S1"),), shell="x")
    made = Renderer(Workflow("w", config={"x": "sam"}), Machine())
    assert made.temporaries(job) == ("tmp/S1.sam",)


def symbolic(job, **config):
    return Renderer(Workflow("w", config=config), Machine()).symbolic(job)


def test_the_symbolic_text_leaves_out_what_does_not_decide():
    one = Job("r", Rule("r", threads=2, memory="1G"), shell="{threads} {memory} {log}", log="a.log")
    two = Job("r", Rule("r", threads=9, memory="2G"), shell="{threads} {memory} {log}", log="b.log")
    assert symbolic(one) == symbolic(two) == "{threads} {memory} {log}"
    assert symbolic(Job("r", Rule("r"), shell="{config.q}"), q=20) == "20"


def test_sensitive_values_are_masked_and_stay_out_of_the_key():
    workflow = Workflow(
        "w", config={"token": "s3cret"}, declared={"token": ConfigDeclaration(sensitive=True)}
    )
    renderer = Renderer(workflow, Machine())
    job = Job("r", Rule("r"), shell="curl -H {config.token}")
    assert renderer.render(job).command == "curl -H s3cret"
    assert renderer.masked("curl -H s3cret") == "curl -H ***"
    assert "s3cret" not in renderer.symbolic(job)


braces = st.text(st.sampled_from("{}[]. $\n0ax"), max_size=30)


@settings(max_examples=300)
@given(braces)
def test_text_without_known_names_survives(text):
    assert rendered(f"x{text}").command == f"x{text}"


@given(st.text(max_size=20))
def test_quoted_text_is_one_word_of_the_shell(text):
    assert shlex.split(quote(text)) == [text]
