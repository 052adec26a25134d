"""Check each rule by itself: name, command, amounts, placeholders, paths.

Owns E002, E003, E004, E009, E013 and E014 (spec/oxo-flow-api.md 5.3).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from oxoflow.errors import Diagnostic
from oxoflow.lang.condition import complaint, unread_part
from oxoflow.lang.faults import error, warning
from oxoflow.lang.lists import config_list
from oxoflow.lang.model import FileSet, Pair, Rule, Workflow
from oxoflow.lang.nearest import Guesser, is_one_slip
from oxoflow.lang.values import parse_duration, parse_memory
from oxoflow.lang.wildcards import META_PREFIX, PAIR_NAMES, PLACEHOLDER, SAMPLE_NAMES, names_in

_NAME_MARKS = frozenset("_-:")
_COMMANDS = ("shell", "script", "transform")
_CONDITIONS = (
    'compare config.NAME, wildcard.NAME, len(config.NAME), file_size("PATH"), wc_lines("PATH") or '
    'reads_count("PATH"), or ask file_exists("PATH")'
)
# How other languages write conditions, and what to write here.
_HABITS = (
    (re.compile(r"\s(?i:and|or)\s"), "write && for and, || for or"),
    (re.compile(r"^(?i:not)\s"), "write ! for not"),
    (re.compile(r"[^=!<>]=[^=]"), "write == to compare"),
    (re.compile(r"\s(?i:is|eq|in)\s"), "write == to compare"),
)
_DURATION = re.compile(r"\d{1,12}[smhdSMHD]", re.ASCII)


def rule_checks(rule: Rule, sourced: frozenset[str], guess: Guesser) -> Iterator[Diagnostic]:
    """Yield E002 to E004 of one rule; `sourced` are the placeholders that have values."""
    if not rule.name.isalnum():
        yield from name_complaints(rule)
    yield from outputs_without_command(rule)
    yield from _amounts(rule)
    if rule.input.paths:
        yield from _loose_wildcards(rule, sourced, guess)
    if rule.memory is not None or rule.resources.memory is not None:
        yield from _memory(rule)


def name_complaints(rule: Rule) -> Iterator[Diagnostic]:
    """Find a name that is blank or has characters other than letters, digits, `_ - :` (E002)."""
    if not rule.name.strip():
        hint = "give the rule a name"
        yield error("E002", "a rule has a blank name", rule=rule.name, key="name", suggestion=hint)
        return
    odd = [c for c in rule.name if not _fits(c)]
    if odd:
        message = f"rule '{rule.name}': the name holds {odd[0]!r}"
        hint = "use letters, digits, '_', '-' and ':' only"
        yield error("E002", message, rule=rule.name, key="name", suggestion=hint)


def namespace_complaints(
    texts: Iterable[tuple[str | None, Mapping[str, Any]]],
) -> Iterator[tuple[str, Diagnostic]]:
    """Find namespaces of includes that give every rule below them an odd name (E002)."""
    for file, document in texts:
        entries = document.get("include")
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            name = entry.get("namespace") if isinstance(entry, dict) else None
            odd = [c for c in name if not _fits(c)] if isinstance(name, str) else []
            if odd and isinstance(name, str):
                message = f"namespace '{name}' holds {odd[0]!r}"
                hint = "use letters, digits, '_' and '-' only"
                key = f"include.{index}.namespace"
                found = error("E002", message, key=key, suggestion=hint)
                yield name, replace(found, file=file)


def _fits(char: str) -> bool:
    return char.isalnum() or char in _NAME_MARKS


def outputs_without_command(rule: Rule) -> tuple[Diagnostic, ...]:
    """Find a rule whose outputs nothing makes (E002)."""
    if not rule.output.paths or rule.shell is not None or rule.script is not None or rule.transform:
        return ()
    message = f"rule '{rule.name}' has outputs, but nothing that makes them"
    hint = "add shell, script or transform, or remove the outputs"
    for key in rule.extra:
        meant = next((each for each in _COMMANDS if is_one_slip(key, each)), None)
        hint = f"did you mean '{meant}' where '{key}' stands?" if meant else hint
    return (error("E002", message, rule=rule.name, key="output", suggestion=hint),)


def _amounts(rule: Rule) -> Iterator[Diagnostic]:
    if rule.threads == 0:
        message = f"rule '{rule.name}': threads is 0"
        yield error("E002", message, rule=rule.name, key="threads", suggestion="write 1 or more")
    elif rule.resources.threads == 0:
        key, message = "resources.threads", f"rule '{rule.name}': threads is 0 and counts as 1"
        yield warning("E002", message, rule=rule.name, key=key, suggestion="write 1 or more")
    if rule.retry_delay is not None and not _DURATION.fullmatch(rule.retry_delay.strip()):
        try:
            parse_duration(rule.retry_delay)
        except ValueError as fault:
            message = f"rule '{rule.name}': retry_delay {fault}"
            yield error("E002", message, rule=rule.name, key="retry_delay")
    if rule.resources.time_limit is not None:
        try:
            parse_duration(rule.resources.time_limit)
        except ValueError as fault:
            message = f"rule '{rule.name}': time_limit {fault}; as written, it limits nothing"
            yield warning("E002", message, rule=rule.name, key="resources.time_limit")
    if rule.when is not None:
        yield from _condition(rule, rule.when)


def _condition(rule: Rule, when: str) -> Iterator[Diagnostic]:
    for make, fault_text, hint in _condition_complaints(when):
        message = f"rule '{rule.name}': {fault_text}"
        yield make("E002", message, rule=rule.name, key="when", suggestion=hint)


def pair_conditions(pairs: Iterable[Pair]) -> Iterator[Diagnostic]:
    """Find the conditions of pairs that cannot be evaluated or are not understood (E002)."""
    for index, pair in enumerate(pairs):
        for make, fault_text, hint in _condition_complaints(pair.when) if pair.when else ():
            message, key = f"pair '{pair.pair_id}': {fault_text}", f"pairs.{index}.when"
            yield make("E002", message, key=key, suggestion=hint)


def _condition_complaints(
    when: str,
) -> Iterator[tuple[Callable[..., Diagnostic], str, str | None]]:
    """Give how bad it is, what is wrong with a `when`, and the cure."""
    if fault_text := complaint(when):
        yield error, fault_text, None
    elif odd := unread_part(when):
        counts = "false" if odd.startswith("config.") else "true"
        cure = next((words for sign, words in _HABITS if sign.search(odd)), _CONDITIONS)
        yield warning, f"the condition {odd!r} is not understood and counts as {counts}", cure


def default_complaints(workflow: Workflow) -> Iterator[Diagnostic]:
    """Find amounts outside of rules that cannot be: once, not for each rule that takes them."""
    defaults = workflow.defaults
    places = [("[defaults] memory", "defaults.memory", defaults.memory)]
    most = workflow.budget.max_memory
    places.append(("[resource_budget] max_memory", "resource_budget.max_memory", most))
    for index, reference in enumerate(workflow.references):
        named = f"reference '{reference.name}': memory"
        places.append((named, f"references.{index}.memory", reference.memory))
    for named, key, text in places:
        if text is not None:
            try:
                parse_memory(text)
            except ValueError as fault:
                yield error("E004", f"{named} {fault}", key=key)
    if defaults.threads == 0:
        message = "[defaults] threads is 0 and counts as 1"
        yield warning("E002", message, key="defaults.threads", suggestion="write 1 or more")
    if defaults.time_limit is not None:
        try:
            parse_duration(defaults.time_limit)
        except ValueError as fault:
            message = f"[defaults] time_limit {fault}; as written, it limits nothing"
            yield warning("E002", message, key="defaults.time_limit")


def _memory(rule: Rule) -> Iterator[Diagnostic]:
    for key, text in (("memory", rule.memory), ("resources.memory", rule.resources.memory)):
        if text is not None:
            try:
                parse_memory(text)
            except ValueError as fault:
                yield error("E004", f"rule '{rule.name}': {key} {fault}", rule=rule.name, key=key)


def _loose_wildcards(rule: Rule, sourced: frozenset[str], guess: Guesser) -> Iterator[Diagnostic]:
    """Find output placeholders that neither an input nor a source fills (E003)."""
    inputs = rule.input.paths
    own = {rule.scatter.variable} if rule.scatter else set()
    if rule.transform:
        own.add(rule.transform.split.by)
    for group in rule.input_groups:
        own |= {*PLACEHOLDER.findall(group.pattern), group.group_by.removeprefix(META_PREFIX)}
    told: set[str] = set()
    for index, path in enumerate(rule.output.paths):
        if "{" not in path:
            continue
        for name in PLACEHOLDER.findall(path):
            if name in sourced or name in own or name in told or name.startswith("_"):
                continue
            known = names_in(inputs)
            if name not in known:
                told.add(name)
                message = f"rule '{rule.name}': output '{path}' has {{{name}}}, which no input has"
                hint = guess.meant(name, [*sorted(known | own | sourced)], "{{}}")
                hint = hint or f"use {{{name}}} in an input, or give it values"
                key = f"output.{rule.output.step(index)}"
                yield error("E003", message, rule=rule.name, key=key, suggestion=hint)


def sourced_names(workflow: Workflow) -> frozenset[str]:
    """Give the placeholders that have values, also those from files not read yet or to be made."""
    names = {table.name for table in workflow.values} | workflow.emptied
    if workflow.pairs or workflow.pairs_file or workflow.pairs_pattern:
        names.update(PAIR_NAMES)
        names.update(key for pair in workflow.pairs for key in pair.metadata)
    if workflow.groups or workflow.sample_groups_file or workflow.sample_pattern:
        names.update(SAMPLE_NAMES)
        names.update(key for group in workflow.groups for key in group.metadata)
    for rule in workflow.rules:
        if rule.output_pattern:
            names.update(PLACEHOLDER.findall(rule.output_pattern))
        if rule.checkpoint and rule.checkpoint_manifest:  # it may find the first of them
            names.update(SAMPLE_NAMES, PAIR_NAMES)
    return frozenset(names)


def growing_names(workflow: Workflow) -> frozenset[str]:
    """Give the placeholders to which a checkpoint can add values: all but those of `[[values]]`."""
    fixed = {table.name for table in workflow.values}
    return (sourced_names(workflow) - fixed).union(SAMPLE_NAMES, PAIR_NAMES)


def idle_scatter(rule: Rule, config: Mapping[str, Any]) -> Iterator[Diagnostic]:
    """Warn of a scatter to which nobody gives values: the rule has no jobs (1.12)."""
    scatter = rule.scatter
    if scatter is None or scatter.values:
        return
    if not scatter.values_from:
        fact, key = "scatter has no values and no values_from", "scatter"
        hint = 'add values = ["…"], or values_from = "config.KEY"'
    elif not config_list(config, scatter.values_from):
        fact = f"'{scatter.values_from}' of its scatter gives no values"
        key, hint = "scatter.values_from", "give that key of [config] a list"
    else:
        return
    message = f"rule '{rule.name}' has no jobs: {fact}"
    yield warning("W035", message, rule=rule.name, key=key, suggestion=hint)


def path_checks(rule: Rule) -> Iterator[Diagnostic]:
    """Find paths that climb out of the working directory (E009)."""
    sets: tuple[tuple[str, FileSet], ...] = (("input", rule.input), ("output", rule.output))
    for key, files in sets:
        for index, path in enumerate(files.paths):
            if ".." in path and ".." in path.split("/"):
                message = f"rule '{rule.name}': {key} '{path}' may leave the working directory"
                hint = "link or copy the file below it, or use an absolute path from [config]"
                place = f"{key}.{files.step(index)}"
                yield error("E009", message, rule=rule.name, key=place, suggestion=hint)


def checkpoint_checks(rule: Rule, growing: frozenset[str]) -> Iterator[Diagnostic]:
    """Find a checkpoint without manifest (E013) and one that its own samples multiply (E014)."""
    if not rule.checkpoint_manifest:
        message = f"checkpoint rule '{rule.name}' has no checkpoint_manifest, so it adds nothing"
        hint = 'add checkpoint_manifest = "…", the file that lists the new samples'
        yield warning("E013", message, rule=rule.name, key="checkpoint", suggestion=hint)
    texts = [*rule.input.paths, *rule.output.paths, rule.shell or ""]
    named = sorted(names_in(texts) & growing)
    if named:
        message = f"checkpoint rule '{rule.name}' uses {{{named[0]}}}, but must run only once"
        hint = "move the placeholder into a rule after the checkpoint"
        yield error("E014", message, rule=rule.name, key="checkpoint", suggestion=hint)
