"""Check the names by which a rule's commands call its own files and params.

Owns W024 for `{input.name}`, `{output[1]}` and `{params.name}` (spec/oxoflow-format.md 2.2): what
is not there stays as written, and bash gets the braces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from oxoflow.errors import Diagnostic
from oxoflow.lang.lints.advice import Facts, warn
from oxoflow.lang.model import FileSet, Rule

_REFERENCE = re.compile(r"\{(?:(params)|(input|output))(?:\.([\w-]+)|\[(\d{1,6})\])\}")
_MARKS = ("{input.", "{input[", "{output.", "{output[", "{params.")
_TEXTS = ("shell", "script", "log", "pre_exec", "on_success", "on_failure")
_OPEN = frozenset("*?[")


def own_checks(rule: Rule, facts: Facts) -> Iterator[Diagnostic]:
    """Yield the references of a rule to files and params that it does not have."""
    lost = facts.workflow.gaps.keys.get(rule.name, frozenset())
    if rule.extends and rule.extends not in facts.rules:
        lost |= {"params"}  # it may have them from there
    for key in _TEXTS:
        text = getattr(rule, key)
        if not text or not any(mark in text for mark in _MARKS):
            continue
        found = {match[0]: match for match in _REFERENCE.finditer(text)}
        for written, (params, word, name, number) in _groups(found):
            if (params or word) in lost:
                continue
            if params:
                missing = _param(rule, name, facts) if name else None
            elif name:
                missing = _named(_files(rule, word), word, name, facts)
            else:
                missing = _numbered(rule, word, int(number), facts)
            if missing:
                fact, cure = missing
                message = f"rule '{rule.name}': {written} stays as written: {fact}"
                yield warn("W024", message, rule, key, cure)


def _groups(found: dict[str, re.Match[str]]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for written, match in found.items():
        yield written, tuple([group or "" for group in match.groups()])


def _files(rule: Rule, word: str) -> FileSet:
    return rule.input if word == "input" else rule.output


def _param(rule: Rule, name: str, facts: Facts) -> tuple[str, str] | None:
    if name in rule.params:
        return None
    cure = facts.guesses.meant(name, rule.params, "{params.{}}")
    return f"the rule has no param '{name}'", cure or f"add params = {{ {name} = … }}"


def _named(files: FileSet, word: str, name: str, facts: Facts) -> tuple[str, str] | None:
    if name in files.names:
        return None
    cure = facts.guesses.meant(name, files.names, f"{{{word}.{{}}}}")
    if not files.names:
        return f"the files of {word} have no names", f'write {word} = {{ {name} = "…" }}'
    return f"no {word} is called '{name}'", cure or f"add {name} to the table of {word}"


def _numbered(rule: Rule, word: str, number: int, facts: Facts) -> tuple[str, str] | None:
    files = _files(rule, word)
    count = len(files.paths)
    if number < count or _is_open(rule, word, facts):
        return None
    listed = f"{count} {word}" if count == 1 else f"{count} {word}s"
    last = f"the last one is {{{word}[{count - 1}]}}" if count else f'declare {word} = ["…"]'
    return f"there {'is' if count == 1 else 'are'} {listed}, counted from 0", last


def _is_open(rule: Rule, word: str, facts: Facts) -> bool:
    """Say whether there may be more files than are written."""
    files = _files(rule, word)
    if files.pattern is not None or any(not _OPEN.isdisjoint(path) for path in files.paths):
        return True
    if word == "output":
        return rule.output_pattern is not None or rule.transform is not None
    grown = rule.expand_inputs or rule.input_groups or rule.transform
    return bool(grown) or rule.name in facts.gathering
