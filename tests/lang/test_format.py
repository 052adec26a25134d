from __future__ import annotations

from pathlib import Path

import pytest
import tomli

from oxoflow.errors import ParseError
from oxoflow.lang.format import canonical, format_workflow, same

HEAD = '[workflow]\nname = "w"\n'
ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted(path for top in ("oxoflow", "tests") for path in (ROOT / top).rglob("*.oxoflow"))


def formatted(body: str) -> str:
    """Format below a head, and give what stands below the head then."""
    text = format_workflow(HEAD + body)
    assert text.startswith(HEAD)
    return text[len(HEAD) :].removeprefix("\n")


def test_the_golden_text_comes_out_as_it_was_agreed():
    golden = Path(__file__).parent / "golden"
    text = (golden / "messy.oxoflow.txt").read_text(encoding="utf-8")
    assert format_workflow(text) == (golden / "tidy.oxoflow.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_workflow_of_the_repository_formats_without_loss(path):
    text = path.read_text(encoding="utf-8")
    once = canonical(text)
    assert canonical(once) == once
    assert same(tomli.loads(once), tomli.loads(text))
    assert once.count("#") >= text.count("#")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param('[config]\nb=1\na="x"\n', '[config]\na = "x"\nb = 1\n', id="config is sorted"),
        pytest.param(
            '[[rules]]\nshell="x"\nname="a"\noutput=["o"]\n',
            '[[rules]]\nname = "a"\noutput = ["o"]\nshell = "x"\n',
            id="shell comes last",
        ),
        pytest.param(
            '[[rules]]\nenvironment={conda="e"}\nname="a"\n',
            '[[rules]]\nname = "a"\n\n[rules.environment]\nconda = "e"\n',
            id="an environment has its own table",
        ),
        pytest.param(
            '[[rules]]\nname="a"\nshell="one\\n  \\"two\\" \\\\ \\t\\u0001\\n"\n',
            '[[rules]]\nname = "a"\nshell = """\none\n  "two" \\\\ \t\\u0001\n"""\n',
            id="a command with line ends stands on several lines",
        ),
        pytest.param(
            '[[rules]]\nname="a"\nshell="""a \\\n  b"""\n',
            '[[rules]]\nname = "a"\nshell = """a \\\n  b"""\n',
            id="joined lines stay as written",
        ),
        pytest.param(
            "[[rules]]\nname='a'\nshell='''\n{print $14}\\n'''\n",
            "[[rules]]\nname = 'a'\nshell = '''\n{print $14}\\n'''\n",
            id="raw text stays raw",
        ),
        pytest.param(
            '[[rules]]\nname="b"\n# about a\n\n# and more\n[[rules]]\nname="a"\n',
            '[[rules]]\nname = "b"\n# about a\n\n# and more\n[[rules]]\nname = "a"\n',
            id="a comment below a line stays there",
        ),
        pytest.param(
            '[zebra]\na=1\n[alpha]\nb=1\n[[rules]]\nname="a"\n',
            '[[rules]]\nname = "a"\n\n[alpha]\nb = 1\n\n[zebra]\na = 1\n',
            id="unknown tables come last, sorted",
        ),
        pytest.param(
            '[[rules]]\nname="a"\ninput=["a","b"\n]\n',
            '[[rules]]\nname = "a"\ninput = [\n    "a",\n    "b",\n]\n',
            id="a list over several lines stays so",
        ),
    ],
)
def test_canonical_form(body, expected):
    assert formatted(body) == expected


def test_a_top_level_key_stands_above_all_tables():
    text = format_workflow('reference_dir = "r"\n' + HEAD)
    assert text == 'reference_dir = "r"\n\n' + HEAD


def test_dotted_keys_become_a_table():
    assert format_workflow("config.b = 1\n" + HEAD) == HEAD + "\n[config]\nb = 1\n"


def test_windows_line_ends_and_a_byte_order_mark_vanish():
    text = "\ufeff" + (HEAD + "# c\n[config]\na=1\n").replace("\n", "\r\n")
    assert format_workflow(text) == HEAD + "\n# c\n[config]\na = 1\n"


def test_numbers_and_dates_keep_their_spelling():
    body = "[config]\na = 0xFF\nb = 1_000\nc = 1e-4\nd = 1979-05-27 07:32:00\ne = nan\n"
    assert formatted(body) == body


def test_a_workflow_with_advice_still_formats_and_a_broken_one_does_not():
    assert formatted('[[rules]]\nname = "a-b"\nthreads = 99\n')
    with pytest.raises(ParseError) as failure:
        format_workflow(HEAD + "[config]\na = = 1\n")
    assert (failure.value.diagnostics[0].line, failure.value.diagnostics[0].column) == (4, 5)
    with pytest.raises(ParseError):
        format_workflow("name = 'no workflow table'")


def test_deep_nesting_is_refused_by_our_own_error_or_formats():
    for depth in (30, 60, 390, 5000):
        text = f"{HEAD}[config]\na = {'[' * depth}{']' * depth}\n"
        try:
            assert tomli.loads(format_workflow(text)) == tomli.loads(text)
        except ParseError:
            assert depth > 40
