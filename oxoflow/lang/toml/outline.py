"""Skim a TOML text for its headers and a few keys, and one table for where its keys stand.

Owns the quick way through texts of megabytes: what it need not look at, it passes over in one
step of a regular expression; all that is odd it leaves to `scan`. It agrees with `scan` on every
text that is TOML.
"""

from __future__ import annotations

from collections.abc import Iterator

from oxoflow.lang.latepattern import late
from oxoflow.lang.toml.scan import STRING, Kind, Statement, key_parts, statement_at

LANDMARKS = ("name", "namespace", "rules")  # keys that `landmarks` stops at

_BARE = "[A-Za-z0-9_-]++"
_SHORT = r'"[^"\\\n]*+"|' + r"'[^'\n]*+'"
_REST = r"[ \t]*+(?:#[^\n]*+)?(?:\n|\Z)"
_NO_BRACKETS = rf"[^\[\]{{}}\"'#]++|{STRING}|#[^\n]*+"
_DEEPEST = 5  # levels of brackets that are passed over; `scan` follows the deeper ones


def _brackets(levels: int) -> str:
    """Give the pattern of an array or inline table; in TOML its brackets are known to match."""
    inside = f"|{_brackets(levels - 1)}" if levels > 1 else ""
    return rf"[\[{{](?:{_NO_BRACKETS}{inside})*+[\]}}]"


_VALUE = rf"(?:{STRING}|{_brackets(_DEEPEST)}|[^\s\"'\[{{#][^\n#]*+)"
_KEY_REST = rf"(?:[ \t]*+\.[ \t]*+(?:{_BARE}|{_SHORT}))*+"
_PAIR_REST = rf"{_KEY_REST}[ \t]*+=[ \t]*+{_VALUE}{_REST}"
_EMPTY = r"[ \t]*+(?:#[^\n]*+)?\n"
_MARKED = rf"(?![\"']?(?:{'|'.join(LANDMARKS)})[\"']?[ \t]*+=)"
_QUIET = rf"(?:{_EMPTY}|[ \t]*+{_MARKED}(?:{_BARE}|{_SHORT}){_PAIR_REST})*+[ \t]*+"
# up to the next header of a usual kind: an element, with the name that follows it, or its table
_ELEMENT = rf"\[\[({_BARE})\]\]{_REST}(?:{_QUIET}name[ \t]*+=[ \t]*+({_SHORT}){_REST})?+"
_STRIDE = late(rf"{_QUIET}(?:{_ELEMENT}|\[({_BARE})\.({_BARE})\]{_REST})?+")
_NEXT_KEY = late(rf"(?:{_EMPTY})*+[ \t]*+(?:({_BARE}|{_SHORT}){_PAIR_REST})?+")


def landmarks(text: str) -> Iterator[Statement]:
    """Yield the headers of `text`, and its pairs whose key is one of `LANDMARKS`, in order.

    An element may have as value what its key `name` has, which then is not yielded. Line ends must
    be `\\n` alone, as for `statements`.
    """
    position, length = 0, len(text)
    while position < length:
        match = _STRIDE.match(text, position)
        if match is None:
            return
        position = match.end()
        name, value, table, part = match.groups()
        if name is not None:
            yield Statement(Kind.ELEMENT, (name,), match.start(1) - 2, value or "")
            continue
        if table is not None:
            yield Statement(Kind.TABLE, (table, part), match.start(3) - 1)
            continue
        statement, position = statement_at(text, position)
        if statement is not None and _is_landmark(statement):
            yield statement


def _is_landmark(statement: Statement) -> bool:
    if statement.kind is Kind.PAIR:
        return len(statement.key) == 1 and statement.key[0] in LANDMARKS
    return statement.kind in (Kind.TABLE, Kind.ELEMENT)


def first_keys(text: str, start: int, end: int) -> dict[str, list[int]]:
    """Give where the pairs between two offsets start, by the first part of their keys."""
    found: dict[str, list[int]] = {}
    position = start
    while position < end:
        match = _NEXT_KEY.match(text, position)
        if match is None:
            break
        position = match.end()
        raw = match[1]
        if raw is not None:
            first, at = raw if raw[0] not in "\"'" else key_parts(raw)[0], match.start(1)
        elif position < end:
            statement, position = statement_at(text, position)
            if statement is None or statement.kind is not Kind.PAIR:
                continue
            first, at = statement.key[0], statement.start
        else:
            break
        if at < end:
            found.setdefault(first, []).append(at)
    return found
