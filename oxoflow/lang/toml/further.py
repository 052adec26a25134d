"""Tell of more than the first mistake that keeps a text from being TOML, where that is certain.

A parser stops at its first complaint. Where that is about the value of one key, and where this
statement ends is beyond doubt, the statement can be taken out: nothing behind it rests on it, and
what is wrong besides is found by reading on. After any other mistake nothing more is said: a quote
or bracket that is not closed, or a header that is missing, makes all that follows look wrong.
"""

from __future__ import annotations

import tomli

from oxoflow.errors import Diagnostic
from oxoflow.lang.latepattern import late
from oxoflow.lang.toml.mistakes import invalid
from oxoflow.lang.toml.scan import STRING, Kind, Statement, statement_at

MOST = 20  # mistakes of one text, each of which takes another reading
_LONGEST = 1 << 18  # characters of a text that is read again
_OF_VALUES = ("Unescaped '\\'", "Invalid hex value", "Illegal character", "Invalid value")
_CLOSED = late(rf"(?:{STRING})\Z")
_WORD = late(r"[^\"'\[\]{}\n]*[^\"'\[\]{}\n\\,|&(]\Z")
_NEXT = late(r"(?:[ \t]*+(?:#[^\n]*+)?\n)*+([ \t]*+)(?=\S|\Z)")
_NOTHING_MORE = late(r"[ \t]*+(?:#[^\n]*+)?\n?\Z")
_LONG_QUOTES = ('"""', "'''")


def mistakes(text: str, fault: tomli.TOMLDecodeError) -> list[Diagnostic]:
    """Give the findings about a text that `tomli` refused, in order, the first of all at least."""
    found = [invalid(text, fault)]
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if len(text) > _LONGEST or any(text.count(quotes) % 2 for quotes in _LONG_QUOTES):
        return found  # one that is never closed turns all that follows inside out
    while len(found) < MOST:
        span = _broken(text, fault)
        if span is None:
            break
        start, end = span
        text = text[:start] + "\n" * text.count("\n", start, end) + text[end:]
        try:
            tomli.loads(text)
        except tomli.TOMLDecodeError as another:
            fault = another
        except (ValueError, OverflowError, RecursionError):
            break
        else:
            break
        if _statement(text, getattr(fault, "lineno", None) or 1)[0] is None:
            break  # it may be the rest of what was taken out
        found.append(invalid(text, fault))
    return found


def _broken(text: str, fault: tomli.TOMLDecodeError) -> tuple[int, int] | None:
    """Give where the statement begins and ends that a complaint is about, if that is certain."""
    said, line = str(fault), getattr(fault, "lineno", None)
    if line is None or not said.startswith(_OF_VALUES):
        return None
    statement, end = _statement(text, line)
    if statement is None or not _ends(text, statement, end):
        return None
    return text.rfind("\n", 0, statement.start) + 1, end


def _statement(text: str, line: int) -> tuple[Statement | None, int]:
    """Give the pair in which a line stands, as far as one can see, and where that ends."""
    offset = 0
    for _ in range(line - 1):
        offset = text.find("\n", offset) + 1
    statement, end = None, 0
    while end <= offset and end < len(text):
        statement, end = statement_at(text, end)
    is_pair = statement is not None and statement.kind is Kind.PAIR
    return statement if is_pair else None, end


def _ends(text: str, statement: Statement, end: int) -> bool:
    """Say whether a value is one closed string, or words that do not go on in the next line."""
    value = statement.value
    if not _NOTHING_MORE.match(text, statement.value_start + len(value), end):
        return False
    if _CLOSED.match(value):
        return True
    indent = statement.start - text.rfind("\n", 0, statement.start) - 1
    following = _NEXT.match(text, end)
    return bool(_WORD.match(value)) and (following is None or len(following[1]) <= indent)
