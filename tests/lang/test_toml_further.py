"""More than the first mistake of a text that is no TOML, and never what only follows from it."""

from __future__ import annotations

import pytest
import tomli
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from oxoflow.engine.checking import check_text
from oxoflow.lang.toml.further import mistakes
from tests.lang.build import Files
from tests.lang.toml_texts import texts


def lines_told(text: str) -> list[int]:
    try:
        tomli.loads(text.removeprefix("\ufeff"))
    except tomli.TOMLDecodeError as fault:
        return [each.line or 0 for each in mistakes(text, fault)]
    return []


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a = four\nb = 1\nc = five # cups\n\n[t]\nd = '''x\n'''\ne = 07\n", [1, 3, 8]),
        ('a = "\\d"\nb = """\\w\n\\s"""\nc = "\\xzz"\nd = "\x01"\n', [1, 2, 4, 5]),
        ("a = x\nb = [1 2]\nc = y\n", [1, 2]),  # where an array ends is not certain
        ("a = x\na = 1\na = 2\nb = y\n", [1, 3]),
        ("a = x\nb = 1\nb = 2\nb = 3\nc = y\n", [1, 3]),  # nor how many more are twice
        ("\ufeffa = x\r\nb = 1\r\nc = y\r\n", [1, 3]),
        ("[t]\n  a = x\n  b = y\n", [2, 3]),
        ("\n".join(f"k{n} = x" for n in range(50)), list(range(1, 21))),
        ("k = x\n" * 3, [1, 2, 3]),
    ],
)
def test_mistakes_in_values_are_told_together(text: str, lines: list[int]) -> None:
    assert lines_told(text) == lines


@pytest.mark.parametrize(
    "text",
    [
        'shell = "echo a\necho b"\nx = y\n',
        "shell = echo a \\\n  b=c\nx = y\n",
        "shell = java -jar x.jar\n  I=a.bam O=b.bam\n",
        "input = a.txt,\n b.txt\nx = y\n",
        "input = a.txt\nb.txt\n",
        'shell = """\nx = y\nz = w\n',
        'a = """x\nb = """\nthreads = four\nx = y\n"""\n',
        "a = [\n  x,\n  y,\n]\n",
        "a = { x = y }\nb = z\n",
        '[rules]\nname = "a"\nname = "b"\nshell = x\n',
        "[[rules\nname = x\n",
        "a b = 1\nc = x\n",
        "a = 'x' y\nb = z\n",
    ],
)
def test_what_may_only_follow_from_the_first_mistake_is_not_told(text: str) -> None:
    assert len(lines_told(text)) == 1


@settings(max_examples=40, deadline=None)
@given(texts(), st.data())
@example('a = """x\ny = z\n"""\nb = """\n"""\n', None)
def test_one_slip_of_the_pen_is_one_mistake(text: str, data) -> None:
    tomli.loads(text)
    for at in (
        range(0, len(text), max(1, len(text) // 40))
        if data is None
        else [data.draw(st.integers(0, max(0, len(text) - 1)))]
    ):
        assert len(lines_told(text[:at] + text[at + 1 :])) <= 1
        for more in "'\"\\[]{}=,#\nx":
            assert len(lines_told(text[:at] + more + text[at:])) <= 1


@settings(max_examples=30, deadline=None)
@given(texts(), texts())
def test_two_broken_values_are_told_and_nothing_else(one: str, two: str) -> None:
    text = one.rstrip("\r\n") + "\n[[zz]]\nq1 = x\n[zz.y]\nq2 = '''a\nb'''\nq3 = \"\\d\"\n"
    assume(lines_told(one) == [])
    first = text.count("\n", 0, text.index("q1 =")) + 1
    assert lines_told(text) in ([first, first + 4], [first])
    assert lines_told(text + "[zzz]\nq4 = y\n")[-1] in (first, first + 6)


def test_all_of_them_come_with_their_cures_by_every_way_in() -> None:
    text = '[workflow]\nname = w\n[[rules]]\nname = "a"\nshell = "\\d"\n'
    found = check_text(text).diagnostics
    assert [(each.code, each.line, each.column) for each in found] == [
        ("S001", 2, 8),
        ("S001", 5, 10),
    ]
    assert all(each.suggestion for each in found)
    files = {"w": '[workflow]\nname = "w"\n[[include]]\npath = "i"\n', "i": text}
    told = check_text(files["w"], Files(files)).diagnostics
    assert [(each.file, each.line) for each in told] == [("i", 2), ("i", 5)]
