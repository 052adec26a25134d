"""Check the paths that a rule reads and writes.

Owns W017, W018, W026 to W028 and W031 (spec/oxo-flow-api.md 5.3, 5.4, design.md 10). Looks at
files through the view alone, and without one says nothing about what is on any disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from oxoflow.errors import Diagnostic
from oxoflow.lang.lints.advice import Facts, command_texts, warn
from oxoflow.lang.model import Rule
from oxoflow.lang.nearest import ALIKE_PATHS, likely_file

_GLOB = re.compile(r"[*?\[{]")
_WILDCARD = re.compile(r"\{[^{}]*\}")
_WORD = re.compile(r"[^\s'\"`;|&<>()=,:]+")
_MOST_BESIDE = 10_000  # entries of a directory that are looked through for a likely name
MOST_SCRIPT = 256 * 1024  # bytes of a script that are searched


def path_checks(rule: Rule, facts: Facts) -> Iterator[Diagnostic]:
    """Yield what is doubtful in the paths of a rule."""
    for key, files in (("input", rule.input), ("output", rule.output)):
        for at, path in enumerate(files.paths):
            yield from _place(rule, f"{key}.{files.step(at)}", path)
    if facts.view is not None and not rule.optional and not facts.workflow.gaps.outputs:
        yield from _missing(rule, facts)
    yield from _undeclared(rule, facts)
    read = {facts.filled(path) for path in rule.input.paths}
    for at, written in enumerate(rule.output.paths):
        path = facts.filled(written)
        if path in read and not _GLOB.search(path.replace("{", "")):
            message = f"rule '{rule.name}' reads and writes '{path}'"
            cure = "write to another file; a failed run would leave half of both"
            yield warn("W028", message, rule, f"output.{rule.output.step(at)}", cure)
    yield from _shared(rule, facts)


def _place(rule: Rule, key: str, path: str) -> Iterator[Diagnostic]:
    if path.startswith("~"):
        message = f"rule '{rule.name}': '{path}' starts with ~, which is not expanded"
        yield warn("W018", message, rule, key, "put the directory into [config]")
    elif path.startswith("/"):
        message = f"rule '{rule.name}': '{path}' is absolute and binds the workflow to one machine"
        yield warn("W017", message, rule, key, "put the directory into [config]")


_ELSEWHERE = ("/", "~", ".oxo-flow/")  # told by other checks, or made by every run


def _missing(rule: Rule, facts: Facts) -> Iterator[Diagnostic]:
    view = facts.view
    assert view is not None
    for at, written in enumerate(rule.input.paths):
        path = facts.filled(written)
        concrete = not _GLOB.search(path) and "://" not in path and not path.startswith(_ELSEWHERE)
        if not concrete or facts.outputs.make(path) or view.exists(path):
            continue
        message = f"rule '{rule.name}': input '{path}' is made by no rule and is not on disk"
        key = f"input.{rule.input.step(at)}"
        cure = _likely_file(path, facts) or _nearest_output(path, rule, facts)
        yield warn("W026", message, rule, key, cure)


def _likely_file(path: str, facts: Facts) -> str | None:
    """Return which file on disk a missing input probably means: one that no rule reads or makes."""
    directory = path.rpartition("/")[0]
    if facts.view is None or _GLOB.search(directory) or not facts.guesses.spend():
        return None
    there = facts.view.glob(f"{directory}/*" if directory else "*")
    near = likely_file(path, there[:_MOST_BESIDE])
    if near is None or facts.outputs.make(near):
        return None
    read = [facts.filled(each) for rule in facts.rules.values() for each in rule.input.paths]
    if any(fnmatchcase(near, _WILDCARD.sub("*", each)) for each in read):
        return None
    return f"did you mean '{near}', which is there?"


def _nearest_output(path: str, rule: Rule, facts: Facts) -> str | None:
    """Return which output of which other rule a missing input probably means."""
    near = facts.guesses.near(path, facts.outputs.writers, least=ALIKE_PATHS)
    if near is None or facts.outputs.writers[near] == (rule.name,):
        return None
    maker = facts.outputs.writers[near][0]
    if path in map(facts.filled, facts.rules[maker].input.paths):
        return None  # it is made from the very file that is missing
    return f"nearest output: '{near}' (rule '{maker}')"


def _undeclared(rule: Rule, facts: Facts) -> Iterator[Diagnostic]:
    """Warn where a command or script names another rule's output and no edge joins the two."""
    if facts.parents is None:
        return
    declared = {facts.filled(path) for path in (*rule.input.paths, *rule.output.paths)}
    told: set[str] = set()
    for key, text in [*command_texts(rule), *_script_text(rule, facts)]:
        for word in dict.fromkeys(_WORD.findall(text)):
            writers = facts.outputs.writers.get(word)  # of a name that is written out
            if writers is None or word in declared or word in told or not _is_path(word):
                continue
            told.add(word)
            others = [name for name in writers if name != rule.name]
            if others and not any(facts.reach.linked(name, rule.name) for name in others):
                message = f"rule '{rule.name}' mentions '{word}' of rule '{others[0]}' in {key}"
                cure = "declare it as an input, or the order of the two rules is left to chance"
                yield warn("W027", message, rule, key, cure)


def _is_path(word: str) -> bool:
    return "/" in word or "." in word.strip(".")


def _script_text(rule: Rule, facts: Facts) -> list[tuple[str, str]]:
    if not rule.script:
        return []
    texts = [("script", rule.script)]
    name = rule.script.split(maxsplit=1)[0] if rule.script.strip() else ""
    content = facts.view.read(name) if facts.view and name and "{" not in name else None
    if content is not None:
        texts.append(("script", content[:MOST_SCRIPT].decode("utf-8", "replace")))
    return texts


def _shared(rule: Rule, facts: Facts) -> Iterator[Diagnostic]:
    """Warn where two rules write one path and no `when` keeps them apart."""
    for at, written in enumerate(rule.output.paths):
        path = facts.filled(written)
        others = facts.outputs.writers[path]
        if len(others) < 2 or others[0] == rule.name:
            continue
        if rule.when and others[0] in facts.conditional:
            continue
        message = f"rule '{rule.name}' writes '{path}', and so does rule '{others[0]}'"
        cure = "write to different files, or let their 'when' exclude each other"
        yield warn("W031", message, rule, f"output.{rule.output.step(at)}", cure)
