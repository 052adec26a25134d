"""Test where findings about included files are placed: in the file that holds what is meant."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oxoflow.engine.checking import check_text
from oxoflow.errors import Diagnostic
from oxoflow.lang.faults import error
from oxoflow.lang.lint import lint
from oxoflow.lang.positions import locate
from tests.lang.build import HEAD, Files, composed, rule

INCLUDE = '[[include]]\npath = "mods/qc.oxoflow"\nnamespace = "qc"\n'
HOST = HEAD + INCLUDE + rule("own", depends_on='["qc::trim"]', shell='"x {config.gone}"')
QC = """\
[workflow]
name = "qc"
# a comment
[[include]]
path = "deep/trim.oxoflow"

[[rules]]
name = "count"
extends = "base"
input = [
  "a.fq",
  "b/{config.nowhere}",
]
shell = "wc {input}"
"""
TRIM = """\
[workflow]
name = "trim"
[config]
level = { default = "5", type = "int", range = "odd" }
[[rules]]
name = "base"
memory = "eight"
shell = "true"
[[rules]]
name = "trim"
output = ["../out"]
shell = "x"
"""
FILES = {"mods/qc.oxoflow": QC, "mods/deep/trim.oxoflow": TRIM}


def found_in(host: str, files: dict[str, str | bytes]) -> list[Diagnostic]:
    return list(check_text(host, Files(files)).diagnostics)


def places(found: list[Diagnostic]) -> set[tuple[object, ...]]:
    return {(d.code, d.rule, d.file, d.line, d.column) for d in found}


def test_findings_stand_in_the_file_that_holds_their_rule():
    assert places(found_in(HOST, FILES)) == {
        ("E005", "own", None, 9, 1),
        ("E005", "qc::count", "mods/qc.oxoflow", 12, 3),
        ("E004", "qc::base", "mods/deep/trim.oxoflow", 7, 1),
        ("E009", "qc::trim", "mods/deep/trim.oxoflow", 11, 11),
    }


def test_advice_stands_there_too_and_config_keys_where_they_are_set():
    workflow = composed(HOST, FILES)
    found = locate(HOST, lint(workflow, []), workflow.modules)
    assert ("S009", None, "mods/deep/trim.oxoflow", 4, 1) in places(found)
    assert ("W003", "qc::trim", "mods/deep/trim.oxoflow", 9, 1) in places(found)
    assert ("W003", "own", None, 6, 1) in places(found)
    assert ("W001", None, None, 1, 1) in places(found)


def test_keys_without_effect_and_words_nobody_knows_are_told_of_included_rules_too():
    files = {"m": HEAD + rule("a", cache_key='"k"', shadow='"odd"', input='["x"]')}
    host = HEAD + rule("own") + '[[include]]\npath = "m"\nnamespace = "n"\n'
    workflow = composed(host, files)
    found = places(locate(host, lint(workflow, []), workflow.modules))
    assert {each for each in found if each[0] in ("W034", "S009")} == {
        ("W034", "n::a", "m", 5, 1),
        ("S009", "n::a", "m", 6, 1),
    }


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (HEAD + "[config]\nlevel = 1\n" + INCLUDE, (None, 4, 1)),
        (HEAD + INCLUDE + "params = { level = 1 }\n", (None, 6, 12)),
        (HEAD + INCLUDE, ("mods/deep/trim.oxoflow", 4, 1)),
    ],
)
def test_a_config_key_is_meant_where_its_value_comes_from(host, expected):
    modules = composed(host, FILES).modules
    (found,) = locate(host, [error("E005", "m", key="config.level")], modules)
    assert (found.file, found.line, found.column) == expected


def test_the_rule_that_counts_is_meant_when_several_files_have_one_of_that_name():
    bad = "\n\n" + HEAD + rule("x", memory='"eight"', shell='"true"')
    good = HEAD + rule("x", shell='"true"')
    host = HEAD + '[[include]]\npath = "a"\n[[include]]\npath = "b"\n'
    assert places(found_in(host, {"a": bad, "b": good})) == {("E004", "x", "a", 7, 1)}
    assert places(found_in(host, {"a": good, "b": bad})) == set()
    assert places(found_in(host + rule("x", threads="0"), {"a": bad, "b": bad})) == {
        ("E002", "x", None, 9, 1)
    }
    nested = good + '[[include]]\npath = "b"\n'
    assert places(found_in(host, {"a": nested, "b": bad})) == set()


def test_one_file_included_twice_is_told_of_once_with_its_first_name():
    host = HEAD + "".join(
        f'[[include]]\npath = "m"\nnamespace = "{name}"\n' for name in ("one", "two")
    )
    files = {"m": HEAD + rule("x", shell='"true"', memory='"eight"')}
    (found,) = found_in(host, files)
    assert places([found]) == {("E004", "one::x", "m", 6, 1)}


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("[workflow]\nname = 3x\n", ("S001", 2, 9)),
        (HEAD + rule("a", threads='"8"', shell='"x"'), ("S009", 5, 1)),
        (HEAD + rule("a", shell='"x"') + rule("a", shell='"x"'), ("E006", 7, 1)),
        (HEAD + rule("a", output='["x"]'), ("E002", 5, 1)),
        (HEAD + '[[include]]\npath = "gone"\n', ("E018", 4, 1)),
        (HEAD + '\n[[include]]\npath = "ok"\noutputs = ["y", "x"]\n', ("E018", 6, 17)),
    ],
)
def test_what_makes_a_file_unusable_is_placed_in_it(module, expected):
    host = HEAD + '[[include]]\npath = "top"\n' + rule("own", memory='"eight"', shell='"x"')
    files = {
        "top": HEAD + '[[include]]\npath = "m"\n',
        "m": module,
        "ok": HEAD + rule("ok", output='["y"]', shell='"x"'),
    }
    assert places(found_in(host, files)) == {
        (expected[0], *[d.rule for d in found_in(host, files) if d.file], "m", *expected[1:]),
        ("E004", "own", None, 7, 1),
    }


def test_a_broken_contract_of_the_workflow_itself_is_placed_in_it():
    host = HEAD + '[[include]]\npath = "m"\ninputs = ["gone"]\n'
    (found,) = found_in(host, {"m": HEAD})
    assert (found.code, found.file, found.line, found.column) == ("E018", None, 5, 11)


NAMES = st.sampled_from(["a", "b", "c", "d"])


@st.composite
def trees(draw) -> dict[str, str]:
    """Draw files that include the next ones; every rule has a wrong memory, named by its file."""
    depth = draw(st.integers(1, 4))
    files = {}
    for level in range(depth + 1):
        parts = [
            rule(name, shell='"x"', memory=f'"f{level} {name}"')
            for name in draw(st.lists(NAMES, unique=True, max_size=3))
        ]
        for _ in range(draw(st.integers(0, 2)) if level < depth else 0):
            target = draw(st.integers(level + 1, depth))
            spaces = f'namespace = "{draw(NAMES)}"\n' if draw(st.booleans()) else ""
            parts.append(f'[[include]]\npath = "f{target}"\n{spaces}')
        parts += ["# a comment\n\n"] * draw(st.integers(0, 3))
        files[f"f{level}"] = HEAD + "".join(draw(st.permutations(parts)))
    return files


@settings(max_examples=150, deadline=None)
@given(trees())
def test_in_any_nest_of_includes_a_finding_points_at_the_text_it_is_about(files):
    host = files["f0"]
    workflow = composed(host, files)
    found = [d for d in found_in(host, files) if d.code == "E004"]
    assert {d.rule for d in found} <= {each.name for each in workflow.rules}
    meant = {}
    for each in found:
        line = files[each.file or "f0"].splitlines()[each.line - 1]
        meant[line] = meant.get(line, 0) + 1
        assert f'"{each.file or "f0"} ' in line
    assert meant == {f'memory = "{each.memory}"': 1 for each in workflow.rules}


def test_what_lint_says_of_a_file_by_itself_it_says_of_it_when_included():
    part = """\
[workflow]
name = "part"
format_version = "2.0"
auther = "me"
sample_pattern = "{sample}.fq"
[webhook]
url = "x"
[defaults]
thread = 4
[bogus]
x = 1
[cluster]
backend = "odd"
nodes = 3
[config]
db_password = "hunter2hunter2"
[[rules]]
name = "a"
shell = "curl -u me api_key=abcdef123456"
"""
    host = "# host\n" + HEAD + '[[include]]\npath = "part"\nnamespace = "n"\n[cluster]\n'
    alone, above = composed(part, {}), composed(host, {"part": part})
    own = {each for each in places(locate(part, lint(alone, []))) if each[0][0] == "S"}
    assert len(own) == 8
    found = locate(host, lint(above, []), above.modules)
    assert {each for each in places(found) if each[0][0] == "S"} == {
        (code, rule, "part", line, column) for code, rule, _, line, column in own
    }
    assert {each for each in places(found) if each[0] in ("W033", "W034")} == {
        ("W033", None, "part", 6, 1),
        ("W034", None, "part", 12, 1),
        ("W034", None, "part", 8, 1),
        ("W034", None, "part", 5, 1),
        ("W034", None, None, 7, 1),
    }
