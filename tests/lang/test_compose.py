"""Test putting a workflow together: includes, sheets, discovery, lists, extends, defaults."""

from __future__ import annotations

import pytest

from oxoflow.errors import Diagnostic, WorkflowError
from oxoflow.lang.compose import compose
from oxoflow.lang.model import EnvironmentKind
from oxoflow.lang.parse import parse_workflow
from oxoflow.lang.validate import validate
from oxoflow.lang.view import NOTHING
from tests.lang.build import HEAD, Files, composed, rule


def problems(text: str, files: dict[str, str | bytes] | None = None, **options: object):
    with pytest.raises(WorkflowError) as caught:
        composed(text, files, **options)
    return list[Diagnostic](caught.value.diagnostics)


# Includes


def test_namespaces_stack_from_the_outside_and_nested_paths_start_at_their_file():
    files = {
        "mods/a.oxoflow": HEAD + '[[include]]\npath = "deep/b.oxoflow"\nnamespace = "in"\n',
        "mods/deep/b.oxoflow": HEAD
        + rule("x")
        + rule("y", depends_on='["x"]', extends='"x"', scatter='{ variable="v", gather="x" }'),
    }
    workflow = composed('[[include]]\npath = "mods/a.oxoflow"\nnamespace = "out"\n', files)
    x, y = workflow.rules
    assert (x.name, y.name) == ("out::in::x", "out::in::y")
    assert (y.depends_on, y.extends) == (("out::in::x",), "out::in::x")
    assert y.scatter is not None
    assert y.scatter.gather == "out::in::x"
    assert [(m.name, m.rules) for m in workflow.modules] == [
        ("a", ("out::in::x", "out::in::y")),
        ("b", ("out::in::x", "out::in::y")),
    ]


def test_a_module_brings_rules_and_config_and_nothing_else():
    module = (
        '[workflow]\nname = "m"\nauthor = "x"\n[defaults]\nthreads = 9\n'
        '[[values]]\nname = "v"\nvalues = ["a"]\n[env_groups.e]\nconda = "c"\n' + rule("a")
    )
    workflow = composed('[[include]]\npath = "m"\n', {"m": module})
    assert [r.name for r in workflow.rules] == ["a"]
    assert workflow.rules[0].resources.threads is None
    assert (workflow.values, workflow.env_groups, workflow.author) == ((), {}, None)


def test_the_command_line_beats_host_params_and_module():
    module = HEAD + '[config]\nq = { default = "20", choices = ["20", "50"] }\n'
    host = '[config]\n[[include]]\npath = "m"\nparams = { q = "30" }\n'
    workflow = composed(host, {"m": module}, overrides={"q": "50"})
    assert workflow.config["q"] == "50"


@pytest.mark.parametrize(
    ("override", "warned"),
    [
        ({"min_lenn": "5"}, "nothing in the workflow reads it; did you mean 'min_len'?"),
        ({"zzz": "5"}, "config 'zzz' is set, but nothing in the workflow reads it"),
        ({"min_len": "5"}, None),
        ({"only_used": "5"}, None),
        ({"bwa_index": "5"}, None),
        ({"samples_list": "A"}, None),
        ({"q": "5"}, None),
    ],
)
def test_a_value_set_for_a_key_that_nothing_reads_is_warned_of(override, warned):
    text = (
        "[config]\nmin_len = '1'\n[[include]]\npath = 'm'\n"
        "[[rules]]\nname = 'a'\nshell = 'echo {config.only_used}'\n"
    )
    workflow = composed(text, {"m": HEAD + "[config]\nq = '1'\n"}, overrides=override)
    assert [words for words in workflow.warnings if warned and warned in words] == [
        *workflow.warnings
    ]
    assert bool(workflow.warnings) == bool(warned)
    alone = compose(parse_workflow(HEAD + text), NOTHING, overrides=override)
    assert alone.warnings == ()


def test_a_contract_may_name_files_as_the_config_and_the_references_make_them():
    module = HEAD + rule("a", output='["{config.build}/{config.file}", "x"]', shell='"x"')
    host = (
        '[config]\nbuild = "GRCh38"\nfile = "genome.{config.build}.fa"\n'
        '[[references]]\nname = "dict"\noutput = "{config.build}/g.dict"\nbuild = "x > {output}"\n'
        '[[include]]\npath = "m"\ninputs = ["GRCh38/g.dict"]\n'
        'outputs = ["GRCh38/genome.GRCh38.fa"]\n'
        + rule("h", input='["{config.build}/{config.file}"]', shell='"x"')
    )
    assert composed(host, {"m": module}).warnings == ()


def test_an_earlier_include_wins_over_a_later_one():
    files = {
        name: HEAD + rule("x", shell=f'"{name}"') + f'[config]\nk = "{name}"\n'
        for name in ("a", "b")
    }
    workflow = composed('[[include]]\npath = "a"\n[[include]]\npath = "b"\n', files)
    assert ([r.shell for r in workflow.rules], workflow.config["k"]) == (["a"], "a")


@pytest.mark.parametrize(
    ("include", "words"),
    [
        ('path = "../m"', "outside"),
        ('path = "sub/../../m"', "outside"),
        ('path = "/etc/m"', "outside"),
        ('path = "https://x.org/m"', "remote"),
        ('path = "m"\nrepo = "https://x.org/r"\nref = "v1"', "remote"),
        ('path = "gone"', "is not there"),
        ('path = "dir"', "is no file that can be read"),
        ('path = "latin1"', "UTF-8"),
        ('path = "selfish"', "circular"),
        ('path = "ping"', "circular"),
    ],
)
def test_an_include_that_cannot_be_used_says_why(include: str, words: str):
    files: dict[str, str | bytes] = {
        "latin1": b"[workflow]\nname = '\xe9'",
        "broken": "x = ",
        "dir/m": HEAD,
        "selfish": HEAD + '[[include]]\npath = "selfish"\n',
        "ping": HEAD + '[[include]]\npath = "pong"\n',
        "pong": HEAD + '[[include]]\npath = "ping"\n',
    }
    assert words in problems(f"[[include]]\n{include}\n", files)[0].message


def test_a_failure_in_an_included_file_names_the_file_and_its_line():
    with pytest.raises(WorkflowError, match="in 'broken', line 1: "):
        composed('[[include]]\npath = "broken"\n', {"broken": "x = "})


def test_a_workflow_may_lie_below_or_beside_the_working_directory():
    files = {"../wf/mods/m": HEAD + '[[include]]\npath = "../n"\n', "../wf/n": HEAD + rule("x")}
    text = HEAD + '[[include]]\npath = "mods/m"\n'
    workflow = compose(parse_workflow(text), Files(files), directory="../wf")
    assert [r.name for r in workflow.rules] == ["x"]


def test_many_includes_of_many_includes_end_in_an_error():
    files = {
        f"m{i}": HEAD + f'[[include]]\npath = "m{i + 1}"\n[[include]]\npath = "m{i + 1}"\n'
        for i in range(12)
    } | {"m12": HEAD}
    assert "more than 1000 files" in problems('[[include]]\npath = "m0"\n', files)[0].message


def test_all_problems_of_all_steps_come_at_once():
    text = (
        '[workflow]\nname = "w"\npairs_file = "p.csv"\nsample_pattern = "raw/x"\n'
        '[[include]]\npath = "gone"\n' + rule("a", env_group='"none"')
    )
    found = problems(text)
    assert [d.key for d in found] == [
        "include.0.path",
        "workflow.pairs_file",
        "workflow.sample_pattern",
        "env_group",
    ]


def test_without_a_look_at_files_includes_and_sheets_are_left_out_quietly():
    text = (
        '[workflow]\nname = "w"\npairs_file = "p.csv"\nsample_groups_file = "s.tsv"\n'
        '[[include]]\npath = "m"\nnamespace = "m"\n'
        + rule("a", depends_on='["m::x"]', shell='"{config.from_module}"')
        + rule("b", input='["i"]', output='["{sample}.{pair_id}"]', shell='"x"')
    )
    workflow = compose(parse_workflow(text), NOTHING)
    assert validate(workflow) == []


# Sheets and discovery


def with_head(line: str) -> str:
    return f'[workflow]\nname = "w"\n{line}\n'


def test_a_pair_sheet_has_aliases_comments_quotes_and_metadata():
    sheet = (
        "# made by hand\n"
        "pair_id,tumor,normal,tumor_type,batch\n"
        'P1, T1 ,N1,LUAD,"b,1"\n'
        "\n"
        "# P2 was dropped\n"
        "P3,T3,,,b2\n"
    )
    first, second = composed(with_head('pairs_file = "p.csv"'), {"p.csv": sheet}).pairs
    assert (first.experiment, first.control, first.experiment_type) == ("T1", "N1", "LUAD")
    assert first.metadata == {"batch": "b,1"}
    assert (second.pair_id, second.control, second.experiment_type) == ("P3", "", None)


@pytest.mark.parametrize("name", ["p.tsv", "p.txt", "pairs"])
def test_other_suffixes_are_tab_separated(name: str):
    sheet = "pair_id\texperiment\tcontrol\nP1\tE1\tC1\n"
    (pair,) = composed(with_head(f'pairs_file = "{name}"'), {name: sheet}).pairs
    assert (pair.pair_id, pair.experiment, pair.control) == ("P1", "E1", "C1")


def test_a_header_alone_is_an_empty_sheet():
    sheet = "pair_id\texperiment\tcontrol\n"
    assert composed(with_head('pairs_file = "p.tsv"'), {"p.tsv": sheet}).pairs == ()


def test_json_sheets_hold_what_the_tables_hold():
    pairs = '[{"pair_id": "P", "tumor": "T", "normal": null, "metadata": {"k": "v"}}]'
    groups = '[{"name": "g", "samples": ["a"], "metadata": {"m": "1"}}]'
    text = with_head('pairs_file = "p.json"\nsample_groups_file = "g.json"')
    workflow = composed(text, {"p.json": pairs, "g.json": groups})
    assert workflow.pairs[0].metadata == {"k": "v"}
    assert workflow.groups[0].metadata == {"m": "1"}


def test_inline_file_and_discovered_pairs_follow_in_this_order():
    text = (
        with_head('pairs_file = "p.tsv"\npairs_pattern = "d/{pair_id}_{experiment}_{control}.bam"')
        + '[[pairs]]\npair_id = "I"\nexperiment = "E"\n'
    )
    files = {
        "p.tsv": "pair_id\texperiment\tcontrol\nF\tE\tC\n",
        "d/P2_b_c.bam": "",
        "d/P1_x_y.bam": "",
        "d/P1_z_y.bam": "",
    }
    workflow = composed(text, files)
    assert [(p.pair_id, p.experiment) for p in workflow.pairs] == [
        ("I", "E"),
        ("F", "E"),
        ("P1", "x"),
        ("P2", "b"),
    ]


def test_sample_sheets_list_samples_in_one_cell():
    sheet = 'name,samples,note\ng1,"a, b",x\ng2,c,\n'
    text = with_head('sample_groups_file = "g.csv"')
    groups = composed(text, {"g.csv": sheet}).groups
    assert [(g.name, g.samples) for g in groups] == [("g1", ("a", "b")), ("g2", ("c",))]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("raw/{sample}_R1.fq", ("S1", "S2")),
        ("raw/{sample}_R{read}.fq", ("S1", "S2")),
        ("{sample}/{sample}.bam", ("X",)),
        ("raw/{sample}_*.fq", ("S1", "S2")),
        ("./raw/{sample}_R1.fq", ("S1", "S2")),
    ],
)
def test_samples_are_discovered_once_and_sorted(pattern: str, found: tuple[str, ...]):
    files = dict.fromkeys(
        ["raw/S2_R1.fq", "raw/S1_R1.fq", "raw/S1_R2.fq", "raw/x/S3_R1.fq", "X/X.bam", "X/Y.bam"], ""
    )
    files["raw/two words_R1.fq"] = ""
    (group,) = composed(with_head(f'sample_pattern = "{pattern}"'), files).groups
    assert (group.name, group.samples) == ("auto-discovered", found)


def test_a_pattern_without_match_warns():
    workflow = composed(with_head('sample_pattern = "raw/{sample}.fq"'))
    assert workflow.groups == ()
    assert "matches no file" in workflow.warnings[0]


SHEET = "pair_id,tumor,normal\n"


@pytest.mark.parametrize(
    ("line", "files", "words"),
    [
        ('pairs_file = "gone.tsv"', {}, "no such file; correct the path"),
        ('pairs_file = "c/pair.tsv"', {"c/pairs.tsv": ""}, "did you mean 'c/pairs.tsv'?"),
        ('pairs_file = "p.tsv"', {"config/p.tsv": ""}, "did you mean 'config/p.tsv'?"),
        ('pairs_file = "config/p.tsv"', {"p.tsv": ""}, "did you mean 'p.tsv'?"),
        ('pairs_file = "p.xlsx"', {"p.xlsx": "x"}, "'.xlsx' is unknown"),
        ('pairs_file = "p.csv"', {"p.csv": ""}, "is empty"),
        ('pairs_file = "p.csv"', {"p.csv": "pair_id,experiment\n"}, "'control' or 'normal'"),
        ('pairs_file = "p.csv"', {"p.csv": "pair_id,tumor,normal\nP,T\n"}, "row 2 has 2 cells"),
        ('pairs_file = "p.csv"', {"p.csv": "pair_id,tumor,normal\n,T,N\n"}, "row 2 has an empty"),
        ('pairs_file = "p.csv"', {"p.csv": b"\xff"}, "line 1 is not UTF-8"),
        ('pairs_file = "p.csv"', {"p.csv": "a\x00"}, "NUL"),
        (
            'pairs_file = "p.json"',
            {"p.json": '[{"pair_id": "\\u0000#1\\u0000", "experiment": "t"}]'},
            "NUL",
        ),
        (
            'sample_groups_file = "g.json"',
            {"g.json": '[{"name": "g", "samples": ["s"], "metadata": {"\\u0000": "x"}}]'},
            "NUL",
        ),
        ('pairs_file = "p.csv"', {"p.csv": SHEET + '"' + "x" * 200_000}, "row 2 cannot be read"),
        ('pairs_file = "p.json"', {"p.json": "{}"}, "JSON array"),
        ('pairs_file = "p.json"', {"p.json": "[" * 9999}, "not valid JSON"),
        ('pairs_file = "p.json"', {"p.json": '[{"pair_id": 1, "tumor": "x"}]'}, "entry 1: pair_id"),
        ('sample_groups_file = "g.csv"', {"g.csv": "name\ng\n"}, "no column 'samples'"),
        ('pairs_file = "p.tsv"', {"p.tsv": "pair_id,tumor,normal\n"}, "let the file end in .csv"),
        ('pairs_file = "p.csv"', {"p.csv": "pair_id\ttumor\tnormal\n"}, "let the file end in .tsv"),
        ('pairs_file = "p.csv"', {"p.csv": "pair_id;tumor;normal\n"}, "parted by semicolons"),
        ('pairs_file = "p.tsv"', {"p.tsv": "pair_id tumor normal\n"}, "parted by spaces: part"),
        ('pairs_file = "p.csv"', {"p.csv": "pairid,tumor,normal\n"}, "call 'pairid' so"),
        ('pairs_file = "p.json"', {"p.json": "{}"}, "write [ and ] around them"),
        (
            'sample_groups_file = "g.json"',
            {"g.json": '[{"name": "g", "samples": [1]}]'},
            'write "1" in quotes',
        ),
        ('sample_groups_file = "g.csv"', {"g.csv": "name,samples\ng,A,B\n"}, 'quotes: "A,B"'),
        ('sample_groups_file = "g.csv"', {"g.csv": "sample,r1\nA,a\n"}, "as metadata_file"),
        ('pairs_pattern = "{pair_id}.bam"', {}, "lacks {experiment} and {control}"),
        ('sample_pattern = "x/*.fq"', {}, "lacks {sample}"),
        ('sample_pattern = "' + "{sample}" * 500 + '"', {}, "longer than"),
    ],
)
def test_a_sheet_or_pattern_that_cannot_be_used_says_why(
    line: str, files: dict[str, str | bytes], words: str
):
    (found,) = problems(with_head(line), files)
    assert words in found.message
    assert found.key == f"workflow.{line.split()[0]}"


# Lists, extends, defaults, profiles


def test_group_lists_are_injected_unless_written():
    text = (
        '[config]\nsamples_b = "mine"\nsamples_list = ["dropped"]\n'
        '[[sample_groups]]\nname = "a"\nsamples = ["y", "x"]\n'
        '[[sample_groups]]\nname = "b"\nsamples = ["z"]\n'
    )
    config = composed(text).config
    assert (config["samples_a"], config["samples_b"]) == ("y,x", "mine")
    assert config["samples_list"] == "x,y,z"


def test_extends_reaches_through_several_bases():
    text = (
        rule(
            "top", retries="2", params="{ a = 1, b = 1 }", log='"l"', environment='{ conda = "c" }'
        )
        + rule("middle", extends='"top"', params="{ b = 2 }", threads="4", shell='"never"')
        + rule("leaf", extends='"middle"', params="{ c = 3 }", resources='{ memory = "1G" }')
    )
    leaf = composed(text).rules[2]
    assert leaf.params == {"a": 1, "b": 2, "c": 3}
    assert (leaf.retries, leaf.log, leaf.threads, leaf.shell) == (2, "l", 4, None)
    assert leaf.resources.memory == "1G"
    assert leaf.environment is not None
    assert leaf.environment.spec == "c"


def test_a_circle_of_extends_composes_and_is_told_by_validate():
    text = (
        rule("a", extends='"b"', retries="1") + rule("b", extends='"a"') + rule("c", extends='"x"')
    )
    found = validate(composed(text))
    assert [(d.code, d.rule) for d in found] == [("E008", "a"), ("E008", "b"), ("E008", "c")]
    assert "a → b → a" in found[0].message


def test_a_very_long_chain_of_extends_is_no_trouble():
    chain = "".join(rule(f"r{i}", extends=f'"r{i + 1}"') for i in range(3000))
    assert composed(chain + rule("r3000", retries="3")).rules[0].retries == 3


def test_defaults_fill_what_is_open_and_env_group_beats_all():
    text = (
        '[defaults]\nmemory = "1G"\nenvironment = { conda = "d" }\n'
        '[env_groups.g]\ndocker = "img"\n'
        + rule("a", memory='"2G"')
        + rule("b", environment='{ venv = "v" }', resources='{ memory = "3G" }')
        + rule("c", env_group='"g"', environment='{ venv = "v" }')
    )
    a, b, c = composed(text).rules
    assert [r.environment.kind for r in (a, b, c) if r.environment] == [
        EnvironmentKind.CONDA,
        EnvironmentKind.VENV,
        EnvironmentKind.DOCKER,
    ]
    assert (a.resources.memory, b.resources.memory, c.resources.memory) == (None, "3G", "1G")


PROFILED = (
    '[workflow]\nname = "w"\n{mode}[config]\na = "wf"\nopen = {{ required = true }}\n'
    '[defaults]\nthreads = 2\n[cluster]\nbackend = "slurm"\nextra_args = ["x"]\n'
)
PROFILE = {
    "config": {"a": "profile", "b": "profile", "open": "profile", "c": "profile"},
    "defaults": {"threads": "8", "memory": "4G"},
    "cluster": {"backend": "pbs", "partition": "long", "extra_args": []},
}


@pytest.mark.parametrize(
    ("mode", "a", "threads", "backend"),
    [("", "wf", 2, "slurm"), ('profile_mode = "override"\n', "profile", 8, "pbs")],
)
def test_a_profile_fills_or_overrides_and_the_command_line_always_wins(
    mode: str, a: str, threads: int, backend: str
):
    workflow = composed(PROFILED.format(mode=mode), profile=PROFILE, overrides={"c": "cli"})
    assert [workflow.config[key] for key in ("a", "b", "c", "open")] == [
        a,
        "profile",
        "cli",
        "profile",
    ]
    assert (workflow.defaults.threads, workflow.defaults.memory) == (threads, "4G")
    assert workflow.cluster is not None
    assert (workflow.cluster.backend, workflow.cluster.partition) == (backend, "long")
    assert workflow.cluster.extra_args == ("x",)


def test_a_profile_of_the_wrong_shape_is_told():
    found = problems(HEAD, profile={"defaults": {"threads": "many"}, "cluster": 1})
    assert [d.message.split(" must")[0] for d in found] == [
        "profile: defaults.threads",
        "profile: cluster",
    ]
