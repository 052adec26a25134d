"""Test the language of `when`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxoflow.errors import WorkflowError
from oxoflow.lang.condition import complaint, config_keys, evaluate, settle_wildcards, unread_part
from oxoflow.lang.view import NOTHING
from tests.lang.build import Files

CONFIG = {
    "yes": True,
    "no": False,
    "n": 30,
    "zero": 0,
    "f": 0.1,
    "s": "dna",
    "empty": "",
    "falsy": "false",
    "num": "30",
    "list": [1],
}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "true",
        "config.yes",
        "!config.no",
        "!!config.yes",
        "config.n",
        "config.s",
        "config.list",
        "(config.yes)",
        "config.n == 30",
        "config.n >= 30 && config.n <= 30 && config.n < 31 && config.n > 29",
        "config.n != 31",
        "config.f == 0.1",
        "config.f < 1",
        "config.s == 'dna'",
        'config.s == "dna"',
        "config.s == dna",
        "config.s != 'rna'",
        "config.yes == true",
        "config.no != true",
        "!config.n == 31",
        "config.no || config.yes",
        "config.no && config.no || config.yes",
        "(config.no || config.yes) && config.yes",
        "config.num >= 20",
        "config.num == 30",
        "config.num == '30'",
        "config.s == 'a && b' || config.yes",
        "config.s != 'a || b'",
        "!(config.no || config.zero)",
        "'x' == 'y'",
        "no idea what",
        "!config.missing",
        'file_exists("there.txt")',
        "!file_exists('gone.txt')",
    ],
)
def test_it_holds(text: str):
    assert evaluate(text, CONFIG, Files({"there.txt": ""}))


@pytest.mark.parametrize(
    "text",
    [
        "false",
        "config.no",
        "!config.yes",
        "config.zero",
        "config.empty",
        "config.falsy",
        "config.missing",
        "config.missing == 'x'",
        "config.missing != 'x'",
        "config.n = 30",
        "config.yes and config.s",
        "config.yes)",
        "config.yes # why",
        "config.table.key",
        "config.table.key == 'x'",
        "no idea what && config.yes.or",
        "config.n >= 20.5",
        "config.n == '30'",
        "config.s > 'a'",
        "config.yes == 1",
        "config.yes > false",
        "config.list == 1",
        "config.num >= 31",
        "(config.yes && config.no)",
        "config.yes && (config.no || config.zero)",
        "!(config.yes)",
        'file_exists("gone.txt")',
    ],
)
def test_it_does_not_hold(text: str):
    assert not evaluate(text, CONFIG, Files({"there.txt": ""}))


SIX_LINES = {"reads/S1.fq": "@r1\nACGT\n+\nIIII\n@r2\nAC\n", "none.txt": ""}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ('wc_lines("reads/S1.fq") == 6', True),
        ("wc_lines( 'reads/S1.fq' ) >= 6 && config.yes", True),
        ("wc_lines('reads/S1.fq') > 6", False),
        ("reads_count('reads/S1.fq') == 1", True),
        ("reads_count('{config.dir}/S1.fq') < config.n", True),
        ("reads_count('{config.dir}/S1.fq') >= config.num", False),
        ("file_size('reads/S1.fq') > 20.5", True),
        ("file_size('reads/S1.fq') > 'x'", False),
        ("file_size('reads/S1.fq') > config.gone", False),
        ("file_size('none.txt') == 0 || config.no", True),
        ("file_size('none.txt')", False),
        ("!reads_count('none.txt')", True),
        ("file_exists('{config.dir}/S1.fq')", True),
        ("wc_lines('gone.txt') == 0", False),
        ("wc_lines('gone.txt') != 0", False),
        ("wc_lines('gone.txt') < 5 || !config.no", True),
    ],
)
def test_files_can_be_measured_and_one_that_is_not_there_compares_as_false(text: str, holds: bool):
    config = {**CONFIG, "dir": "reads"}
    assert evaluate(text, config, Files(SIX_LINES)) is holds
    assert unread_part(text) is None


def test_the_keys_it_reads_are_listed_once_and_not_from_inside_quotes():
    text = "config.a == 'config.b' && (!config.c || config.a > 3)"
    assert config_keys(text) == ["a", "c"]


@pytest.mark.parametrize(
    ("text", "odd"),
    [
        ('normal != ""', 'normal != ""'),
        ("config.a && (config.b || !mode)", "mode"),
        ('config.a = "x"', 'config.a = "x"'),
        ("exists('x')", "exists('x')"),
        ('config.a == "x && y" && wildcard.b != "c"', None),
        ('file_exists("{sample}.bam") || len(config.c) > 1', None),
        ("!false && config.n >= 20", None),
        ("", None),
    ],
)
def test_what_is_no_test_can_be_named(text: str, odd: str | None):
    assert unread_part(text) == odd


@pytest.mark.parametrize("text", ["(" * 5000 + ")" * 5000, "config.a && " * 5000, "x" * 30_000])
def test_what_nobody_writes_is_refused(text: str):
    assert complaint(text) is not None
    with pytest.raises(WorkflowError, match="split it"):
        evaluate(text, {}, NOTHING)


@pytest.mark.parametrize(
    ("text", "settled"),
    [
        ("wildcard.kind == 'fq'", "true"),
        ("wildcard.kind != 'fq' && config.x", "false && config.x"),
        ("!(wildcard.kind == bam)", "!(false)"),
        ("wildcard.kind", "true"),
        ("wildcard.other == 'fq'", "false"),
        ("wildcard.other != 'fq'", "false"),
        ("wildcard.depth >= 10", "true"),
        ("config.s == 'a'", "config.s == 'a'"),
        ("{meta.kind} == 'fq' && {meta.kind}", "true && true"),
        ("{meta.other} == 'fq'", "false"),
        ("{meta.other} != 'fq' || {meta.other}", "true || false"),
        ("{meta.other} == ''", "true"),
    ],
)
def test_tests_of_wildcards_are_settled_for_one_job(text: str, settled: str):
    assert settle_wildcards(text, {"kind": "fq", "depth": "30"}) == settled


@given(st.text(alphabet="config.a()!&|=<>'\" truefals1", max_size=60))
def test_no_text_makes_it_fail(text: str):
    assert evaluate(text, CONFIG, NOTHING) in (True, False)
