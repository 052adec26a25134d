"""Find samples and pairs by the names of files that are there.

Owns `sample_pattern` and `pairs_pattern` (spec/oxoflow-format.md 1.3, 1.13, 1.14, S22). Looks
through the view; sorts what it finds, so that no directory order matters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from oxoflow.lang.latepattern import late
from oxoflow.lang.model import Pair, SampleGroup
from oxoflow.lang.paths import beside
from oxoflow.lang.patterns import Match, Pattern, compile_pattern
from oxoflow.lang.view import FileView
from oxoflow.lang.wildcards import PLACEHOLDER

DISCOVERED_GROUP = "auto-discovered"
_PAIR_PARTS = ("pair_id", "experiment", "control")
_PIECES = late(r"\{(\w+)\}|(\*+)|(\?)")


class PatternError(Exception):
    """A discovery pattern cannot be used; the message says why."""


def discover_samples(pattern: str, view: FileView, directory: str) -> SampleGroup | None:
    """Give the group of all samples whose files match, or None without a match."""
    _require(pattern, ("sample",))
    found = {values["sample"] for _, values in _matches(pattern, view, directory, r"([^/\s]+)")}
    return SampleGroup(DISCOVERED_GROUP, tuple(sorted(found))) if found else None


def discover_pairs(pattern: str, view: FileView, directory: str) -> tuple[Pair, ...]:
    """Give one pair per `pair_id` in path order; the first matching file decides."""
    _require(pattern, _PAIR_PARTS)
    pairs: dict[str, Pair] = {}
    for _, values in _matches(pattern, view, directory, r"(\S+)"):
        if values["pair_id"] not in pairs:
            pairs[values["pair_id"]] = Pair(
                values["pair_id"], values["experiment"], values["control"]
            )
    return tuple(pairs.values())


def match_path(pattern: str) -> Callable[[str], Mapping[str, str] | None]:
    """Give what reads the values of a pattern out of a path, or None of one that does not fit.

    A value may cross `/`, a bare `*` may not. Raises PatternError.
    """
    names = PLACEHOLDER.findall(pattern)
    matcher = _compile(pattern, r"(\S+)")

    def read(path: str) -> Mapping[str, str] | None:
        match = _fit(matcher, path)
        if match is None:
            return None
        captured = [value or "" for value in match.groups()]
        values = dict(zip(names, captured, strict=True))
        same = all(values[n] == v for n, v in zip(names, captured, strict=True))
        return values if same else None

    return read


def _require(pattern: str, names: Iterable[str]) -> None:
    missing = [f"{{{name}}}" for name in names if f"{{{name}}}" not in pattern]
    if missing:
        raise PatternError(f"'{pattern}' lacks {' and '.join(missing)}; add what is missing")


def _matches(
    pattern: str, view: FileView, directory: str, placeholder: str
) -> Iterable[tuple[str, Mapping[str, str]]]:
    """Give (path, values) of the files that fit, sorted by path from the workflow's directory."""
    names = PLACEHOLDER.findall(pattern)
    matcher = _compile(pattern, placeholder)
    base = beside(directory, "") + "/" if directory else ""
    for path in sorted(view.glob(beside(directory, as_glob(pattern)))):
        relative = path.removeprefix(base)
        match = _fit(matcher, relative)
        if match:
            captured = [value or "" for value in match.groups()]
            values = dict(zip(names, captured, strict=True))
            if all(values[n] == v for n, v in zip(names, captured, strict=True)):
                yield relative, values


def _fit(matcher: Pattern, path: str) -> Match | None:
    """Match a path; the name of a file that is no UTF-8 is nobody's name and fits nothing."""
    try:
        return matcher.fullmatch(path)
    except UnicodeEncodeError:
        return None


def _compile(pattern: str, placeholder: str) -> Pattern:
    pieces, start = [], 0
    normal = beside("", pattern)
    for match in _PIECES.finditer(normal):
        pieces.append(re.escape(normal[start : match.start()]))
        pieces.append(placeholder if match[1] else "[^/]*" if match[2] else "[^/]")
        start = match.end()
    pieces.append(re.escape(normal[start:]))
    try:
        return compile_pattern("".join(pieces))
    except ValueError as error:
        raise PatternError(f"'{pattern[:80]}' cannot be used: {error}") from None


def as_glob(pattern: str) -> str:
    """Write a pattern as a glob: placeholders become `*`, brackets stand for themselves."""
    return PLACEHOLDER.sub("*", pattern).replace("[", "[[]")
