"""Compile regular expressions that users wrote, in linear time and without look-around.

Owns the use of RE2: a hostile pattern cannot freeze the process. Nothing else compiles user text.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any, Protocol

MAX_PATTERN = 2000


class Match(Protocol):
    """What is used of a match."""

    def start(self) -> int:
        """Give where the match begins."""
        ...

    def groups(self) -> tuple[str | None, ...]:
        """Give what the groups caught."""
        ...


class Pattern(Protocol):
    """What is used of a compiled pattern."""

    def search(self, text: str) -> Match | None:
        """Find the first match anywhere in the text."""
        ...

    def fullmatch(self, text: str) -> Match | None:
        """Match the whole text."""
        ...


def compile_pattern(text: str) -> Pattern:
    """Compile, or raise ValueError saying what is wrong with the pattern."""
    if len(text) > MAX_PATTERN:
        raise ValueError(f"the pattern is longer than {MAX_PATTERN} characters")
    re2, options = _engine()
    try:
        compiled: Pattern = re2.compile(text, options)
    except re2.error as error:
        reason = error.args[0] if error.args else "unreadable"
        reason = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        if "invalid perl operator" in reason or "escape sequence" in reason:
            reason += " (look-around and back-references are not supported)"
        raise ValueError(reason) from None
    return compiled


@cache
def _engine() -> tuple[Any, Any]:
    """Load RE2, which most workflows never need, and set its bounds."""
    re2 = importlib.import_module("re2")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 8 * 1024 * 1024
    return re2, options
