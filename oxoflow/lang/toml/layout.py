"""Spell keys and values of TOML in the one canonical way, comments included.

Owns spacing, quoting of keys, line breaks of arrays and triple quotes of commands for `format`.
Changes no value: numbers, dates and strings stay as the author wrote them, except that a command
with escaped line ends is written over several lines (spec/oxo-flow-api.md 5.7).
"""

from __future__ import annotations

import re

from oxoflow.lang.toml.literal import Item, has_own_comment, read
from oxoflow.lang.toml.scan import text_of

WIDTH = 100
INDENT = "    "
COMMANDS = frozenset(
    (
        *("shell", "map", "build", "pre_exec", "on_success", "on_failure", "shell_prelude"),
        *("on_complete", "on_error"),
    )
)

_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def key_text(key: tuple[str, ...]) -> str:
    """Return a dotted key, quoted only where TOML wants it."""
    return ".".join(part if _BARE.match(part) else quoted(part) for part in key)


def quoted(text: str) -> str:
    """Return `text` as a basic string on one line."""
    short = re.sub(r'["\\\n\t\r]', lambda match: _SHORT[match[0]], text)
    return f'"{_CONTROL.sub(_escape, short)}"'


def value_text(key: tuple[str, ...], raw: str) -> str:
    """Return the value `raw` of `key` as the canonical form spells it."""
    if raw[:1] in ("[", "{"):
        item = read(raw)
        return raw if item is None else item_text(item, len(key_text(key)) + 3)
    if key and key[-1] in COMMANDS and raw[:1] == '"' and raw[:3] != '"""' and "\\n" in raw:
        return _long(text_of(raw))
    return raw


def item_text(item: Item, used: int = 0, indent: str = "") -> str:
    """Return a value of the tree; `used` columns are taken before it on its line."""
    if not item.opening:
        return item.raw
    if item.opening == "{":
        return _spelled(item, indent) if has_own_comment(item) else _table(item, indent)
    if not has_own_comment(item) and not (item.broken and item.items):
        line = "[" + ", ".join([item_text(child, 0, indent) for child in item.items]) + "]"
        if used + len(indent) + len(line) <= WIDTH or len(item.items) < 2 or "\n" in line:
            return line
    rows = [item_text(child, 0, indent + INDENT) for child in item.items]
    return _rows(item, rows, indent)


def _table(item: Item, indent: str) -> str:
    pairs = [_pair(child, indent) for child in item.items]
    return "{ " + ", ".join(pairs) + " }" if pairs else "{}"


def _spelled(item: Item, indent: str) -> str:
    """Return an inline table that holds comments: one key to a line, as TOML 1.1 allows."""
    return _rows(item, [_pair(child, indent + INDENT) for child in item.items], indent)


def _pair(item: Item, indent: str) -> str:
    return f"{key_text(item.key)} = {item_text(item, 0, indent)}"


def _rows(item: Item, values: list[str], indent: str) -> str:
    """Return the values one to a line, between the brackets of `item`, with its comments."""
    inner = indent + INDENT
    rows = [item.opening]
    for child, value in zip(item.items, values, strict=True):
        rows += [inner + line for line in child.before]
        rows.append(f"{inner}{value},{' ' if child.after else ''}{child.after}")
    rows += [inner + line for line in item.tail]
    closing = "]" if item.opening == "[" else "}"
    return "\n".join([*rows, indent + closing])


def _long(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"""', '""\\"')
    if escaped.endswith('"'):
        escaped = escaped[:-1] + '\\"'
    return f'"""\n{_CONTROL.sub(_escape, escaped)}"""'


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04X}"
