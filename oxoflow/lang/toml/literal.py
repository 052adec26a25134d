"""Read the text of one TOML value as a tree that keeps comments, spelling and offsets.

Owns the tree of arrays and inline tables for `positions` (where is the third input?) and `format`
(how is it laid out?). Scalars stay as spelled; nothing here computes their values.
"""

from __future__ import annotations

import re

from msgspec import Struct, field

from oxoflow.lang.latepattern import late
from oxoflow.lang.toml.scan import STRING, key_parts

DEEPEST = 32  # nested deeper than this, a value is a scalar to us: kept as spelled

_TOKEN = late(
    rf"(?P<space>[ \t]++)|(?P<line>\n)|(?P<comment>#[^\n]*+)|(?P<mark>[\[\]{{}},=])"
    rf"|(?P<text>(?:{STRING}|[^\s\[\]{{}},=#\"'][^\[\]{{}},=#\"'\n]*+)+|[\"'])"
)


class Item(Struct):
    """One value in a tree: a scalar (`opening` empty), an array or an inline table.

    `key` is set inside inline tables; `before` are comment lines above it, `after` the comment
    at its line end, `tail` the comments between the last item and the closing bracket.
    """

    start: int
    raw: str = ""
    opening: str = ""
    key: tuple[str, ...] = ()
    items: list[Item] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    after: str = ""
    tail: list[str] = field(default_factory=list)
    broken: bool = False  # written over several lines


def read(raw: str) -> Item | None:
    """Return the tree of `raw`, a value that begins with `[` or `{`; None when it is too deep."""
    if _depth(raw) > DEEPEST:
        return None
    root = Item(0, raw, raw[:1])
    stack = [root]
    reader = _Reader(stack)
    position = 1
    while stack and position < len(raw):
        match = _TOKEN.match(raw, position)
        if match is None:
            return None
        reader.take(match.lastgroup or "", match[0], position)
        position = match.end()
    return root


class _Reader:
    """Put the tokens of one value into the tree whose open nodes are `stack`."""

    def __init__(self, stack: list[Item]) -> None:
        self._stack = stack
        self._key = ""  # what stands before the `=` of an inline table's pair
        self._key_start = 0
        self._after_equals = False
        self._comments: list[str] = []
        self._last: Item | None = None  # the item on whose line we are

    def take(self, kind: str, token: str, start: int) -> None:
        if kind == "line":
            self._stack[-1].broken = True
            self._last = None
        elif kind == "comment":
            self._comment(token.rstrip())
        elif kind == "mark":
            self._mark(token, start)
        elif kind == "text":
            self._text(token.rstrip(), start)

    def _comment(self, text: str) -> None:
        if self._last is not None and not self._last.after:
            self._last.after = text
        else:
            self._comments.append(text)

    def _text(self, token: str, start: int) -> None:
        if self._stack[-1].opening == "{" and not self._after_equals:
            self._key_start = self._key_start if self._key else start
            self._key += token
        else:
            self._add(Item(start, token))

    def _mark(self, token: str, start: int) -> None:
        if token == "=":
            self._after_equals = True
        elif token in "[{":
            item = Item(start, token, token)
            self._add(item)
            self._stack.append(item)
            self._last = None
        elif token in "]}":
            closed = self._stack.pop()
            closed.tail, self._comments = self._comments, []
            self._last = closed

    def _add(self, item: Item) -> None:
        if self._after_equals:
            item.key, item.start = key_parts(self._key), self._key_start
            self._key, self._after_equals = "", False
        item.before, self._comments = self._comments, []
        self._stack[-1].items.append(item)
        self._last = item


def has_own_comment(item: Item) -> bool:
    """Return whether a comment stands directly inside this array or inline table."""
    return bool(item.tail) or any(child.before or child.after for child in item.items)


def _depth(raw: str) -> int:
    """Return an upper bound of the nesting: brackets inside strings count too."""
    depth = deepest = 0
    for match in re.finditer(r"[\[\]{}]", raw):
        depth += 1 if match[0] in "[{" else -1
        deepest = max(deepest, depth)
    return deepest
