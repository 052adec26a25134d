"""Recognise commands that destroy more than a workflow may, line by line.

Owns the blocked shapes of spec/oxoflow-format.md 5.15 with whole words (S31), used when a
workflow is checked and again before a command runs. Linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from oxoflow.lang.patterns import Pattern, compile_pattern

# Cheap first look: most commands have none of these and need no further test.
_SUSPECT = re.compile(r"\b(?:rm|mkfs|mkswap|dd|chmod|curl|wget)\b|/dev/|:\(|\(\)")
_FLAGS = r"(?:\s+-[\w-]+(?:=\S*)?)*"
_RECURSIVE = r"(?:\s+-[\w-]*)*\s+-(?:\w*[rR]\w*|-recursive)(?:\s+-[\w-]*)*\s+"
_END = r"(?:[\s;&|)'\"]|$)"
_SHELL = r"(?:sudo\s+(?:-\S+\s+)*)?(?:/\S*/)?(?:ba|da|z|k)?sh\b"
_SHAPES: tuple[tuple[str, str, str], ...] = (
    (
        "RECURSIVE_DELETION",
        rf"\brm{_RECURSIVE}['\"]?(?:/\*?|~/?\*?|\$HOME/?|\$\{{HOME\}}/?)['\"]?{_END}",
        "deletes the root or home directory",
    ),
    (
        "FILESYSTEM_DESTRUCTION",
        r"(?:^|[\s;&|(])(?:\S*/)?(?:mkfs(?:\.\w+)?|mkswap)(?:\s|$)",
        "makes a new file system over an old one",
    ),
    ("FILESYSTEM_DESTRUCTION", r"\bdd\b.*\bof=/dev/sd", "overwrites a disk"),
    ("DATA_DESTRUCTION", r"\bdd\b.*\bif=/dev/(?:zero|random|urandom)\b", "fills with raw data"),
    (
        "PERMISSION_ESCALATION",
        rf"\bchmod{_FLAGS}\s+0?777\s+/{_END}|\bchmod(?:\s+-\w+)*\s+-\w*R\w*(?:\s+-\w+)*\s+0?777\b",
        "opens files to everybody",
    ),
    ("BLOCK_DEVICE_WRITE", r">\s*/dev/sd[a-z]", "overwrites a disk"),
    (
        "REMOTE_EXECUTION",
        rf"\b(?:curl|wget)\b[^|]*\|\s*(?:tee\s+\S+\s*\|\s*)?{_SHELL}",
        "runs what it downloads",
    ),
    ("FORK_BOMB", r":\s*\(\s*\)\s*\{.*:\s*\|\s*:.*\}", "starts processes without end"),
)
_COMPILED: tuple[tuple[str, Pattern, str], ...] = tuple(
    (category, compile_pattern(shape), effect) for category, shape, effect in _SHAPES
)


@dataclass(frozen=True, slots=True)
class Danger:
    """One blocked shape found in a command."""

    category: str
    line: str
    effect: str


def find_dangers(text: str) -> Iterator[Danger]:
    """Yield the blocked shapes of a command, each category once; comment lines are skipped."""
    if not _SUSPECT.search(text):
        return
    told: set[str] = set()
    for line in text.split("\n"):
        if line.lstrip().startswith("#") or not _SUSPECT.search(line):
            continue
        for category, pattern, effect in _COMPILED:
            if category not in told and pattern.search(line) is not None:
                told.add(category)
                yield Danger(category, line.strip()[:80], effect)
