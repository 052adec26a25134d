"""Facts 6-8, 23, 34-51, 62 and 70 of spec/oxoflow-format.md section 7, each under its number.

47-51 as design 5 reads them: content decides, and downstream runs only if its inputs changed.
"""

import os

import pytest

from oxoflow.engine.dag import build_dag
from oxoflow.engine.draw import to_dot
from oxoflow.engine.records import Removed
from oxoflow.engine.render import Renderer
from oxoflow.engine.select import job_graph, levels, metrics, order, select
from oxoflow.engine.state import State
from oxoflow.errors import GraphError, WorkflowError
from oxoflow.lang.condition import evaluate
from oxoflow.lang.view import NOTHING
from tests.engine.making import Machine, carry_out, decisions, job, load, verdicts

CHAIN = """
[config]
q = 20
other = 1
[[rules]]
name = "a"
input = ["in.txt"]
output = ["a.txt"]
shell = "cat {input} > {output}"
[[rules]]
name = "b"
input = ["a.txt"]
output = ["b.txt"]
shell = "cat {input} > {output}; echo {config.q} >> {output}"
"""


def command(text, name=None, **options):
    loaded = load(text, **options)
    chosen = next(each for each in loaded.jobs if name in (None, each.name))
    return Renderer(loaded.workflow, Machine()).render(chosen).command


def rule(name, body):
    return f'[[rules]]\nname = "{name}"\n{body}\n'


def test_06_the_default_of_a_declaration_is_rendered():
    head = '[config]\nk = { default = "5", help = "h" }\n'
    assert command(head + rule("r", 'shell = "echo {config.k}"')) == "echo 5"


@pytest.mark.parametrize(
    ("declared", "overrides", "words"),
    [
        ("k = { required = true }", {}, "--k"),
        ('k = { default = "dna", choices = ["dna", "rna"] }', {"k": "xyz"}, "dna, rna"),
    ],
)
def test_07_08_a_value_that_is_missing_or_not_allowed_stops_the_run_first(
    tmp_path, declared, overrides, words
):
    text = f"[config]\n{declared}\n" + rule("ok", 'output = ["ok"]\nshell = "touch ok"')
    with pytest.raises(WorkflowError, match=words):
        carry_out(text, tmp_path, overrides=overrides)
    assert not (tmp_path / "ok").exists()


def test_23_a_rule_that_joins_all_samples_follows_each_of_their_jobs():
    groups = '[[sample_groups]]\nname = "g"\nsamples = ["S1", "S2"]\n'
    spec = '[{ pattern = "v/{s}.g", variables = { s = "config.samples_list" } }]'
    make = rule("make", 'output = ["v/{sample}.g"]\nshell = "x"')
    dag = load(groups + make + rule("j", f'expand_inputs = {spec}\nshell = "x"')).dag
    assert [each.name for each in dag.jobs] == ["make_g_S1", "make_g_S2", "j"]
    assert dag.parents == ((), (), (0, 1))


def test_34_indexed_files_and_an_index_out_of_range():
    text = rule(
        "r",
        'input = ["a", "b"]\noutput = ["out"]\n'
        'shell = "cat {input[0]} {input} > {output[0]} {input[7]}"',
    )
    assert command(text) == "cat a a b > out {input[7]}"


def test_35_named_inputs():
    assert command(rule("r", 'input = { reads = "d.fq" }\nshell = "x {input.reads}"')) == "x d.fq"


def test_36_config_values_refer_to_each_other_and_cycles_end():
    head = '[config]\na = "{config.b}"\nb = "{config.c}"\nc = "/z"\n'
    head += 'x = "{config.y}"\ny = "{config.x}"\n'
    assert command(head + rule("r", 'shell = "{config.a}"')) == "/z"
    assert "{config." in command(head + rule("r", 'shell = "{config.x}"'))


def test_37_arrays_become_words():
    text = '[config]\ntools = ["x", "y"]\n' + rule("r", 'shell = "for t in {config.tools}"')
    assert command(text) == "for t in x y"


def test_38_an_undefined_config_key_stops_before_anything_runs(tmp_path):
    text = rule("ok", 'output = ["ok.txt"]\nshell = "touch ok.txt"')
    text += rule("r", 'shell = "echo {config.typo}"')
    with pytest.raises(WorkflowError, match=r"rule 'r': \{config\.typo\} is not defined"):
        carry_out(text, tmp_path)
    assert not (tmp_path / "ok.txt").exists()


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("config.a && config.n >= 20 || config.f", True),
        ("config.missing", False),
        ('config.missing != "x"', False),
        ("what is this", True),
    ],
)
def test_39_conditions(when, expected):
    assert evaluate(when, {"a": True, "n": 30, "f": False}, NOTHING) is expected


def test_39_a_false_condition_skips_and_counts_as_satisfied(tmp_path):
    text = "[config]\non = false\n"
    text += rule("a", 'output = ["a.txt"]\nwhen = "config.on"\nshell = "touch a.txt"')
    text += rule("b", 'depends_on = ["a"]\noutput = ["b.txt"]\nshell = "touch b.txt"')
    found = decisions(text, tmp_path, rerun=True)
    assert found["a"].verdict.value == "skip"
    assert [(reason.part, reason.new) for reason in found["a"].reasons] == [("when", "false")]
    assert found["b"].verdict.value == "run"


def test_40_one_edge_for_a_file_and_a_depends_on():
    jobs = [job("a", [], ["x"]), job("b", ["x"], ["y"])]
    assert build_dag(jobs).edge_count == 1
    assert build_dag([jobs[0], job("b", ["x"], ["y"], after=["a"])]).edge_count == 1


@pytest.mark.parametrize(
    ("reads", "expected"),
    [("m/*.bam", (0, 1)), ("m", (0, 1)), ("m/", (0, 1)), ("refs/genome.fa", (2,))],
)
def test_41_globs_and_directories_link_all_producers(reads, expected):
    producers = [
        job("a", [], ["m/S1.bam"]),
        job("b", [], ["m/S2.bam"]),
        job("g", [], ["refs/genome.fa"]),
    ]
    assert build_dag([*producers, job("c", [reads])]).parents[3] == expected


def test_42_templates_and_several_producers_of_one_file():
    assert build_dag([job("a", [], ["v/{s}.vcf"]), job("b", ["v/N1.vcf"])]).parents[1] == (0,)
    two = [job("a", [], ["x"]), job("b", [], ["x"]), job("c", ["x"])]
    assert build_dag(two).parents[2] == (0, 1)


def test_43_writing_into_the_directory_one_reads_is_no_cycle():
    assert build_dag([job("a", ["qc"], ["qc/sum.tsv"])]).parents == ((),)


def test_44_a_cycle_is_named():
    jobs = [job("a", ["z"], ["x"]), job("b", ["x"], ["y"]), job("c", ["y"], ["z"])]
    with pytest.raises(GraphError, match="cycle detected in workflow DAG: a → b → c → a"):
        build_dag(jobs)


def test_45_a_diamond():
    dag = build_dag(
        [
            job("source", [], ["s"]),
            job("left", ["s"], ["l"]),
            job("right", ["s"], ["r"]),
            job("merge", ["l", "r"], ["m"]),
        ]
    )
    assert levels(dag) == [["source"], ["left", "right"], ["merge"]]
    figures = metrics(dag)
    assert (figures.edge_count, figures.max_depth, figures.max_width) == (4, 3, 2)
    assert [dag.jobs[at].name for at in select(dag, ["lef"])] == ["source", "left"]
    assert order(dag)[0] == "source"


def test_46_dot():
    text = to_dot(job_graph(build_dag([job("a", [], ["x"]), job("b", ["x"])])))
    assert text == ('digraph {\n    0 [ label = "a" ]\n    1 [ label = "b" ]\n    0 -> 1 [ ]\n}\n')


def test_47_results_newer_than_their_inputs_are_taken_over_once(tmp_path):
    text = rule("a", 'input = ["in.txt"]\noutput = ["a.txt"]\nshell = "cp in.txt a.txt"')
    (tmp_path / "in.txt").write_text("1")
    (tmp_path / "a.txt").write_text("1")
    os.utime(tmp_path / "in.txt", ns=(1, 1))
    found = decisions(text, tmp_path)["a"]
    assert (found.verdict.value, found.adopt) == ("skip", True)
    os.utime(tmp_path / "in.txt")
    os.utime(tmp_path / "a.txt", ns=(1, 1))
    assert verdicts(text, tmp_path) == {"a": "run"}
    os.utime(tmp_path / "in.txt", ns=(1, 1))  # equal times are not newer
    assert verdicts(text, tmp_path) == {"a": "run"}
    os.utime(tmp_path / "a.txt")
    assert carry_out(text, tmp_path) == []
    os.utime(tmp_path / "in.txt")  # now there is a record, and times say nothing
    assert verdicts(text, tmp_path) == {"a": "skip"}


def test_48_touch_re_runs_nothing_but_content_does(tmp_path):
    source = tmp_path / "in.txt"
    source.write_text("one")
    assert carry_out(CHAIN, tmp_path) == ["a", "b"]
    before = source.stat()
    source.touch()
    assert carry_out(CHAIN, tmp_path) == []
    source.write_text("two")
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
    found = decisions(CHAIN, tmp_path)
    assert {name: each.verdict.value for name, each in found.items()} == {"a": "run", "b": "check"}
    assert [reason.part for reason in found["a"].reasons] == ["input.in.txt"]
    assert carry_out(CHAIN, tmp_path) == ["a", "b"]


def test_48_downstream_rests_when_its_inputs_come_out_the_same(tmp_path):
    text = CHAIN.replace("cat {input} > {output}", "head -1 {input} > {output}", 1)
    (tmp_path / "in.txt").write_text("one\ntwo\n")
    assert carry_out(text, tmp_path) == ["a", "b"]
    (tmp_path / "in.txt").write_text("one\nthree\n")
    assert carry_out(text, tmp_path) == ["a"]
    assert carry_out(text, tmp_path) == []


def test_49_a_new_file_under_a_glob_re_runs(tmp_path):
    text = rule("a", 'input = ["d/*.txt"]\noutput = ["a.txt"]\nshell = "cat {input} > {output}"')
    text += rule("b", 'input = ["a.txt"]\noutput = ["b.txt"]\nshell = "cat {input} > {output}"')
    (tmp_path / "d").mkdir()
    (tmp_path / "d/1.txt").write_text("1")
    assert carry_out(text, tmp_path) == ["a", "b"]
    assert carry_out(text, tmp_path) == []
    (tmp_path / "d/2.txt").write_text("2")
    reasons = decisions(text, tmp_path)["a"].reasons
    assert [(reason.part, reason.old) for reason in reasons] == [("input.d/2.txt", None)]
    assert carry_out(text, tmp_path) == ["a", "b"]


def test_50_a_config_key_re_runs_its_readers_and_threads_re_run_nothing(tmp_path):
    (tmp_path / "in.txt").write_text("x")
    carry_out(CHAIN, tmp_path)
    assert carry_out(CHAIN, tmp_path, overrides={"other": "2"}) == []
    found = decisions(CHAIN, tmp_path, overrides={"q": "30"})
    assert {name: each.verdict.value for name, each in found.items()} == {"a": "skip", "b": "run"}
    changed = {reason.part: (reason.old, reason.new) for reason in found["b"].reasons}
    assert changed["config.q"] == ("20", "30")
    more = CHAIN.replace('output = ["a.txt"]', 'output = ["a.txt"]\nthreads = 8\nmemory = "2G"')
    assert carry_out(more, tmp_path) == []


def test_51_a_foreign_checkpoint_is_ignored(tmp_path):
    text = rule("a", 'output = ["a.txt"]\nshell = "touch a.txt"')
    (tmp_path / ".oxo-flow").mkdir()
    (tmp_path / ".oxo-flow/checkpoint.json").write_text('{"completed_rules": ["a"]}')
    assert verdicts(text, tmp_path) == {"a": "run"}
    (tmp_path / ".oxo-flow/checkpoint.json").write_text('{"failed_rules": ["a"]}')
    (tmp_path / "a.txt").touch()  # the table's first row: what is there is taken over
    found = decisions(text, tmp_path)["a"]
    assert (found.verdict.value, found.adopt) == ("skip", True)


TEMPORARY = """
[[rules]]
name = "raw"
input = ["in.txt"]
output = ["raw.txt"]
temporary = true
shell = "cat in.txt > raw.txt"
[[rules]]
name = "use"
input = ["raw.txt"]
output = ["use.txt"]
shell = "cat raw.txt > use.txt"
"""


def test_62_deleted_temporary_results_are_made_again_only_when_needed(tmp_path):
    (tmp_path / "in.txt").write_text("x")
    assert carry_out(TEMPORARY, tmp_path) == ["raw", "use"]
    (tmp_path / "raw.txt").unlink()
    state = State(tmp_path / ".oxo-flow/state.sqlite")
    state.apply([Removed("raw")])
    state.close()
    assert verdicts(TEMPORARY, tmp_path) == {"raw": "skip", "use": "skip"}
    (tmp_path / "use.txt").unlink()
    found = decisions(TEMPORARY, tmp_path)
    assert [reason.new for reason in found["raw"].reasons] == ["needed"]
    assert carry_out(TEMPORARY, tmp_path) == ["raw", "use"]
    assert carry_out(TEMPORARY, tmp_path) == []


def test_70_sensitive_values_are_stored_as_digests_only(tmp_path):
    text = '[config]\ntoken = { default = "s3cret", sensitive = true }\n'
    text += rule("a", 'output = ["a.txt"]\nshell = "echo {config.token} > a.txt"')
    assert carry_out(text, tmp_path) == ["a"]
    stored = (tmp_path / ".oxo-flow/state.sqlite").read_bytes()
    assert b"s3cret" not in stored
    assert b"sha256:" in stored
    assert carry_out(text, tmp_path) == []
    found = decisions(text, tmp_path, overrides={"token": "0ther"})["a"]
    assert found.verdict.value == "run"
    assert [reason.part for reason in found.reasons] == ["config.token"]
    assert "0ther" not in str(found.reasons)
