"""What stands in for names that cannot be read is never taken for an author's own text."""

from __future__ import annotations

import pytest

from oxoflow.engine.checking import check_text
from oxoflow.lang.gaps import entry_mark, is_mark, stand_in, stands_for
from tests.lang.build import HEAD, Files

# Duplicate and missing names, faulty rules and entries, an include: everything that gets a mark.
FAULTY = """
[[include]]
path = "QQ1"
[[include]]
path = 1
[[sample_groups]]
name = "Q#1Q"
samples = ["Q2", "$(x)Q"]
[[sample_groups]]
samples = ["s"]
[[rules]]
name = "aQ1 bQcQ"
shell = 1
[[rules]]
name = "aQ1 bQcQ"
output = ["Q"]
[[rules]]
output = ["z"]
threads = "x"
[[rules]]
name = "Q0 Q"
depends_on = ["Q3 Qr", "Q#0Q"]
shell = "x"
"""


def told(letter: str, seen: str) -> list[tuple[str, str, str, int | None]]:
    """Give the findings of the text with a letter for each Q, which stands as `seen` in them."""
    text = HEAD + FAULTY.replace("Q", letter)
    found = check_text(text, Files({"w": text}), look=True).diagnostics
    odd = "the name holds"  # of a rule, which is a finding of its own
    return [
        (each.code, plain(each.message, seen), plain(each.rule or "", seen), each.line)
        for each in found
        if odd not in each.message
    ]


def plain(text: str, seen: str) -> str:
    return text.replace(seen, "Q").replace(repr(seen)[1:-1], "Q")


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6, 7, 8, 0x0B, 0x0E, 0x1B, 0x1F, 0x7F, 0xFFFE])
def test_no_character_of_a_text_changes_what_is_told_of_it(number: int) -> None:
    assert told(f"\\u{number:04x}", chr(number)) == told("é", "é")


def test_every_include_that_is_not_there_is_told_whatever_it_is_called() -> None:
    for name in (*map(chr, range(1, 10)), "\x051", "#1", "\x01#1\x02", "0 w\x01"):
        text = HEAD + '[[include]]\npath = "' + "".join(f"\\u{ord(c):04x}" for c in name) + '"\n'
        found = check_text(text, Files({"w": text}), look=True).diagnostics
        assert "E018" in [each.code for each in found], repr(name)


def test_a_stand_in_holds_what_it_stands_for_and_nothing_else_does() -> None:
    file, name = "p\x01\x02/\x05 7.oxoflow", "r\x01\x02\x05 9 x"
    assert stands_for("ns::" + stand_in(12, name, file)) == 12
    assert is_mark(entry_mark(3))
    for text in (file, name, f"1 {file}\x01{name}\x02", "\x053", "#3", "12 "):
        assert stands_for(text) is None
        assert not is_mark(text)
