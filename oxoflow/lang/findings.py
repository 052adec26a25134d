"""Keep the findings about one text to a number that a person, a screen and a request can bear.

Owns what is left out and the note that says so. Errors are never left out for other findings: a
text with many warnings and one error still has its error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from oxoflow.errors import Diagnostic, Severity

MORE = "W032"  # of our own: not everything is listed


def bounded(found: Iterable[Diagnostic], most: int) -> list[Diagnostic]:
    """Give up to `most` errors and up to `most` other findings, and a note when there are more.

    Looking ends at twice as many errors as are listed, so that a hostile text costs no more.
    """
    kept: list[Diagnostic] = []
    errors = others = 0
    ended = ""
    for each in found:
        if each.severity is Severity.ERROR:
            errors += 1
            number = errors
        else:
            others += 1
            number = others
        if number <= most:
            kept.append(each)
        elif errors >= 2 * most:
            ended = "at least "
            break
    left = max(0, errors - most) + max(0, others - most)
    if left:
        kept.append(_note(f"{ended}{left}", most))
    return kept


def first_of(found: Iterable[Diagnostic], most: int) -> list[Diagnostic]:
    """Give the first findings of a search that finds no errors, and a note when it was ended."""
    kept: list[Diagnostic] = []
    for each in found:
        if len(kept) == most:
            return [*kept, _note("an unknown number of", most)]
        kept.append(each)
    return kept


def once(placed: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """Leave out what is said of one place in an included file for each time it is included."""
    seen: set[tuple[Any, ...]] = set()
    for each in placed:
        words = each.message.replace(f"'{each.rule}'", "")
        mark = (each.code, each.file, each.line, each.column, words)
        if each.file is None or mark not in seen:
            seen.add(mark)
            yield each


def _note(number: str, most: int) -> Diagnostic:
    message = f"and {number} more findings, which are not listed"
    hint = f"correct the first {most}, or raise OXO_FLOW_LIMIT_FINDINGS"
    return Diagnostic(Severity.INFO, MORE, message, suggestion=hint)
