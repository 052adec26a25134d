"""Recognise commands that destroy more than a workflow may, on each line.

Owns the blocked shapes of spec/oxoflow-format.md 5.15 with whole words (S31), used when a
workflow is checked and again before a command runs. Linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache

from msgspec import Struct

from oxoflow.lang.patterns import Pattern, compile_pattern

# Cheap first look: most commands have none of these and need no further test. Every alternative
# begins with a letter of its own, so that `re` passes over most of a text in big steps.
_SUSPECT = re.compile(r"rm\b|mkfs\b|mkswap\b|dd\b|chmod\b|curl\b|wget\b|/dev/sd|:\s?\(")
_COMMENT_LINE = re.compile(r"^[ \t]*#.*$", re.MULTILINE)
_FLAG = r"(?:[ \t]+-[\w-]*)*"
_WORDS = r"(?:[ \t]+[^\s;&|()<>#]+)*"
_HOME = r"(?:/\*?|~/?\*?|\$HOME/?\*?|\$\{HOME\}/?\*?)"
_END = r"(?:[\s;&|)'\"]|$)"
_SHELL = r"(?:sudo[ \t]+(?:-\S+[ \t]+)*)?(?:/\S*/)?(?:ba|da|z|k)?sh\b"
_SHAPES: tuple[tuple[str, str, str], ...] = (
    (
        "RECURSIVE_DELETION",
        rf"\brm{_FLAG}[ \t]+-(?:\w*[rR]\w*|-recursive){_FLAG}{_WORDS}"
        rf"[ \t]+['\"]?{_HOME}['\"]?{_END}",
        "deletes the root or home directory",
    ),
    (
        "FILESYSTEM_DESTRUCTION",
        r"(?:^|[\s;&|(])(?:/\S*/)?(?:mkfs(?:\.\w+)?|mkswap)(?:[ \t]|$)|\bdd\b.*\bof=/dev/sd",
        "makes a new file system or overwrites a disk",
    ),
    ("DATA_DESTRUCTION", r"\bdd\b.*\bif=/dev/(?:zero|random|urandom)\b", "fills with raw data"),
    (
        "PERMISSION_ESCALATION",
        rf"\bchmod{_FLAG}[ \t]+0?777[ \t]+/{_END}|\bchmod{_FLAG}[ \t]+-\w*R\w*{_FLAG}[ \t]+0?777\b",
        "opens files to everybody",
    ),
    ("BLOCK_DEVICE_WRITE", r">[ \t]*/dev/sd[a-z]", "overwrites a disk"),
    (
        "REMOTE_EXECUTION",
        rf"\b(?:curl|wget)\b[^|\n]*\|[ \t]*(?:tee[ \t]+\S+[ \t]*\|[ \t]*)?{_SHELL}",
        "runs what it downloads",
    ),
    (
        "FORK_BOMB",
        r":[ \t]*\([ \t]*\)[ \t]*\{.*:[ \t]*\|[ \t]*:.*\}",
        "starts processes without end",
    ),
)


class Danger(Struct, frozen=True):
    """One blocked shape found in a command."""

    category: str
    line: str
    effect: str


def may_be_dangerous(text: str) -> bool:
    """Say at a glance whether it is worth while to look for blocked shapes; texts may be joined."""
    return _SUSPECT.search(text) is not None


def find_dangers(text: str) -> Iterable[Danger]:
    """Give the blocked shapes of a command, each category once; comment lines are skipped."""
    return _find(text) if may_be_dangerous(text) else ()


def _find(text: str) -> Iterator[Danger]:
    if "#" in text:
        text = _COMMENT_LINE.sub("", text)
    text = text.replace("\\\n", " ")
    for category, pattern, effect in _compiled():
        match = pattern.search(text)
        if match is not None:
            start = text.rfind("\n", 0, match.start() + 1) + 1
            line = text[start : start + 200].strip().partition("\n")[0]
            yield Danger(category, line[:80], effect)


@cache
def _compiled() -> tuple[tuple[str, Pattern, str], ...]:
    return tuple(
        (category, compile_pattern(f"(?m){shape}"), effect) for category, shape, effect in _SHAPES
    )
