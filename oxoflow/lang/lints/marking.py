"""Check the files that a rule picks out of its own: `ancient`, `protected_output`, `temp_output`.

Tells by W033 of an entry that is none of them, and so has no effect. What may be meant is not told:
`temp_output` names further files too, and wildcards, globs and directories stand for many.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

from oxoflow.errors import Diagnostic
from oxoflow.lang.lints.advice import Facts, command_texts, warn
from oxoflow.lang.lints.inert import IGNORED
from oxoflow.lang.model import Rule
from oxoflow.lang.nearest import ALIKE_PATHS, is_one_slip

MOST = 50  # paths that an entry is compared with; beyond, it may be one of them
DEEPEST = 40  # directories above a path that count
_WILDCARD = re.compile(r"\{[^{}]*\}")
_SEVERAL = re.compile(r"[*?\[{]")
_DIGITS = re.compile(r"\d")


class _Files:
    """The files of a rule as written; `whole` counts what lies below and above them too."""

    def __init__(self, paths: Sequence[str], *, whole: bool = False) -> None:
        self.paths = paths
        self._exact = frozenset(paths)
        self._several = [_open(path) for path in paths if _SEVERAL.search(path)]
        self._above: frozenset[str] = frozenset()
        self._whole = whole
        if whole:
            self._several += [f"{path}/*" for path in self._several]
            self._above = frozenset(each for path in paths for each in _directories(path))

    def may_hold(self, path: str) -> bool:
        """Say whether a path is one of these, for some values of its wildcards and theirs."""
        if path == "." or path in self._exact or path in self._above:
            return True
        if self._whole and not self._exact.isdisjoint((".", *_directories(path))):
            return True
        several = _SEVERAL.search(path) is not None
        if len(self._several) > MOST or (several and len(self._exact) > MOST):
            return True
        if any(fnmatchcase(path, each) for each in self._several):
            return True
        return several and any(fnmatchcase(each, _open(path)) for each in self._exact)


def marking_checks(rule: Rule, facts: Facts) -> Iterator[Diagnostic]:
    """Yield the entries that pick out nothing."""
    lost = facts.workflow.gaps.keys.get(rule.name, frozenset())
    if rule.ancient and "input" not in lost and not _has_more_inputs(rule, facts):
        yield from _ancient(rule, facts)
    if rule.output_pattern or rule.transform or "output" in lost:
        return
    if rule.protected_output or rule.temp_output:
        manifest = [rule.checkpoint_manifest] if rule.checkpoint_manifest else []
        made = _Files(_filled([*rule.output.paths, *manifest], facts), whole=True)
        yield from _protected(rule, made, facts)
        yield from _temporary(rule, made, facts)


def _has_more_inputs(rule: Rule, facts: Facts) -> bool:
    return bool(rule.input_groups or rule.transform or rule.name in facts.gathering)


def _ancient(rule: Rule, facts: Facts) -> Iterator[Diagnostic]:
    known = _Files(_filled(rule.input.paths, facts))
    patterns = _filled([spec.pattern for spec in rule.expand_inputs], facts)
    grown = _Files(patterns)
    fact = "ancient names '{}', which is no input of it, so its changes count"
    for at, path in enumerate(_filled(rule.ancient, facts)):
        is_grown = path not in patterns and grown.may_hold(path)  # the pattern itself is no file
        if not is_grown and not known.may_hold(path):
            yield _told(rule, f"ancient.{at}", fact, path, known.paths, facts)


def _protected(rule: Rule, made: _Files, facts: Facts) -> Iterator[Diagnostic]:
    fact = "protected_output names '{}', which is no output of it, so nothing is protected"
    for at, path in enumerate(_filled(rule.protected_output, facts)):
        if not made.may_hold(path):
            yield _told(rule, f"protected_output.{at}", fact, path, made.paths, facts)


def _temporary(rule: Rule, made: _Files, facts: Facts) -> Iterator[Diagnostic]:
    few = max(len(made.paths), len(rule.temp_output)) <= MOST
    for at, path in enumerate(_filled(rule.temp_output, facts)):
        if ("*" in path or "?" in path) and path not in made.paths[:MOST]:
            fact = "temp_output names '{}', and a glob finds nothing there"
            yield _told(rule, f"temp_output.{at}", fact, path, (), facts)
        elif few and _is_misspelt(path, made, rule):
            fact = "temp_output names '{}', which is no output of it, nor in its command"
            yield _told(rule, f"temp_output.{at}", fact, path, made.paths, facts)


def _is_misspelt(path: str, made: _Files, rule: Rule) -> bool:
    """Say whether an entry is meant for an output, as no command of the rule speaks of it."""
    if path in made.paths or not any(_is_slip(path, each) for each in made.paths):
        return False
    texts = [*(text for _, text in command_texts(rule)), rule.script or ""]
    return not any(posixpath.basename(path) in text for text in texts)


def _is_slip(path: str, made: str) -> bool:
    """Say whether a letter was swapped, doubled or left out; another number or kind is no slip."""
    if _DIGITS.sub("", path) == _DIGITS.sub("", made) or not is_one_slip(path, made):
        return False
    if len(path) == len(made):
        return sorted(path) == sorted(made)
    return posixpath.splitext(path)[1] == posixpath.splitext(made)[1]


def _told(
    rule: Rule, key: str, fact: str, path: str, known: Sequence[str], facts: Facts
) -> Diagnostic:
    near = facts.guesses.near(path, known, least=ALIKE_PATHS)
    cure = f"did you mean '{near}'?" if near else "name each file as the rule has it"
    return warn(IGNORED, f"rule '{rule.name}': {fact.format(path)}", rule, key, cure)


def _filled(paths: Iterable[str], facts: Facts) -> list[str]:
    return [posixpath.normpath(facts.filled(path)) for path in paths]


def _open(path: str) -> str:
    """Give a path as a glob that fits whatever its wildcards may be."""
    return _WILDCARD.sub("*", path)


def _directories(path: str) -> Iterator[str]:
    for _ in range(DEEPEST):
        path = path.rpartition("/")[0]
        if not path:
            return
        yield path
