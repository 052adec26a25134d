"""Test reading one text: shapes, faults with their place, and limits."""

from __future__ import annotations

import pytest

from oxoflow.errors import Diagnostic, ParseError
from oxoflow.lang.model import Environment, EnvironmentKind, Rule
from oxoflow.lang.parse import decode_text, parse_workflow
from tests.lang.build import HEAD, rule


def faults(text: str) -> list[Diagnostic]:
    with pytest.raises(ParseError) as caught:
        parse_workflow(text)
    return list(caught.value.diagnostics)


def the_rule(**fields: str) -> Rule:
    return parse_workflow(HEAD + rule("r", **fields)).rules[0]


def test_named_files_are_sorted_by_name_and_keep_their_names():
    files = the_rule(input='{ reads = "r.fq", idx = "i" }').input
    assert (files.paths, files.names, files.pattern) == (("i", "r.fq"), ("idx", "reads"), None)


def test_path_and_pattern_together_are_a_filtered_directory():
    files = the_rule(input='{ path = "d", pattern = "*.fq" }').input
    assert (files.paths, files.names, files.pattern) == (("d",), (), "*.fq")


@pytest.mark.parametrize(
    "table", ['{ path = "d" }', '{ path = "d", pattern = "*", more = "x" }', '{ pattern = "p" }']
)
def test_other_uses_of_these_words_are_named_files(table: str):
    files = the_rule(input=table).input
    assert files.pattern is None
    assert len(files.names) == len(files.paths)


def test_an_output_is_never_a_filtered_directory():
    files = the_rule(output='{ path = "d", pattern = "p" }', shell='"x"').output
    assert files.names == ("path", "pattern")


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ('{ conda = "e.yaml" }', Environment(EnvironmentKind.CONDA, "e.yaml")),
        (
            '{ conda = "e.yaml", mamba = "m.yaml", conda_prefix = "p" }',
            Environment(EnvironmentKind.MAMBA, "m.yaml"),
        ),
        ('{ conda = "e", conda_prefix = "p" }', Environment(EnvironmentKind.CONDA, "e", "p")),
        (
            '{ venv = ".v", venv_requirements = "r.txt" }',
            Environment(EnvironmentKind.VENV, ".v", None, "r.txt"),
        ),
        (
            '{ modules = "a/1, b" }',
            Environment(EnvironmentKind.MODULES, "a/1,b", modules=("a/1", "b")),
        ),
        ('{ modules = ["a"] }', Environment(EnvironmentKind.MODULES, "a", modules=("a",))),
        ('{ docker = "" }', Environment()),
        ("{}", Environment()),
    ],
)
def test_the_first_environment_set_is_taken(table: str, expected: Environment):
    assert the_rule(environment=table).environment == expected


def test_a_combine_may_be_a_bare_command_and_n_a_bare_number():
    transform = the_rule(
        transform='{ split = { by = "k", n = 4 }, map = "m", combine = "cat {chunks}" }'
    ).transform
    assert transform is not None
    assert transform.combine is not None
    assert (transform.split.n, transform.combine.shell) == ("4", "cat {chunks}")


def test_tables_in_any_order_and_newer_toml_are_read():
    text = HEAD + (
        '[[rules]]\nname = "t"\n[rules.transform.split]\nby = "k"\nvalues = ["a"]\n'
        '[rules.transform]\nmap = "m"\n'
        '[[rules]]\nname = "u"\nresources = {\n  threads = 2,\n  memory = "1G",\n}\n'
    )
    first, second = parse_workflow(text).rules
    assert first.transform is not None
    assert first.transform.map == "m"
    assert (second.resources.threads, second.resources.memory) == (2, "1G")


def test_line_continuations_and_backslashes_reach_the_shell_as_toml_says():
    text = HEAD + (
        '[[rules]]\nname = "a"\nshell = """\none \\\n    two \\\\\nthree"""\n'
        "[[rules]]\nname = \"b\"\nshell = '''\none \\\ntwo \\\\'''\n"
    )
    first, second = parse_workflow(text).rules
    assert first.shell == "one two \\\nthree"
    assert second.shell == "one \\\ntwo \\\\"


def test_unknown_tables_and_a_byte_order_mark_do_no_harm():
    text = "\ufeff" + HEAD + '[metadata]\nx = 1 # ü\n[[webhooks]]\nurl = "x"\n'
    assert parse_workflow(text).document["metadata"] == {"x": 1}


def test_a_word_that_is_not_known_counts_as_if_it_were_not_there():
    text = "[cluster]\nbackend = 'x'\n[resource_groups.db]\nmax = 1\nwait = 'x'\n"
    workflow = parse_workflow(HEAD + text + rule("a", checksum='"crc"', shadow='"half"'))
    assert workflow.cluster.backend is None
    assert workflow.resource_groups["db"].wait == "queue"
    assert (workflow.rules[0].checksum, workflow.rules[0].shadow) == (None, None)


@pytest.mark.parametrize(
    ("text", "code", "key"),
    [
        ("x =", "S001", None),
        ("rules = []", "S002", None),
        ("workflow = 1", "S002", "workflow"),
        ("[workflow]", "S003", "workflow"),
        ("[workflow]\nname = 5", "S009", "workflow.name"),
        (HEAD + "[rules]\nx = 1", "S004", "rules"),
        ('rules = ["a"]\n' + HEAD, "S004", "rules"),
        (HEAD + "[[rules]]\nshell = 'x'", "S005", "rules.0"),
        (HEAD + "[[rules]]\nname = 1", "S009", "rules.0.name"),
        (HEAD + rule("a", threads='"8"'), "S009", "threads"),
        (HEAD + rule("a", threads="-1"), "S009", "threads"),
        (HEAD + rule("a", threads="true"), "S009", "threads"),
        (HEAD + rule("a", retries="1.5"), "S009", "retries"),
        (HEAD + rule("a", required='"false"'), "S009", "required"),
        (HEAD + rule("a", input='["x", 1]'), "S009", "input.1"),
        (HEAD + rule("a", envvars="{ A = 1 }"), "S009", "envvars.A"),
        (HEAD + rule("a", resources='{ threads = "2" }'), "S009", "resources.threads"),
        (HEAD + rule("a", shadow="1"), "S009", "shadow"),
        (HEAD + rule("a", scatter='{ values = ["x"] }'), "S009", "scatter.variable"),
        (HEAD + rule("a", expand_inputs="[{}]"), "S009", "expand_inputs.0.pattern"),
        (HEAD + "config = 1", "S009", "workflow.config"),
        ("config = 1\n" + HEAD, "S009", "config"),
        (HEAD + '[[pairs]]\npair_id = "p"', "S009", "pairs.0.experiment"),
        (
            HEAD + '[[pairs]]\npair_id = "p"\nexperiment = "e"\ntumor = "t"',
            "S009",
            "pairs.0.tumor",
        ),
        (
            HEAD + '[[sample_groups]]\nname = "g"\nsamples = [1]',
            "S009",
            "sample_groups.0.samples.0",
        ),
        (HEAD + "[resource_groups.db]\nwait = 'queue'", "S009", "resource_groups.db.max"),
        (HEAD + 'profile_mode = "both"', "S009", "workflow.profile_mode"),
        (HEAD + "[config]\na" + ".b" * 100 + " = 1", "S009", None),
        (HEAD + "[config]\na = " + "[" * 100 + "]" * 100, "S009", "config"),
        (HEAD + "[config]\na = " + "[" * 5000, "S001", None),
        (HEAD + "[config]\na = " + "9" * 5000, "S001", None),
        (HEAD + '[config]\na = "\\u0000"', "S001", "config"),
        (HEAD + '[config]\n"\\u0000" = 1', "S001", "config"),
        (HEAD + "[config]\na = '\x00'", "S001", None),
        (HEAD + "[config]\na = '\ud800'", "S001", None),
    ],
)
def test_each_structural_fault_has_its_code_and_place(text: str, code: str, key: str | None):
    if key == "workflow.config":
        assert parse_workflow(text).config == {}  # an unknown key of [workflow]
        return
    found = faults(text)
    assert [(d.code, d.key) for d in found] == [(code, key)]
    assert found[0].message


def test_all_faults_of_a_text_are_told_at_once_and_errors_of_whole_rules_with_them():
    text = HEAD + (
        rule("a", threads='"8"', input='"x"')
        + rule("b", output='["o"]')
        + rule("b", depends_on='["nowhere"]', shell='"{config.q}"')
    )
    assert {(d.code, d.rule) for d in faults(text)} == {
        ("S009", "a"),
        ("E006", "b"),
        ("E002", "b"),
        ("E007", "b"),
        ("E005", "b"),
    }


def test_what_follows_only_from_a_structural_fault_is_not_told():
    text = HEAD + rule("a", output='["o"]', shell="5") + rule("b", depends_on='["a"]')
    assert [(d.code, d.key) for d in faults(text)] == [("S009", "shell")]


def test_broken_toml_says_line_and_column():
    (found,) = faults(HEAD + "\n\nx = = 1")
    assert (found.line, found.column) == (5, 5)


def test_bytes_that_are_not_utf8_say_their_line():
    with pytest.raises(ParseError, match="line 2 is not UTF-8") as caught:
        decode_text(b"[workflow]\nname = '\xff'")
    assert (caught.value.diagnostics[0].line, caught.value.diagnostics[0].column) == (2, 9)
    assert decode_text(b"\xef\xbb\xbfa") == "a"


@pytest.mark.parametrize(
    ("fields", "hint"),
    [
        ({"threads": '"8"'}, "write 8 without quotes"),
        ({"input": '"a b"'}, 'write ["a b"]'),
        ({"depends_on": '"b, c"'}, 'write ["b", "c"]'),
        ({"scatter": '"chr"'}, "write { variable = … }"),
        ({"environment": '"conda"'}, "write { mamba = … }"),
        ({"scatter": '{ variable = "c", values = "x,y" }'}, 'write ["x", "y"]'),
        ({"required": '"False"'}, "write false"),
        ({"log": "5"}, 'write "5" in quotes'),
    ],
)
def test_a_likely_cure_is_suggested(fields: dict[str, str], hint: str):
    assert faults(HEAD + rule("a", **fields))[0].suggestion == hint


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('format_version = "2.0"', "format_version"),
        ('min_version = "99.0"', "min_version"),
    ],
)
def test_versions_from_elsewhere_only_warn(line: str, words: str):
    (warning,) = parse_workflow(HEAD + line).warnings
    assert words in warning


@pytest.mark.parametrize("line", ['format_version = "1.0"', 'min_version = "0.9.4"'])
def test_versions_that_are_understood_are_quiet(line: str):
    assert parse_workflow(HEAD + line).warnings == ()


@pytest.mark.parametrize(
    ("text", "key", "hint"),
    [
        ('[worflow]\nname = "w"\n', "worflow", "did you mean [workflow] where [worflow] stands?"),
        ('[metadata]\nname = "w"\n', None, "start the file with [workflow]"),
        (HEAD + "version = 1.0\n", "workflow.version", 'write "1.0" in quotes'),
        (HEAD + '[values]\nname = "k"\n', "values", "write its header in double brackets, [[…]]"),
        (HEAD + "[[config]]\nk = 1\n", "config", "write its header in single brackets: [config]"),
        (HEAD + rule("a", retries='"three"'), "retries", "write a whole number, such as 4"),
        (
            HEAD + '[[pairs]]\npair_id = "p"\nexperiment = "e"\ntumor = "t"\n',
            "pairs.0.tumor",
            "write one of them",
        ),
    ],
)
def test_a_structural_fault_comes_with_its_cure(text, key, hint):
    (found,) = faults(text)
    assert found.key == key
    assert hint in found.suggestion
