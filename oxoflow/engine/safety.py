"""Refuse commands that would destroy a machine rather than compute (spec/oxoflow-format.md 5.15).

Owns the list of blocked patterns. A net for accidents, not a wall: a shell can always be talked
round. Pure.
"""

from __future__ import annotations

import re

_WORD = r"(?:^|[\s;&|(])"
_BLOCKED: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (words, re.compile(pattern))
    for words, pattern in (
        (
            "removes an absolute path recursively",
            _WORD + r"rm\s+(?:-\S+\s+)*-(?:\w*r\w*|-recursive)\s+(?:-\S+\s+)*[\"']?/",
        ),
        (
            "removes a home directory recursively",
            _WORD + r"rm\s+(?:-\S+\s+)*-(?:\w*r\w*|-recursive)\s+(?:-\S+\s+)*~",
        ),
        ("makes a file system", _WORD + r"(?:\S*/)?mk(?:fs(?:\.\w+)?|swap)(?:\s|$)"),
        ("overwrites a disk", _WORD + r"dd\s.*\bof=/dev/(?:sd|nvme|vd|hd|xvd|mmcblk)"),
        ("copies endlessly from a device", _WORD + r"dd\s.*\bif=/dev/(?:zero|u?random)\b"),
        ("opens the whole system to everybody", _WORD + r"chmod\s+(?:-\S+\s+)*0?777\s+/(?:\s|$)"),
        ("opens a tree to everybody", _WORD + r"chmod\s+(?:-\S*R\S*|--recursive)\s+0?777\b"),
        ("writes onto a disk", r">\s*/dev/(?:sd|nvme|vd|hd|xvd|mmcblk)"),
        (
            "runs what it downloads",
            _WORD + r"(?:curl|wget)\s[^|]*\|\s*(?:sudo\s+(?:-\S+\s+)*)?(?:\S*/)?"
            r"(?:sh|bash|dash|sudo)(?:\s|$)",
        ),
        ("is a fork bomb", r"(\S+)\s*\(\)\s*\{\s*\1\s*\|\s*\1\s*&\s*\}\s*;?\s*\1"),
    )
)


def blocked(text: str) -> str | None:
    """Why a command is refused, naming its line; None when it may run."""
    for line in text.splitlines():
        for words, pattern in _BLOCKED:
            if pattern.search(line):
                return f"refused: '{line.strip()[:200]}' {words}"
    return None
