from __future__ import annotations

import pytest
import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

from oxoflow.errors import Diagnostic, Severity
from oxoflow.lang.positions import Index, locate
from oxoflow.lang.toml.scan import Lines
from tests.lang.slow_positions import SlowIndex
from tests.lang.toml_texts import texts, tricky_texts

TEXT = '''\
# a comment with [rules] in it
[workflow]
name = "w"   # name = "x"

[config]
"odd key" = 1
ref = "x"

[[rules]]
name = "a"
shell = """
[[rules]]
name = "not a rule"
"""
input = [ # = [
  "one", 'two # "',
  "three",
]
resources.memory = "x"

[[rules]]
name = 'b'
environment = { conda = "e.yaml", "x" = 1 }
  [rules.resources]
    threads = 0

[[rules]]
name = "b"
shell = "x"

[[include]]
path = "qc.oxoflow"
namespace = "qc"
'''


def place(rule: str | None, key: str | None, text: str = TEXT) -> tuple[int, int]:
    diagnostic = Diagnostic(Severity.ERROR, "E000", "m", rule=rule, key=key)
    [found] = locate(text, [diagnostic])
    return found.line, found.column


@pytest.mark.parametrize(
    ("rule", "key", "expected"),
    [
        (None, None, (1, 1)),
        (None, "workflow.name", (3, 1)),
        (None, "workflow.description", (2, 1)),
        (None, "config.odd key", (6, 1)),
        (None, "config.ref", (7, 1)),
        (None, "rules.0.shell", (11, 1)),
        (None, "rules", (9, 1)),
        (None, "nothing.like.it", (1, 1)),
        ("a", None, (9, 1)),
        ("a", "log", (9, 1)),
        ("a", "shell", (11, 1)),
        ("a", "input", (15, 1)),
        ("a", "input.1", (16, 10)),
        ("a", "input[2]", (17, 3)),
        ("a", "input.9", (15, 1)),
        ("a", "resources.memory", (19, 1)),
        ("a", "resources.disk", (19, 1)),
        ("b", "name", (28, 1)),
        ("b", "rules.1.name", (22, 1)),
        (None, "rules.1.environment.conda", (23, 17)),
        (None, "rules.1.environment.x", (23, 35)),
        (None, "rules.1.resources.threads", (25, 5)),
        (None, "rules.1.resources", (24, 3)),
        ("qc::trim", "shell", (31, 1)),
        ("unknown", "shell", (31, 1)),
    ],
)
def test_a_diagnostic_is_placed_at_its_key_or_as_near_as_the_text_allows(rule, key, expected):
    assert place(rule, key) == expected


def test_line_ends_and_a_byte_order_mark_do_not_move_anything():
    assert place("a", "input.1", "\ufeff" + TEXT.replace("\n", "\r\n")) == (16, 10)


def test_rules_in_one_inline_array_are_found_too():
    text = 'workflow.name = "w"\nrules = [\n  { name = "a", shell = "x" },\n  { name = "b" },\n]\n'
    assert place("a", "shell", text) == (3, 17)
    assert place("b", "shell", text) == (4, 3)


def test_a_place_that_is_known_is_kept():
    diagnostic = Diagnostic(Severity.ERROR, "S001", "m", line=7, column=3)
    assert locate(TEXT, [diagnostic]) == [diagnostic]


@pytest.mark.parametrize(
    "text", ["", "\n", "[", "[[rules]", 'a = """', "= 1", "\x00", "]]]", "a=["]
)
def test_a_text_that_is_no_toml_still_has_places(text):
    assert place("a", "shell", text) == (1, 1)


def test_a_key_of_thousands_of_parts_is_remembered_by_its_first_parts():
    key = tuple(f"p{number}" for number in range(5000))
    for text in (".".join(key) + " = 1", "[" + ".".join(key) + "]"):
        assert Index("\n" + text).nearest(key) == key[:64]


@settings(max_examples=80, deadline=None)
@given(texts())
def test_every_key_of_a_document_has_its_place_in_the_text(text):
    index = Index(text)
    lines = text.replace("\r\n", "\n").split("\n")
    for path in paths(tomli.loads(text)):
        assert index.nearest(path) == path
        line, column = index.place(path)
        assert lines[line - 1][column - 1 :].strip()


@settings(max_examples=150, deadline=None)
@given(texts() | tricky_texts(), st.randoms(use_true_random=False))
def test_places_do_not_depend_on_what_was_looked_at_before(text, random):
    index, slow = Index(text), SlowIndex(text)
    wanted = [*paths(tomli.loads(text))] * 2
    random.shuffle(wanted)
    for path in wanted:
        asked = (*path, random.choice(["name", "x", 0, 1])) if random.random() < 0.5 else path
        found = index.nearest(asked)
        assert found == slow.nearest(asked)
        assert index.place(found) == slow.place(found)


@settings(max_examples=150, deadline=None)
@given(tricky_texts(), st.lists(st.sampled_from(["name", "shell", "input.1", "y.x"]), min_size=1))
def test_a_rule_is_found_by_its_name_wherever_that_stands(text, keys):
    index, slow = Index(text), SlowIndex(text)
    for rule, bases in slow.rules.items():
        base = bases[min(len(bases), 2) - 1]
        for key in keys:
            steps = [int(step) if step.isdecimal() else step for step in key.split(".")]
            found = index.find(rule, key)
            assert found == slow.nearest((*base, *steps))
            assert index.place(found) == slow.place(found)


@pytest.mark.parametrize("length", [0, 1, 16383, 16384, 16385, 40000])
def test_lines_are_counted_across_blocks(length):
    text = "x" * length + "\n" + "y = 1\n" * 9000
    lines = Lines(text)
    for number in (0, 1, 2730, 2731, 8999):
        assert lines.place(length + 1 + 6 * number) == (number + 2, 1)
        assert lines.place(length + 5 + 6 * number) == (number + 2, 5)
    assert lines.place(length) == (1, length + 1)
    assert lines.place(len(text)) == (9002, 1)


def paths(value, base=()):
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*base, key)
        if isinstance(item, (dict, list)):
            yield from paths(item, (*base, key))


MULTI = '''\
[[rules]]
name = "a"
shell = """
echo {sample} ${sample}
cat {outpt} \\
    {output
"""
'''


@pytest.mark.parametrize(
    ("message", "place"),
    [
        ("nothing gives {outpt} a value", (5, 5)),
        ("the value of {sample} goes into ${sample}, behind the '$'", (4, 15)),
        ("the brace of '{output' is never closed", (6, 5)),
        ("{config.gone} is not defined", (3, 1)),
        ("it is too long", (3, 1)),
    ],
)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_what_a_message_quotes_is_placed_in_its_line_of_a_long_text(message, place, ends):
    finding = Diagnostic(Severity.WARNING, "W", message, rule="a", key="shell")
    (found,) = locate(MULTI.replace("\n", ends), [finding])
    assert (found.line, found.column) == place
