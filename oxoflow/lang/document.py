"""Read TOML text into plain values, within bounds, with the place of what is wrong.

Owns S001: everything that keeps a text from being TOML that a workflow can be made of. Knows no
table of the format.
"""

from __future__ import annotations

import re
from typing import Any

import tomli

from oxoflow.lang.faults import STRUCTURE, error, parse_failure
from oxoflow.lang.latepattern import late
from oxoflow.lang.toml.further import mistakes
from oxoflow.lang.toml.scan import statements
from oxoflow.limits import DEFAULT

MAX_DEPTH = 64  # levels; what reads values calls itself once a level
_CONTAINERS = frozenset((dict, list))
# Reading a dotted key costs the square of its parts. A key stands in one line, and hardly a line
# that people write is long and full of dots.
_LONG_LINE = re.compile(rf"\n([^\n]{{{2 * MAX_DEPTH},}})")
_LONG_KEY = late(
    rf"(?<![\w.-])(?:(?:[\w-]++|\"[^\"\n]*+\"|'[^'\n]*+')[ \t]*+\.[ \t]*+){{{MAX_DEPTH}}}"
)
_WRITTEN_NUL = re.compile(r"\\(?:u0000|U00000000|x00)")


def decode_text(data: bytes) -> str:
    """Decode the bytes of a workflow file. Raises ParseError naming the line that is not UTF-8."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        column = fault.start - data.rfind(b"\n", 0, fault.start)
        byte = data[fault.start]
        message = f"line {line} is not UTF-8 text (byte 0x{byte:02x}); save the file as UTF-8"
        raise parse_failure([error("S001", message, line=line, column=column)]) from None


def parse_toml(text: str, longest: int = DEFAULT.text) -> dict[str, Any]:
    """Parse TOML, with line and column where they are known. Raises ParseError."""
    if len(text) > longest:
        message = f"the text has {len(text)} characters, more than {longest}; split the workflow"
        raise parse_failure([error("S001", message)])
    _require_encodable(text)
    _require_short_keys(text)
    try:
        document = tomli.loads(text.removeprefix("\ufeff"))
    except tomli.TOMLDecodeError as fault:
        raise parse_failure(mistakes(text, fault)) from None
    except (ValueError, OverflowError, RecursionError) as fault:
        message = f"not usable TOML: {str(fault)[:200]}; simplify the value"
        raise parse_failure([error("S001", message)]) from None
    _require_shallow(document)
    if _WRITTEN_NUL.search(text):
        _require_no_nul(document)
    return document


def _require_encodable(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as fault:
        line = text.count("\n", 0, fault.start) + 1
        message = f"line {line} holds a character that no UTF-8 file can hold; remove it"
        raise parse_failure([error("S001", message, line=line)]) from None


def _require_short_keys(text: str) -> None:
    """Refuse dotted keys of more parts than values may have levels."""
    lines = _LONG_LINE.findall(f"\n{text}")
    if not any(line.count(".") >= MAX_DEPTH and _LONG_KEY.search(line) for line in lines):
        return
    for statement in statements(text):
        inline = statement.value[:1] in ("[", "{") and _LONG_KEY.search(statement.value)
        if len(statement.key) > MAX_DEPTH or inline:
            line = text.count("\n", 0, statement.start) + 1
            message = f"line {line} has a key of more than {MAX_DEPTH} parts; shorten it"
            raise parse_failure([error(STRUCTURE, message, line=line)])


def _require_shallow(document: dict[str, Any]) -> None:
    """Refuse nesting that no later step should have to follow."""
    if not _deeper_than(document, MAX_DEPTH):
        return
    key = next((k for k, value in document.items() if _deeper_than(value, MAX_DEPTH - 1)), None)
    message = f"'{key}' is nested more than {MAX_DEPTH} levels deep; flatten it"
    raise parse_failure([error(STRUCTURE, message, key=key)])


def _deeper_than(value: Any, depth: int) -> bool:
    level = [value] if type(value) in _CONTAINERS else []
    for _ in range(depth):
        inner: list[Any] = []
        for item in level:
            inner += item.values() if type(item) is dict else item
        level = [each for each in inner if type(each) in _CONTAINERS]
        if not level:
            return False
    return True


def _require_no_nul(document: dict[str, Any]) -> None:
    """Refuse NUL characters, which no path and no command can hold."""
    for key, value in document.items():
        waiting: list[Any] = [key, value]
        while waiting:
            item = waiting.pop()
            if type(item) is str and "\x00" in item:
                message = f"'{key[:40]}' holds a NUL character, which no command or path may hold"
                hint = "remove \\u0000 from the text"
                raise parse_failure([error("S001", message, key=key, suggestion=hint)])
            if type(item) is dict:
                waiting += [*item.keys(), *item.values()]
            elif type(item) is list:
                waiting += item
