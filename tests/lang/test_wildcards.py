"""Test placeholders: known names only, everything else untouched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxoflow.lang.wildcards import Template, substitute
from tests.lang.build import jobs_of, rule

UNTOUCHED = [
    "${run_id}",
    "${s}_1",
    "$(( 1 + 2 ))",
    "$(({threads} - 1))",
    "awk '{print $14}'",
    "awk 'BEGIN { x = 1 } { y }'",
    "find . -exec rm {} \\;",
    "cat {} +",
    "{ a; b; } || { c; }",
    "f() { echo; }",
    '{"a": 1, "b": {"c": 2}}',
    "perl -e 'map { $_ } @x'",
    "# {1,2} in a comment",
    "{foo}",
    "{input[0]} {input.name} {output} {config.x} {params.k}",
    "{sa\nmple}",
    "{ sample }",
    "100% of %s and %d and %(x)s",
    "{sample,[0-9]+}",
]


@pytest.mark.parametrize("text", UNTOUCHED)
def test_what_is_no_known_name_stays_as_it_is(text: str):
    assert Template(text, {"sample"}).fill({"sample": "S1"}) == text
    assert substitute(text, {"sample": "S1"}) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{sample}", "S1"),
        ("${sample}", "$S1"),
        ("{{sample}}", "{S1}"),
        ("{sample}{sample}", "S1S1"),
        ("# {sample} in a comment", "# S1 in a comment"),
        ("50%{sample}%s", "50%S1%s"),
        ("{a}/{sample}", "{a}/S1"),
        ("{values.sample}", "S1"),
    ],
)
def test_a_known_name_is_replaced_wherever_it_stands(text: str, expected: str):
    assert Template(text, {"sample"}).fill({"sample": "S1"}) == expected


def test_a_value_that_looks_like_a_placeholder_is_not_filled_again():
    assert Template("{a} {b}", {"a", "b"}).fill({"a": "{b}", "b": "x"}) == "{b} x"


def test_a_row_without_the_name_keeps_the_placeholder():
    assert Template("{a} {b}", {"a", "b"}).fill_all([{"a": "1"}, {"a": "2", "b": "3"}]) == [
        "1 {b}",
        "2 3",
    ]


@given(st.text(alphabet="{}ab%s$\n.", max_size=30), st.text(max_size=5))
def test_filling_equals_replacing_each_placeholder_once(text: str, value: str):
    assert Template(text, {"a"}).fill({"a": value}) == value.join(text.split("{a}"))


def test_shell_text_of_all_kinds_survives_a_fan_out():
    body = "\n".join(text for text in UNTOUCHED if "'''" not in text)
    text = '[[sample_groups]]\nname = "g"\nsamples = ["S1"]\n'
    (job,) = jobs_of(text + rule("a", shell=f"'''{body} {{sample}}'''"))
    assert job.shell == f"{body} S1"
