from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oxoflow.graph.template import TemplateError, fill, fill_deep, names, render, resolve

VALUES: dict[str, Any] = {
    "x": 7,
    "f": 0.41,
    "yes": True,
    "none": None,
    "name": 'Plate "A"',
    "loop": "{{x}}",
    "stats": {"mean": 0.42, "tags": ["a", "ü"]},
    "label_wells": {"results": [{"well": 3}]},
}


def lookup(name: str) -> Any:
    return VALUES[name]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("plain", "plain"),
        ("{{x}}", "7"),
        ("{{ x }} and {{f}}", "7 and 0.41"),
        ("{{yes}}{{none}}", "true"),
        ("say {{name}}", 'say Plate "A"'),
        ("{{stats}}", '{"mean":0.42,"tags":["a","ü"]}'),
        ("{{stats.mean}}", "0.42"),
        ("{{label_wells.results.0.well}}", "3"),
        ('{"well": {{x}}, "od": {{f}}}', '{"well": 7, "od": 0.41}'),
        ('{"a":{"b":{{x}}}}', '{"a":{"b":7}}'),
        ("{{{x}}}", "{7}"),
        ("{{a {{x}}", "{{a 7"),
        ("{{loop}}", "{{x}}"),
        ("{ {x} }", "{ {x} }"),
        ("{{x", "{{x"),
        ("x}}", "x}}"),
        ("", ""),
    ],
)
def test_placeholders_become_text(template: str, expected: str) -> None:
    assert render(template, lookup) == expected


def test_inserted_text_is_never_expanded_again() -> None:
    assert render("{{loop}} {{loop}}", lookup) == "{{x}} {{x}}"
    assert fill_deep({"a": ["{{loop}}"]}, lookup) == {"a": ["{{x}}"]}


@pytest.mark.parametrize("template", ["{{gone}}", "a {{gone}} b", "{{stats.gone}}", "{{name.0}}"])
def test_an_unknown_name_is_an_error_that_names_it(template: str) -> None:
    with pytest.raises(TemplateError, match="Variable not found: "):
        render(template, lookup)


def test_dunder_names_lead_nowhere() -> None:
    with pytest.raises(TemplateError, match=r"Variable not found: name.__class__"):
        render("{{name.__class__}}", lookup)


@pytest.mark.parametrize(
    ("template", "expected"),
    [("{{x}}", 7), (" {{stats}} ", VALUES["stats"]), ("{{x}}{{x}}", "77"), ("v={{x}}", "v=7")],
)
def test_a_placeholder_alone_keeps_its_json_type(template: str, expected: object) -> None:
    assert fill(template, lookup) == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ('{"well": {{x}}}', {"well": 7}),
        ("done", "done"),
        ("{{loop}}", "{{x}}"),
        ("[1, {{x}}]", [1, 7]),
        ("NaN", "NaN"),
    ],
)
def test_a_body_is_json_if_it_parses(template: str, expected: object) -> None:
    assert resolve(template, lookup) == expected


def test_json_values_are_filled_deep_and_keys_are_not() -> None:
    value = {"{{x}}": ["{{x}}", {"b": "v{{f}}"}], "n": 1, "z": None}
    assert fill_deep(value, lookup) == {"{{x}}": [7, {"b": "v0.41"}], "n": 1, "z": None}


def test_a_template_that_doubles_itself_is_cut_off() -> None:
    big = {"big": "a" * 1_000_000}
    with pytest.raises(TemplateError, match="longer than"):
        render("{{big}}" * 20, big.__getitem__)


def test_a_megabyte_of_braces_is_read_in_one_pass() -> None:
    for hostile in ("{{" * 500_000, "}}" * 500_000, "{{a" * 300_000, "{{a}" * 250_000):
        assert render(hostile, lookup) == hostile


def test_names_are_found_in_order() -> None:
    assert names("{{a}} {{ b.c }} {{a}}") == ["a", "b.c", "a"]


@given(st.text(alphabet="{}ax .", max_size=40))
@settings(max_examples=300)
def test_text_without_names_comes_through_and_nothing_breaks(text: str) -> None:
    try:
        found = render(text, {"a": "1", "x": "2", "": "3"}.__getitem__)
    except TemplateError:
        return
    if not names(text):
        assert found == text
