"""Decide `when` expressions: a small boolean language over `config` and existing files.

Owns spec/oxoflow-format.md 3.1. Reads files only through the view it is given; never fails on
odd text, except on nesting that no person writes. Odd text counts as true; what begins with
`config.` names a key, whatever follows, and one that does not exist counts as false.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from oxoflow.errors import WorkflowError
from oxoflow.lang.configrefs import MARK, fill, settle
from oxoflow.lang.latepattern import late
from oxoflow.lang.values import config_text
from oxoflow.lang.view import NOTHING, FileView
from oxoflow.lang.wildcards import META_PREFIX, PLACEHOLDER, substitute

MAX_DEPTH = 100
MAX_LENGTH = 20_000
_COMPARISONS = ("==", "!=", ">=", "<=", ">", "<")
_JOINED_IN_WORDS = late(r"\s(?i:and|or)\s")
_CONFIG = "config."
_CONFIG_REF = late(r"config\.([\w-]+)")
_LENGTH = late(r"len\(\s*config\.([\w-]+)\s*\)")
_WILDCARD_MARKS = ("wildcard.", "{meta.")
_WILDCARD_TEST = late(
    r"""(?:\bwildcard\.([\w-]+)|\{meta\.([\w-]+)\})(?:\s*(==|!=|>=|<=|>|<)\s*("[^"]*"|'[^']*'|[^\s&|()]+))?"""
)
_FILE_EXISTS = late(r"""file_exists\(\s*(["'])(.*)\1\s*\)""", re.DOTALL)
_MEASURED = late(r"""(file_size|wc_lines|reads_count)\(\s*(["'])(.*)\2\s*\)""", re.DOTALL)
_FILE_FUNCTIONS = ("file_exists", "file_size", "wc_lines", "reads_count")
_FILE_ASKED = late(rf"""\b(?:{"|".join(_FILE_FUNCTIONS)})\(\s*(["'])(.*?)\1\s*\)""", re.DOTALL)
_FASTQ_LINES = 4  # of one read
_QUOTED = late(r'"[^"]*"|\'[^\']*\'')
_INTEGER = late(r"[+-]?\d{1,30}", re.ASCII)
_NUMBER = late(r"[+-]?(?:\d{1,30}\.?\d{0,30}|\.\d{1,30})(?:[eE][+-]?\d{1,3})?", re.ASCII)
_FLOAT_TOLERANCE = 1e-9
_MISSING = object()


def evaluate(text: str, config: Mapping[str, Any], view: FileView) -> bool:
    """Say whether a `when` holds. Raises WorkflowError for absurd nesting or length only."""
    if len(text) > MAX_LENGTH:
        raise WorkflowError(
            f"a `when` has {len(text)} characters, more than {MAX_LENGTH}; split it over several "
            "rules"
        )
    return _evaluate(text, config, view, 0)


def complaint(text: str) -> str | None:
    """Say why a `when` can never be evaluated, or None."""
    try:
        evaluate(text, {}, NOTHING)
    except WorkflowError as failure:
        return failure.message
    return None


def unread_part(text: str) -> str | None:
    """Give the first part of a `when` that is no test this language knows.

    Call it only for texts about which `complaint` has none: it follows the nesting.
    """
    text = settle_wildcards(text, {}).strip()
    for operator, _ in _JOINS:
        parts = _split(text, operator)
        if len(parts) > 1:
            if any(not part.strip() for part in parts):
                return operator
            return next((odd for part in parts if (odd := unread_part(part))), None)
    if text.startswith("!"):
        return unread_part(text.lstrip("! \t\n\r"))
    if _encloses(text):
        return unread_part(text[1:-1])
    found = _comparison(text)
    left = found[0] if found else text
    if found and _JOINED_IN_WORDS.search(_QUOTED.sub("", found[2])):
        return text
    known = text in ("", "true", "false") or _FILE_EXISTS.fullmatch(text)
    known = known or _MEASURED.fullmatch(left)
    return None if known or _LENGTH.fullmatch(left) or _CONFIG_REF.fullmatch(left) else text


def config_keys(text: str) -> list[str]:
    """Give the config keys that a `when` reads, each once, in order."""
    return list(dict.fromkeys(_CONFIG_REF.findall(_QUOTED.sub("", text))))


def tests_wildcards(text: str) -> bool:
    """Say whether a `when` asks for the values of a job (later than the spec)."""
    return any(mark in text for mark in _WILDCARD_MARKS) or PLACEHOLDER.search(text) is not None


def wildcards_tested(text: str) -> list[str]:
    """Give the names of `wildcard.name` tests, each once, in order."""
    return list(dict.fromkeys(match[1] for match in _WILDCARD_TEST.finditer(text) if match[1]))


def settle_wildcards(text: str, bindings: Mapping[str, str]) -> str:
    """Replace every test of `wildcard.name` or `{meta.name}` by true or false, for one job.

    Paths in it may hold placeholders: `file_exists("{sample}.bam")` asks for the job's own file.

    A wildcard that the job lacks compares as false, also with `!=`, as an undefined config key
    does; metadata that it lacks is the empty string (both later than the spec).
    """

    def decide(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        value: Any = bindings.get(name, _MISSING if match[1] else "")
        if match[2]:
            value = bindings.get(META_PREFIX + name, value)
        holds = _compare(value, match[3], match[4]) if match[3] else _truthy(value)
        return "true" if holds else "false"

    return substitute(_WILDCARD_TEST.sub(decide, text), bindings)


def asks_files(text: str) -> bool:
    """Say whether a `when` asks for files, so that its answer may change while jobs run."""
    return any(name in text for name in _FILE_FUNCTIONS)


def files_asked(text: str) -> list[str]:
    """Give the paths that a `when` asks for, as they are written."""
    return [match[2] for match in _FILE_ASKED.finditer(text)] if asks_files(text) else []


def is_literally_false(text: str) -> bool:
    """Say whether the text is `false` and nothing else (lint W019)."""
    return text.strip() == "false"


def _evaluate(text: str, config: Mapping[str, Any], view: FileView, depth: int) -> bool:
    if depth > MAX_DEPTH:
        raise WorkflowError(
            f"a `when` is nested more than {MAX_DEPTH} levels deep; split it over several rules"
        )
    text = text.strip()
    for operator, decide in _JOINS:
        parts = _split(text, operator)
        if len(parts) > 1:
            return decide(_evaluate(part, config, view, depth + 1) for part in parts)
    if text.startswith("!"):
        stripped = text.lstrip("! \t\n\r")
        negations = text[: len(text) - len(stripped)].count("!")
        return _evaluate(stripped, config, view, depth + 1) ^ (negations % 2 == 1)
    if _encloses(text):
        return _evaluate(text[1:-1], config, view, depth + 1)
    return _comparison_or_primary(text, config, view)


_JOINS: tuple[tuple[str, Callable[..., bool]], ...] = (("||", any), ("&&", all))


def _comparison_or_primary(text: str, config: Mapping[str, Any], view: FileView) -> bool:
    if not text or text == "true":
        return True
    if text == "false":
        return False
    exists = _FILE_EXISTS.fullmatch(text)
    if exists:
        return view.exists(_path(exists[2], config))
    found = _comparison(text)
    if found:
        left, operator, right = found
        measured = _MEASURED.fullmatch(left)
        if measured:
            return _measures(_measure(measured, config, view), operator, right, config)
        counted = _LENGTH.fullmatch(left)
        if counted:
            return _compare(_length(config.get(counted[1])), operator, right)
        if left.startswith(_CONFIG):
            return _compare(config.get(left.removeprefix(_CONFIG), _MISSING), operator, right)
        return True
    measured = _MEASURED.fullmatch(text)
    if measured:
        return bool(_measure(measured, config, view))
    counted = _LENGTH.fullmatch(text)
    if counted:
        return _length(config.get(counted[1])) > 0
    return not text.startswith(_CONFIG) or _truthy(config.get(text.removeprefix(_CONFIG)))


def _path(text: str, config: Mapping[str, Any]) -> str:
    if MARK not in text:
        return text
    return fill(text, settle({key: config_text(value) for key, value in config.items()}))


def _measure(match: re.Match[str], config: Mapping[str, Any], view: FileView) -> int | None:
    """Give the bytes, lines or reads of a file (later than the spec); None without the file."""
    path = _path(match[3], config)
    if match[1] == "file_size":
        return view.size(path)
    lines = view.lines(path)
    return lines // _FASTQ_LINES if lines is not None and match[1] == "reads_count" else lines


def _measures(found: int | None, operator: str, right: str, config: Mapping[str, Any]) -> bool:
    """Compare with a number or with `config.key`; without the file, every comparison is false."""
    if right.startswith(_CONFIG):
        right = config_text(config.get(right.removeprefix(_CONFIG), ""))
    number = right[1:-1] if _QUOTED.fullmatch(right) else right
    known = found is not None and _NUMBER.fullmatch(number)
    return _ordered(found, operator, float(number)) if found is not None and known else False


def _length(value: Any) -> int:
    """Count the items, characters or keys of a value; what has none, or is not there, has 0."""
    return len(value) if isinstance(value, (str, list, Mapping)) else 0


def _truthy(value: Any) -> bool:
    if value is None or value is _MISSING:
        return False
    if isinstance(value, str):
        return value not in ("", "false", "0")
    if isinstance(value, (bool, int, float)):
        return bool(value)
    return True


def _compare(left: Any, operator: str, right: str) -> bool:
    if isinstance(left, bool):
        wanted = {"true": True, "false": False}.get(right)
        if wanted is None or operator not in ("==", "!="):
            return False
        return (left == wanted) == (operator == "==")
    if isinstance(left, int):
        return bool(_INTEGER.fullmatch(right)) and _ordered(left, operator, int(right))
    if isinstance(left, float):
        return bool(_NUMBER.fullmatch(right)) and _near(left, operator, float(right))
    if isinstance(left, str):
        return _compare_string(left, operator, right)
    return False


def _compare_string(left: str, operator: str, right: str) -> bool:
    """Compare as text, or as numbers where both sides read as numbers (S13)."""
    if _NUMBER.fullmatch(left.strip()) and _NUMBER.fullmatch(right):
        return _near(float(left), operator, float(right))
    bare = right[1:-1] if _QUOTED.fullmatch(right) else right
    if operator == "==":
        return left == bare
    return operator == "!=" and left != bare


def _near(left: float, operator: str, right: float) -> bool:
    if operator in ("==", "!="):
        return (abs(left - right) <= _FLOAT_TOLERANCE) == (operator == "==")
    return _ordered(left, operator, right)


def _ordered(left: float, operator: str, right: float) -> bool:
    outcomes = {
        "==": left == right,
        "!=": left != right,
        ">=": left >= right,
        "<=": left <= right,
        ">": left > right,
        "<": left < right,
    }
    return outcomes[operator]


def _top_level(text: str) -> list[bool]:
    """Mark the characters that stand outside quotes and parentheses."""
    marks, depth, quote = [], 0, ""
    for char in text:
        outside = not quote and depth == 0
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote, outside = char, False
        elif char == "(":
            depth, outside = depth + 1, False
        elif char == ")":
            depth, outside = max(depth - 1, 0), False
        marks.append(outside)
    return marks


def _split(text: str, operator: str) -> list[str]:
    if operator not in text:
        return [text]
    marks, parts, start, at = _top_level(text), [], 0, text.find(operator)
    while at >= 0:
        if marks[at] and marks[at + 1]:
            parts.append(text[start:at])
            start = at = at + 2
        else:
            at += 1
        at = text.find(operator, at)
    return [*parts, text[start:]]


def _comparison(text: str) -> tuple[str, str, str] | None:
    marks = _top_level(text)
    for at, outside in enumerate(marks):
        if outside and text[at] in "=!<>":
            for operator in _COMPARISONS:
                if text.startswith(operator, at):
                    return text[:at].strip(), operator, text[at + len(operator) :].strip()
    return None


def _encloses(text: str) -> bool:
    """Say whether the first parenthesis closes at the very end."""
    if not (text.startswith("(") and text.endswith(")")):
        return False
    depth, quote = 0, ""
    for at, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in "()":
            depth += 1 if char == "(" else -1
            if depth == 0:
                return at == len(text) - 1
    return False
