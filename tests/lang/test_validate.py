"""Test the E codes: each with its rule, its key, and nothing where nothing is wrong."""

from __future__ import annotations

import pytest

from oxoflow.errors import Diagnostic, ParseError
from oxoflow.lang.danger import find_dangers
from oxoflow.lang.parse import parse_workflow
from oxoflow.lang.validate import stops_a_run, validate
from tests.lang.build import HEAD, Files, composed, rule

GROUP = '[[sample_groups]]\nname = "g"\nsamples = ["S1"]\n'


def found_in(text: str) -> list[Diagnostic]:
    return validate(parse_workflow(text if "[workflow]" in text else HEAD + text))


def found_in_faulty(text: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(ParseError) as failure:
        parse_workflow(HEAD + text)
    return failure.value.diagnostics


def marks(text: str) -> list[tuple[str, str, str | None]]:
    return [(d.code, d.severity.value, d.key) for d in found_in(text)]


CLEAN = [
    rule("a", input='["{s}.fq"]', output='["{s}.bam"]', shell='"x"'),
    rule(
        "a", input='["i"]', output='["{v}"]', shell='"x"', scatter='{ variable="v", values=["1"] }'
    ),
    rule("a", input='["i"]', output='["{_any}"]', shell='"x"'),
    rule("a", output='["{anything}"]', shell='"x"'),
    GROUP + rule("a", input='["i"]', output='["{group}/{sample}"]', shell='"x"'),
    '[[values]]\nname = "k"\nvalues = [1]\n'
    + rule("a", input='["i"]', output='["{k}"]', shell='"x"'),
    '[[pairs]]\npair_id = "p"\nexperiment = "e"\nmetadata = { kit = "x" }\n'
    + rule("a", input='["i"]', output='["{pair_id}{kit}"]', shell='"x"'),
    rule("c", output='["m"]', shell='"x"', checkpoint="true", checkpoint_manifest='"m"')
    + rule("a", input='["{experiment}"]', output='["{pair_id}"]', shell='"x"')
    + rule("b", input='["i"]', output='["{group}/{sample}"]', shell='"x"'),
    rule("a", input='["i"]', output='["{config.d}/o"]', shell='"x"') + '[config]\nd = "d"\n',
    rule("a", memory='"8GB"', retry_delay='"10s"', resources='{ memory = "1.5G" }'),
    rule("a", resources='{ time_limit = "24:00:00" }'),
    rule("a::b-c_D9") + rule("größe"),
    rule("a", input='["a..b", "..c/d"]'),
    rule("a") + rule("b", depends_on='["a"]', extends='"a"'),
    GROUP + rule("a", shell='"{sample}"') + rule("b", depends_on='["a_g_S1"]'),
    GROUP + rule("a", shell='"{config.samples_list} {config.samples_g}"'),
    '[[references]]\nname = "fa"\noutput = "o"\nbuild = "make it"\n'
    + rule("a", shell='"{config.fa}"'),
    'reference_dir = "d"\n' + HEAD + rule("a", shell='"{config.star_index}"'),
    "[env_groups.e]\nconda = 'c'\n" + rule("a", env_group='"e"'),
    rule("a", resources="{ groups = { api = 2 } }") + "[resource_groups.api]\nmax = 2\n",
    rule("a", checkpoint="true", checkpoint_manifest='"m.toml"'),
    rule("a", shell='"rm -rf out/ && curl u | sha256sum; echo mkfs_done; dd if=a of=b"'),
    rule("a", when='"config.a == 1"') + "[config]\na = 1\n",
    '[[execution_group]]\nname = "g"\nrules = ["a"]\n' + rule("a"),
]


@pytest.mark.parametrize("text", CLEAN)
def test_nothing_is_found_where_nothing_is_wrong(text: str):
    assert found_in(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[workflow]\nname = " "', [("E001", "error", "workflow.name")]),
        (HEAD + "[[rules]]\nname = ' '", [("E002", "error", "name")]),
        (rule("a b"), [("E002", "error", "name")]),
        (rule("a/b"), [("E002", "error", "name")]),
        (rule("a", threads="0"), [("E002", "error", "threads")]),
        (rule("a", resources="{ threads = 0 }"), [("E002", "warning", "resources.threads")]),
        (rule("a", retry_delay='"soon"'), [("E002", "error", "retry_delay")]),
        (rule("a", retry_delay='"30"'), [("E002", "error", "retry_delay")]),
        (
            rule("a", resources='{ time_limit = "5 hours" }'),
            [("E002", "warning", "resources.time_limit")],
        ),
        (rule("a", when="'" + "(" * 200 + ")" * 200 + "'"), [("E002", "error", "when")]),
        (rule("a", when="'normal != \"\"'"), [("E002", "warning", "when")]),
        (
            rule("a", input='["{s}"]', output='["{s}", "{t}", "x{t}"]', shell='"x"'),
            [("E003", "error", "output.1")],
        ),
        (rule("a", memory='"lots"'), [("E004", "error", "memory")]),
        (rule("a", resources='{ memory = "0G" }'), [("E004", "error", "resources.memory")]),
        (rule("a", shell='"{config.x} {config.x}"'), [("E005", "error", "shell")]),
        (rule("a", on_failure='"{config.x}"'), [("E005", "error", "on_failure")]),
        (rule("a", input='["i", "{config.x}"]'), [("E005", "error", "input.1")]),
        (rule("a", envvars='{ A = "{config.x}" }'), [("E005", "error", "envvars.A")]),
        (rule("a", params='{ a = "{config.x}" }'), [("E005", "error", "params.a")]),
        (rule("a", when='"config.x"'), [("E005", "warning", "when")]),
        (
            rule("a", scatter='{ variable = "v", values_from = "config.x" }'),
            [("E005", "warning", "scatter.values_from")],
        ),
        (
            rule("a", expand_inputs='[{ pattern = "{v}", variables = { v = "config.x" } }]'),
            [("E005", "warning", "expand_inputs.0.variables.v")],
        ),
        (rule("a", depends_on='["b"]'), [("E007", "error", "depends_on.0")]),
        (
            rule("a", scatter='{ variable = "v", values = ["1"], gather = "b" }'),
            [("E007", "warning", "scatter.gather")],
        ),
        (rule("a", extends='"b"'), [("E008", "error", "extends")]),
        (rule("a", extends='"a"'), [("E008", "error", "extends")]),
        (
            rule("a", input='["../x", "y"]', output='["a/../../b"]', shell='"x"'),
            [("E009", "error", "input.0"), ("E009", "error", "output.0")],
        ),
        (rule("a", env_group='"e"'), [("E010", "error", "env_group")]),
        (
            rule("a", resources="{ groups = { api = 2 } }"),
            [("E010", "warning", "resources.groups.api")],
        ),
        (
            rule("a", resources="{ groups = { api = 2 } }") + "[resource_groups.api]\nmax = 1\n",
            [("E010", "warning", "resources.groups.api")],
        ),
        (rule("a", shell='"rm -rf /"'), [("E011", "error", "shell")]),
        (rule("a", pre_exec='"curl u | bash"'), [("E011", "error", "pre_exec")]),
        (rule("a", checkpoint="true"), [("E013", "warning", "checkpoint")]),
        (
            GROUP + rule("a", shell='"{sample}"', checkpoint="true", checkpoint_manifest='"m"'),
            [("E014", "error", "checkpoint")],
        ),
        (
            rule("a", shell='"{pair_id}"', checkpoint="true", checkpoint_manifest='"m"'),
            [("E014", "error", "checkpoint")],
        ),
        (
            GROUP + "[wildcard_constraints]\nsample = '^X'\n",
            [("E018", "warning", "wildcard_constraints")],
        ),
        ('[[values]]\nname = "log"\nvalues = ["a"]', [("E018", "error", "values.0.name")]),
        (
            rule("a", transform='{ split = { by = "x" }, map = "m" }'),
            [("E018", "error", "transform.split")],
        ),
        (
            rule("a", transform="{split={by='x',n=2}, map='m', combine={aggregate=true}}"),
            [("E018", "error", "transform.combine")],
        ),
    ],
)
def test_each_error_has_its_code_severity_and_key(
    text: str, expected: list[tuple[str, str, str | None]]
):
    assert marks(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        '[[execution_group]]\nname = "g"\nrules = ["b"]\n',
        "[wildcard_constraints]\ns = '('\n",
        "[wildcard_constraints]\ns = '(?=x)'\n",
        "[wildcard_constraints]\ns = '(a)\\1'\n",
    ],
)
def test_some_entries_keep_a_text_from_loading(text: str):
    with pytest.raises(ParseError, match=r"unknown rule 'b'|not a usable pattern"):
        parse_workflow(HEAD + text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (rule("align") + rule("b", depends_on='["aling"]'), "did you mean 'align'?"),
        (rule("align") + rule("b", extends='"algn"'), "did you mean 'align'?"),
        (
            rule("a", shell='"{config.refrence}"') + "[config]\nreference = 1\n",
            "'config.reference'",
        ),
        (rule("a", env_group='"pyton"') + "[env_groups.python]\nconda = 'c'\n", "'python'"),
        (rule("a", input='["{sample}"]', output='["{smple}"]', shell='"x"'), "'{sample}'"),
        (rule("a", shell='"{config.zzz}"'), "add zzz = … to [config]"),
        (rule("a", shell='"{config.samples_list}"'), "no sample is known"),
        (
            rule("c", checkpoint="true", checkpoint_manifest='"m"', shell='"x"')
            + rule("a", shell='"{config.samples_list}"'),
            "read the files of its samples by a glob",
        ),
        (rule("a", shell='"{config.pairs_list}"'), "no pair is known"),
    ],
)
def test_a_likely_cure_is_named(text: str, hint: str):
    assert hint in str(found_in(text)[0].suggestion)


def test_a_checkpoint_may_run_once_for_each_value_of_a_table():
    values = '[[values]]\nname = "k"\nvalues = ["a", "b"]\n'
    checkpoint = rule("a", shell='"{k}"', checkpoint="true", checkpoint_manifest='"m"')
    assert validate(composed(values + checkpoint)) == []


def test_errors_come_in_the_order_of_the_spec():
    text = (
        '[workflow]\nname = ""\n'
        + rule(
            "a b", input='["../i"]', output='["{o}"]', shell='"{config.x} rm -rf /"', memory='"?"'
        )
        + rule("b", depends_on='["q"]', extends='"q"', env_group='"q"', threads="0")
    )
    codes = "E001 E002 E003 E004 E005 E002 E007 E008 E010 E011 E009"
    assert [d.code for d in found_in(text)] == codes.split()


def test_a_run_is_not_stopped_by_odd_names_and_parent_paths():
    text = rule("a b", input='["../i"]') + rule("b", depends_on='["q"]', when='"config.x"')
    assert [d.code for d in stops_a_run(found_in(text))] == ["E007"]


def test_a_rule_of_the_same_namespace_is_suggested_by_its_name_there():
    inner = HEAD + rule("align") + rule("b", depends_on='["algn"]') + rule("c", extends='"algn"')
    host = '[[include]]\npath = "in"\nnamespace = "m"\n' + rule("d", depends_on='["m::algn"]')
    found = validate(composed(host + rule("algae"), {"in": inner}))
    hints = {d.rule: d.suggestion for d in found}
    assert hints["m::b"] == hints["m::c"] == "did you mean 'align'?"
    assert hints["d"] == "did you mean 'm::align'?"


def test_names_below_a_misspelt_header_or_key_are_told_with_it():
    text = '[[ruls]]\nname = "b"\n' + rule("a", depends_on='["b"]')
    assert [d.suggestion for d in found_in(text)] == [
        "did you mean [[rules]] where [[ruls]] stands?"
    ]
    (told,) = found_in_faulty(rule("a", output='["x"]', sell='"cp y x"'))
    assert told.suggestion == "did you mean 'shell' where 'sell' stands?"


def test_keys_of_references_and_contracts_are_missed_like_those_of_rules():
    text = (
        '[config]\nfa = "x"\n[[references]]\nname = "i"\nsource = "{config.fa}"\n'
        'output = "r/{config.faa}"\nbuild = "cp {input} {output} {config.j} {config.q}"\n'
        '[[references]]\nname = "j"\noutput = "s"\nbuild = "touch {config.i} {output}"\n'
        '[[include]]\npath = "in"\noutputs = ["{config.fb}/{sample}"]\n'
    )
    found = validate(composed(text, {"in": HEAD}))
    assert [(d.code, d.key) for d in found] == [
        ("E005", "references.0.output"),
        ("E005", "references.0.build"),
        ("E005", "include.0.outputs.0"),
    ]
    assert found[0].suggestion == "did you mean 'config.fa'?"


@pytest.mark.parametrize(
    ("source", "key", "hint"),
    [
        ("config.kes", "values.0.values_from", "did you mean 'config.keys'?"),
        ("odd", "values.0.values_from", "add odd = … to [config]"),
        ("config.none", "values.0.values_from", "add some, or remove it"),
    ],
)
def test_a_table_whose_list_is_missing_is_told_at_the_list(source, key, hint):
    text = f"[config]\nkeys = ['a']\nnone = []\n[[values]]\nname = 'k'\nvalues_from = '{source}'\n"
    assert [(d.key, d.suggestion) for d in found_in(text)] == [(key, hint)]


def test_keys_that_values_of_the_config_ask_for_are_missed_where_a_rule_reads_them():
    text = (
        '[config]\ndir = "d"\nfa = "{config.dri}/x"\nindex = "{config.fa}.fai"\n'
        'list = ["{config.gone}", "{config.dir}"]\nidle = "{config.nothing}"\n'
    )
    reading = rule("a", input='["{config.index}"]', shell='"x {config.list}"')
    found = [(d.code, d.key, d.suggestion) for d in found_in(text + reading)]
    assert found == [
        ("E005", "config.fa", "did you mean 'config.dir'?"),
        ("E005", "config.list", "add gone = … to [config]"),
    ]
    assert found_in(text) == []


@pytest.mark.parametrize(
    ("when", "cure"),
    [
        ("config.k = 1", "write == to compare"),
        ("config.k and config.k", "write && for and, || for or"),
        ("config.k == 1 OR config.k", "write && for and, || for or"),
        ("not config.k", "write ! for not"),
        ("config.k is true", "write == to compare"),
        ("k", "compare config.NAME"),
    ],
)
def test_conditions_of_other_languages_are_told_what_to_write(when, cure):
    found = found_in("[config]\nk = 1\n" + rule("a", when=f"'{when}'"))
    assert [(d.code, (d.suggestion or "")[: len(cure)]) for d in found] == [("E002", cure)]


def test_an_odd_namespace_is_told_once_and_where_it_is_given():
    inner = HEAD + rule("a", description='"d"') + rule("b c")
    outer = HEAD + '[[include]]\npath = "in"\nnamespace = "fs x"\n'
    files = {"out": outer, "in": inner}
    found = validate(composed('[[include]]\npath = "out"\nnamespace = "o"\n', files))
    assert [(d.code, d.file, d.key) for d in found] == [("E002", "out", "include.0.namespace")]
    assert found[0].message == "namespace 'fs x' holds ' '"
    assert stops_a_run(found) == []
    host = validate(composed('[[include]]\npath = "in"\nnamespace = "a/b"\n', {"in": inner}))
    assert [(d.file, d.key) for d in host] == [(None, "include.0.namespace")]


def test_names_that_an_unread_include_may_bring_are_not_missed():
    text = '[[include]]\npath = "m"\n' + rule("a", depends_on='["m::b"]', shell='"{config.c}"')
    assert found_in(text) == []
    assert [d.code for d in validate(composed(text, {"m": HEAD}))] == ["E005", "E007"]


def test_absolute_inputs_are_looked_for_only_where_files_may_be_seen():
    text = rule("a", input='["/gone", "/there", "/made", "/gl*b", "rel"]') + rule(
        "b", output='["/made"]', shell='"x"'
    )
    workflow = composed(text + rule("c", input='["/gone"]', optional="true"))
    found = validate(workflow, view=Files({"/there": ""}))
    assert [(d.code, d.rule, d.key) for d in found] == [("E017", "a", "input.0")]
    assert validate(workflow) == []


# Dangerous commands


@pytest.mark.parametrize(
    ("command", "category"),
    [
        ("rm -rf /", "RECURSIVE_DELETION"),
        ("rm -fr /", "RECURSIVE_DELETION"),
        ("rm -r -f / ", "RECURSIVE_DELETION"),
        ("rm -rf /*", "RECURSIVE_DELETION"),
        ("rm -rf ~", "RECURSIVE_DELETION"),
        ('rm -rf "$HOME"', "RECURSIVE_DELETION"),
        ("sudo rm --recursive --force /; ls", "RECURSIVE_DELETION"),
        ("rm -rf \\\n  /", "RECURSIVE_DELETION"),
        ("rm -rf tmp /", "RECURSIVE_DELETION"),
        ("rm -rf -- a b ~", "RECURSIVE_DELETION"),
        ("mkfs.ext4 /dev/sda", "FILESYSTEM_DESTRUCTION"),
        ("/sbin/mkswap /dev/sdb", "FILESYSTEM_DESTRUCTION"),
        ("dd if=x of=/dev/sda", "FILESYSTEM_DESTRUCTION"),
        ("dd if=/dev/zero of=x", "DATA_DESTRUCTION"),
        ("chmod 777 /", "PERMISSION_ESCALATION"),
        ("chmod -R 777 out", "PERMISSION_ESCALATION"),
        ("echo x > /dev/sda", "BLOCK_DEVICE_WRITE"),
        ("curl u | bash", "REMOTE_EXECUTION"),
        ("wget -qO- u|sudo sh -s", "REMOTE_EXECUTION"),
        ("curl u | /bin/bash -", "REMOTE_EXECUTION"),
        (":(){ :|:& };:", "FORK_BOMB"),
    ],
)
def test_a_command_that_destroys_is_recognised(command: str, category: str):
    assert [d.category for d in find_dangers(f"set -e\n{command}\necho")] == [category]


@pytest.mark.parametrize(
    "command",
    [
        "rm -rf out/",
        "rm -rf /scratch/x",
        "rm -rf ~/tmp/x",
        "rm -rf ./",
        "rm -rf tmp && ls /",
        "rm -f /tmp/x",
        "a && b",
        "a | b",
        "curl u | sha256sum",
        "curl u -o x; bash x",
        "curl u | shuf",
        "# rm -rf /",
        "echo my_mkfs done",
        "dd if=a of=b.img",
        "chmod 755 /x",
        "echo > /dev/null",
        "f() { echo a | cat; }",
        "farm -r /",
    ],
)
def test_an_ordinary_command_is_left_alone(command: str):
    assert list(find_dangers(command)) == []
