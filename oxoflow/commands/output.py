"""Print what verbs find: JSON, diagnostics, counts in one style.

Owns the wording that several verbs share. Decides nothing.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from oxoflow.errors import Diagnostic, Severity

_STANDARD = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def open_closed_streams() -> None:
    """Let what is printed go nowhere where the caller closed a stream (`>&-`).

    Each of the three descriptors is taken, so that no file of ours becomes one of them.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) < len(_STANDARD):
        os.set_inheritable(number, True)
    os.close(number)
    for number, (name, mode) in enumerate(_STANDARD):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def drop_output() -> None:
    """Send what is still to be printed nowhere: the reader went away, as with `| head`."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_json(value: Any) -> None:
    """Print one JSON document; what JSON cannot say (infinity, dates) becomes text."""
    print(json.dumps(_finite(value), indent=1, default=str))


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def diagnostic_json(item: Diagnostic) -> dict[str, Any]:
    """Give one diagnostic as it goes over the wire (spec/oxo-flow-api.md 5.1).

    One about an included file has the key `file` as well.
    """
    return {
        "severity": item.severity.value,
        "code": item.code,
        "message": item.message,
        "rule": item.rule,
        "suggestion": item.suggestion,
        "line": item.line,
        "column": item.column,
        **({"file": item.file} if item.file else {}),
    }


def diagnostic_lines(file: str, items: Iterable[Diagnostic]) -> list[str]:
    """Give diagnostics as lines that editors can jump to."""
    lines = []
    for item in items:
        named = item.file or file
        place = f"{named}:{item.line}:{item.column}" if item.line else named
        hint = f"; {item.suggestion}" if item.suggestion else ""
        lines.append(f"{place}: {item.severity.value} {item.code}: {item.message}{hint}")
    return lines


def counts(items: Iterable[Diagnostic]) -> dict[str, int]:
    """Count diagnostics by severity, under the keys of the lint verb."""
    found = dict.fromkeys(Severity, 0)
    for item in items:
        found[item.severity] += 1
    return {f"{severity.value}_count": number for severity, number in found.items()}


def plural(number: int, word: str) -> str:
    """Count something: `1 job`, `2 jobs`."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
