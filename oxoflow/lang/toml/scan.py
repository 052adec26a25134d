"""Split TOML text into its statements and say where each one stands.

Owns the one-pass scanner under `positions` and `format`. It keeps what a parser throws away
(comments, blank lines, the spelling of values, offsets), knows nothing of workflows, and never
raises: what it cannot read it passes over line by line, for tomli has judged the text before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

import tomli

from oxoflow.lang.latepattern import late

BASIC = r'"(?:[^"\\\n]++|\\.)*+"'
LITERAL = r"'[^'\n]*+'"
LONG_BASIC = r'"""(?:[^"\\]++|\\[\s\S]|"(?!""))*+"""(?:"{0,2})'
LONG_LITERAL = r"'''(?:[^']++|'(?!''))*+'''(?:'{0,2})"
STRING = f"{LONG_BASIC}|{LONG_LITERAL}|{BASIC}|{LITERAL}"

_KEY_PART = rf"(?:[A-Za-z0-9_-]++|{BASIC}|{LITERAL})"
_KEY = rf"{_KEY_PART}(?:[ \t]*+\.[ \t]*+{_KEY_PART})*+"
_PARTS = late(_KEY_PART)
_PAIR = late(rf"({_KEY})[ \t]*+=[ \t]*+")
# what most lines are: a bare key and a short value, nothing behind it
_PLAIN = late(r'([A-Za-z0-9_-]++)[ \t]*+=[ \t]*+("[^"\\\n]*+"|[0-9]++|true|false)(?=\n|\Z)')
_HEADER = late(rf"\[(\[)?[ \t]*+({_KEY})[ \t]*+\](?(1)\])")
_SPACE = late(r"[ \t]*+")
_BLANK = late(r"(?:[ \t]*+\n)++")
_COMMENT = late(r"[ \t]*+(#[^\n]*+)?")
_STRING = late(STRING)
_BARE = late(r"[^\n#]*+")
_NESTED = late(rf"{STRING}|#[^\n]*+|[\[\]{{}}]|[^\[\]{{}}\"'#]++|[\"']")
_BARE_KEY = late(r"[A-Za-z0-9_-]+\Z")
_BLOCK = 1 << 14


class Kind(Enum):
    """What one statement of a TOML text is."""

    TABLE = "table"  # [a.b]
    ELEMENT = "element"  # [[a.b]]
    PAIR = "pair"  # a.b = value
    COMMENT = "comment"  # a line of its own
    BLANK = "blank"  # one or more empty lines


class Statement(NamedTuple):
    """One statement: its key, where it starts, and its value as spelled in the text.

    `value` is the raw text of a pair's value, or of a comment; `comment` is the one at line end.
    A tuple, for a large text has a million of them.
    """

    kind: Kind
    key: tuple[str, ...] = ()
    start: int = 0
    value: str = ""
    value_start: int = 0
    comment: str = ""


class Lines:
    """Turn an offset into a line and a column, both from 1; counts the lines by blocks."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._blocks = [(1, 0)]  # of each block: the line it begins in, and where that line does
        for start in range(0, len(text) - _BLOCK, _BLOCK):
            line, begin = self._blocks[-1]
            line += text.count("\n", start, start + _BLOCK)
            self._blocks.append((line, self._line_start(begin, start, start + _BLOCK)))

    def place(self, offset: int) -> tuple[int, int]:
        number = min(offset // _BLOCK, len(self._blocks) - 1)
        line, begin = self._blocks[number]
        line += self._text.count("\n", number * _BLOCK, offset)
        return line, offset - self._line_start(begin, number * _BLOCK, offset) + 1

    def _line_start(self, begin: int, start: int, end: int) -> int:
        """Return where the line of `end` starts, when that of `start` starts at `begin`."""
        return max(begin, self._text.rfind("\n", start, end) + 1)


def statements(text: str) -> Iterator[Statement]:
    """Yield the statements of `text` in order; line ends must be `\\n` alone."""
    position, length = 0, len(text)
    while position < length:
        statement, position = statement_at(text, position)
        if statement is not None:
            yield statement


def statement_at(text: str, position: int) -> tuple[Statement | None, int]:
    """Return the statement that begins at a line's offset, and where the next one begins.

    There is none at the end of the text, and in a line that is no TOML.
    """
    start = _end(_SPACE, text, position)
    first = text[start : start + 1]
    if not first:
        return None, start
    if first == "\n":
        return Statement(Kind.BLANK, start=start), _end(_BLANK, text, start)
    if first == "#":
        end = _line_end(text, start)
        return Statement(Kind.COMMENT, start=start, value=text[start:end].rstrip()), end + 1
    found = _header(text, start) if first == "[" else _pair(text, start)
    if found is None:
        return None, _line_end(text, start) + 1
    statement, end = found
    return statement, _line_end(text, end) + 1


def key_parts(raw: str) -> tuple[str, ...]:
    """Return the parts of a dotted key as the text spells it, quotes resolved."""
    if _BARE_KEY.match(raw):
        return (raw,)
    return tuple(text_of(part) if part[0] in "\"'" else part for part in _PARTS.findall(raw))


def text_of(raw: str) -> str:
    """Return the value of a string literal; the literal itself when it is none."""
    quote = raw[:1]
    if quote in ("'", '"') and "\\" not in raw and raw[1:2] != quote:
        return raw[1:-1]
    try:
        value = tomli.loads(f"v = {raw}")["v"]
    except (tomli.TOMLDecodeError, RecursionError):
        return raw
    return value if isinstance(value, str) else raw


def value_end(text: str, start: int) -> int:
    """Return the offset just behind the value that begins at `start` of a statement."""
    first = text[start : start + 1]
    if first in ("[", "{"):
        return _nested_end(text, start)
    match = _STRING.match(text, start)
    if match:
        return match.end()
    match = _BARE.match(text, start)
    return start + len(match.group().rstrip()) if match else start


def _pair(text: str, start: int) -> tuple[Statement, int] | None:
    plain = _PLAIN.match(text, start)
    if plain:
        key, value = plain.groups()
        return Statement(Kind.PAIR, (key,), start, value, plain.start(2)), plain.end()
    match = _PAIR.match(text, start)
    if match is None:
        return None
    begin = match.end()
    end = value_end(text, begin)
    statement = Statement(
        Kind.PAIR, key_parts(match[1]), start, text[begin:end], begin, _comment(text, end)
    )
    return statement, end


def _header(text: str, start: int) -> tuple[Statement, int] | None:
    match = _HEADER.match(text, start)
    if match is None:
        return None
    kind = Kind.ELEMENT if match[1] else Kind.TABLE
    statement = Statement(kind, key_parts(match[2]), start, comment=_comment(text, match.end()))
    return statement, match.end()


def _comment(text: str, end: int) -> str:
    match = _COMMENT.match(text, end)
    return (match[1] or "").rstrip() if match else ""


def _nested_end(text: str, start: int) -> int:
    depth, position = 0, start
    for match in _NESTED.finditer(text, start):
        token, position = match[0], match.end()
        if token in ("[", "{"):
            depth += 1
        elif token in ("]", "}"):
            depth -= 1
            if depth == 0:
                break
    return position


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    match = pattern.match(text, start)
    return match.end() if match else start


def _line_end(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end
