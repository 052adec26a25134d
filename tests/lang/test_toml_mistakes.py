"""What keeps a text from being TOML is told with its place and its cure."""

from __future__ import annotations

import pytest

from oxoflow.errors import Diagnostic, ParseError
from oxoflow.lang.parse import parse_workflow
from tests.lang.build import HEAD

RULE = HEAD + '[[rules]]\nname = "a"\n'
LONG = 'shell = """\nx\n"""\n'


def mistake(text: str) -> Diagnostic:
    with pytest.raises(ParseError) as caught:
        parse_workflow(text)
    (found,) = caught.value.diagnostics
    return found


@pytest.mark.parametrize(
    ("text", "place", "said", "cure"),
    [
        (
            RULE + LONG + 'name = "b"\n',
            (8, 1),
            "the key 'name' of one table stands twice",
            "remove",
        ),
        (RULE + LONG + LONG + "x = 1\n", (8, 1), "the key 'shell' of one table", "remove one"),
        (HEAD + "[config]\na = 1\na.b = 2\n", (5, 1), "the key 'a.b'", "another key"),
        (HEAD + "[config]\n[config]\n", (4, 1), "[config] stands twice", "write it once"),
        (RULE + "  [rules.e]\n  [rules.e]\n", (6, 3), "[rules.e] stands twice", "write it once"),
        (HEAD + "[rules]\na = 1\n[[rules]]\n", (3, 1), "[rules] begins no [[rules]]", "write [[r"),
        (
            RULE + "[rules.e]\n[[Rues]]\n[rules.e]\n",
            (6, 1),
            "[[Rues]] begins no [[rules]]: below the one above, [rules.e] stands twice",
            "write [[rules]]",
        ),
        (
            HEAD + "[[rule]]\n[rules.e]\n[[rules]]\n",
            (3, 1),
            "[[rule]] begins no [[rules]]",
            "write [[rules]]",
        ),
        (HEAD + "[[values]]\n[values]\n", (4, 1), "[values] begins no [[values]]", "write [[val"),
        (HEAD + "a = “b”\n", (3, 5), "Invalid value", "those of a word processor"),
        (HEAD + "a\u00a0= 1\n", (3, 2), "Expected '='", "type a plain space"),
        (HEAD + "a = True\n", (3, 5), "Invalid value", "write true, in small letters"),
        (HEAD + "a = no\n", (3, 5), "Invalid value", "write false, in small letters"),
        (HEAD + "a =\n  - b\n", (3, 4), "Invalid value", "write the value behind the ="),
        (HEAD + 'a: "b"\n', (3, 2), "Expected '='", "write = in place of the colon"),
        (HEAD + 'a = "b",\n', (3, 8), "Expected newline", "remove what ends the line"),
        (HEAD + 'a = "b"; # c\n', (3, 8), "Expected newline", "remove what ends the line"),
        (HEAD + 'a = "b" c = 1\n', (3, 9), "Expected newline", "begin a new line for each key"),
        (HEAD + "a = 1 // c\n", (3, 7), "Expected newline", "begin a comment with #"),
        (HEAD + 'a = ("b")\n', (3, 5), "Invalid value", "write a list between [ and ]"),
        (HEAD + 'a == "b"\n', (3, 4), "Invalid value", "write a single ="),
        (HEAD + 'a = f"b"\n', (3, 5), "Invalid value", "remove the letter before the quotes"),
        (HEAD + "a = None\n", (3, 5), "Invalid value", "leave the key out"),
        (HEAD + "a = <<E\nx\nE\n", (3, 5), "Invalid value", "text of several lines"),
        (HEAD + "a = 50%\n", (3, 7), "Expected newline", "write text in quotes"),
        (HEAD + "[a.b]\n[a.b]\n", (4, 1), "[a.b] stands twice", "or begin anew with [[a]]"),
        (RULE + 'shell = "echo "hi""\n', (5, 16), "Expected newline", 'write \\" for a quote'),
        (RULE + "memory = 8G\n", (5, 11), "Expected newline", "write text in quotes"),
        (RULE + "shell = x\n", (5, 9), "Invalid value", "write text in quotes"),
        (RULE + 'shell = "grep \\d"\n', (5, 15), "Unescaped", "\\\\ for a backslash"),
        (RULE + 'shell = "C:\\Users"\n', (5, 12), "Invalid hex value", "between '''"),
        (RULE + 'shell = "echo\nx"\n', (5, 14), "Illegal character", '"""'),
        (RULE + LONG.replace('\n"""', "") + 'log = "x"\n', (5, 9), "Unterminated", "as it begins"),
        (RULE + 'input = ["a" "b"]\n', (5, 14), "Unclosed array", "comma between two"),
        (RULE + "- a\n", (5, 3), "Expected '='", "write key = value"),
        (HEAD + "[[rules]\n", (3, 8), "Expected ']]'", "write [[table]]"),
        (HEAD + "// a\n", (3, 1), "Invalid statement", "# before a comment"),
    ],
)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_mistake_in_toml_is_told_where_it_is_with_its_cure(text, place, said, cure, ends):
    found = mistake("\ufeff" + text.replace("\n", ends))
    assert (found.line, found.column) == place
    assert found.message.startswith(f"not valid TOML: {said}")
    assert f"(at line {place[0]}, column {place[1]})" in found.message
    assert cure in (found.suggestion or "")
