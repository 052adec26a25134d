"""Check the wildcards of a rule against what gives them values.

Owns W024 (no source) and W029 (`${sample}` is filled in, surprise S21 of spec/oxoflow-format.md).
In commands only names that everybody means as wildcards count, and slips of the pen: awk and bash
have braces too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import islice

from oxoflow.errors import Diagnostic
from oxoflow.lang.checks.config import rule_texts
from oxoflow.lang.condition import wildcards_tested
from oxoflow.lang.configrefs import MARK, NAMEABLE
from oxoflow.lang.lints.advice import Facts, command_texts, warn
from oxoflow.lang.model import Rule
from oxoflow.lang.nearest import MOST_NAMES, is_one_slip
from oxoflow.lang.wildcards import (
    ENGINE_NAMES,
    META_PREFIX,
    PAIR_NAMES,
    PLACEHOLDER,
    SAMPLE_NAMES,
    names_in,
)

_SHELL_VARIABLE = re.compile(r"\$\{(\w+)\}")
_DOUBLED = re.compile(r"\{\{(\w+)\}\}")
_VALUES = re.compile(r"\{values\.(\w+)\}")
_NO_ESCAPES = (
    (_SHELL_VARIABLE, "${", "}", "behind the '$'"),
    (_DOUBLED, "{{", "}}", "which is no escape"),
)
_REFERENCE = re.compile(r"\{config\.([^{}\n,]+)\}")
_ENV = re.compile(r"\{env\.(\w+)\}")
_USUAL = frozenset((*SAMPLE_NAMES, *PAIR_NAMES))
_DOTTED = re.compile(r"\{(\w{4,})(\.[\w-]+|\[\d{1,6}\])\}")
_META = re.compile(r"\{meta\.([\w-]+)\}")
_HEADS = ("input", "output", "params", "config", "values", "meta", "wildcard")
_UNCLOSED = re.compile(
    r"\{(\w+)(?:\.\w*|\[\d*\]?)?(?=(?:[^\w{}.\[,:=-][^{}\n]*)?(?:\{|$))", re.MULTILINE
)
_OPEN_PATH = re.compile(r"\{(\w+)[^{}]*(?=\{|$)")


def placeholder_checks(rule: Rule, facts: Facts) -> Iterator[Diagnostic]:
    """Yield the placeholders of a rule that will stay as written, or be filled by surprise."""
    own = own_names(rule)
    seen: set[str] = set()
    for key, files in (("input", rule.input), ("output", rule.output)):
        for at, path in enumerate(files.paths):
            if "{" not in path:
                continue
            for name in PLACEHOLDER.findall(path):
                if name not in seen and name not in own and not _has_source(name, facts):
                    seen.add(name)
                    if key == "input" or not _is_loose(name, rule):
                        yield _no_source(rule, name, f"{key}.{files.step(at)}", facts)
    yield from _expanded(rule, seen, facts)
    for key, text in (*command_texts(rule), ("script", rule.script)):
        if text and "{" in text:
            yield from _command(rule, key, text, own, seen, facts)
    yield from _slips(rule, own, facts)
    if rule.when:
        yield from _condition(rule, rule.when, own, facts)
    yield from _columns(rule, facts)
    yield from _unnameable(rule, facts)


def _expanded(rule: Rule, seen: set[str], facts: Facts) -> Iterator[Diagnostic]:
    """Find placeholders of patterns that nothing fills, and variables that no placeholder takes."""
    own = _spread_names(rule)
    for at, spec in enumerate(rule.expand_inputs):
        names = PLACEHOLDER.findall(spec.pattern)
        idle = [name for name in spec.variables if f"{{{name}" not in spec.pattern]
        for name, text in spec.variables.items():
            head, dot, rest = text.partition(".")
            if dot and is_one_slip(head, "config") and rest.isidentifier():
                message = f"rule '{rule.name}': '{text}' names no list and is taken as the value"
                key = f"expand_inputs.{at}.variables.{name}"
                yield warn("W024", message, rule, key, f"did you mean 'config.{rest}'?")
        for name in names:
            filled = name in own or name in spec.variables or _has_source(name, facts)
            if name not in seen and not filled:
                seen.add(name)
                yield _no_source(rule, name, f"expand_inputs.{at}.pattern", facts, idle)
                idle = [each for each in idle if not is_one_slip(each, name)]
        for name in idle if names else ():
            message = f"rule '{rule.name}': the pattern has no {{{name}}}, so its values have no"
            key = f"expand_inputs.{at}.variables.{name}"
            cure = facts.guesses.meant(name, names) or f"write {{{name}}} into the pattern"
            yield warn("W024", f"{message} effect", rule, key, cure)


def _columns(rule: Rule, facts: Facts) -> Iterator[Diagnostic]:
    """Find slips in `{meta.column}`: one that no sheet has is empty, and may be meant to be."""
    workflow = facts.workflow
    texts = [*rule_texts(rule), *([("when", rule.when)] if rule.when else [])]
    asked = {name: key for key, text in texts if "{meta." in text for name in _META.findall(text)}
    if not asked:
        return
    known = {column for row in islice(workflow.metadata.values(), 1) for column in row}
    known |= facts.metadata_names | {key for pair in workflow.pairs for key in pair.metadata}
    for name, key in asked.items():
        near = next((each for each in known if is_one_slip(name, each)), None)
        if name not in known and near is not None:
            message = f"rule '{rule.name}': no sheet has a column '{name}', so {{meta.{name}}} is"
            yield warn("W024", f"{message} empty", rule, key, f"did you mean '{{meta.{near}}}'?")


def _slips(rule: Rule, own: Collection[str], facts: Facts) -> Iterator[Diagnostic]:
    """Find what is one slip from being a placeholder: `{outut.x}`, and `{sample/` for a path."""
    known = {*own, *facts.fan_out_names, *facts.metadata_names, *ENGINE_NAMES}
    told: set[str] = set()
    for key, text in rule_texts(rule):
        if "{" not in text:
            continue
        for head, rest in _DOTTED.findall(text):
            if head in _HEADS or head in told:
                continue
            told.add(head)
            meant = next((each for each in _HEADS if is_one_slip(head, each)), None)
            if meant is not None:
                fact = f"nothing gives {{{head}{rest}}} a value, so it stays as written"
                cure = f"did you mean '{{{meant}{rest}}}'?"
                yield warn("W024", f"rule '{rule.name}': {fact}", rule, key, cure)
        is_path = key.startswith(("input.", "output.", "expand_inputs.", "log"))
        for name in dict.fromkeys((_OPEN_PATH if is_path else _UNCLOSED).findall(text)):
            if is_path or name in known:
                fact = f"the brace of '{{{name}' is never closed, so it stays as written"
                yield warn("W024", f"rule '{rule.name}': {fact}", rule, key, f"write {{{name}}}")


def _is_loose(name: str, rule: Rule) -> bool:
    """Say whether a placeholder of an output is missed by the inputs: that is an error (E003)."""
    return bool(rule.input.paths) and not name.startswith("_")


def _unnameable(rule: Rule, facts: Facts) -> Iterator[Diagnostic]:
    """Find references to config keys whose names no reference can hold: they stay as written."""
    config = facts.workflow.config
    for key, text in rule_texts(rule):
        for name in dict.fromkeys(_REFERENCE.findall(text) if MARK in text else ()):
            table = name.split(".")[0]
            if NAMEABLE.fullmatch(name) or not {name, name.strip(), table} & config.keys():
                continue
            message = f"rule '{rule.name}': {{config.{name}}} is not filled in"
            cure = "give the value a key of its own in [config], of letters, digits, '_' and '-'"
            if name.strip() != name:
                cure = f"write {{config.{name.strip()}}}"
            yield warn("W024", message, rule, key, cure)


def _condition(rule: Rule, when: str, own: set[str], facts: Facts) -> Iterator[Diagnostic]:
    """Find tests of wildcards that no job of the rule has: they are false, so it may never run."""
    asked = [name for name in wildcards_tested(when) if name not in own]
    texts = [text for text in (rule.shell, rule.output_pattern) if text]
    used = names_in([*rule.input.paths, *rule.output.paths, *texts])
    spread = bool(rule.input_groups) or not used.isdisjoint(facts.fan_out_names)
    for name in asked:
        if not (spread and _has_source(name, facts)):
            message = f"rule '{rule.name}': its jobs have no wildcard.{name}, so the test is false"
            near = None if spread else f"use {{{name}}} in an input, an output or the command"
            known = f"give sample groups or pairs metadata = {{ {name} = '…' }}"
            cure = near or facts.guesses.meant(name, facts.known_names) or known
            yield warn("W024", message, rule, "when", cure)


def own_names(rule: Rule) -> set[str]:
    """Return the wildcards that the rule itself gives values to."""
    return _spread_names(rule).union(*[spec.variables for spec in rule.expand_inputs])


def _spread_names(rule: Rule) -> set[str]:
    """Return the wildcards for whose values the rule becomes several jobs."""
    names: set[str] = set()
    if rule.scatter:
        names.add(rule.scatter.variable)
    if rule.transform:
        names |= {rule.transform.split.by, "chunks"}
    for group in rule.input_groups:
        names |= {*PLACEHOLDER.findall(group.pattern), group.group_by.removeprefix(META_PREFIX)}
    return names


def _command(
    rule: Rule, key: str, text: str, own: set[str], seen: set[str], facts: Facts
) -> Iterator[Diagnostic]:
    for name in dict.fromkeys(PLACEHOLDER.findall(_SHELL_VARIABLE.sub("", text))):
        if name in seen | own or _has_source(name, facts):
            continue
        if name in _USUAL or _is_slip(name, own, facts):
            seen.add(name)
            yield _no_source(rule, name, key, facts, own)
    sourced = {*facts.fan_out_names, *facts.metadata_names, *ENGINE_NAMES, *_USUAL}
    for pattern, before, after, effect in _NO_ESCAPES:
        for name in dict.fromkeys(pattern.findall(text)):
            if name in own or (name in sourced and _has_source(name, facts)):
                written = f"{before}{name}{after}"
                message = (
                    f"rule '{rule.name}': the value of {{{name}}} goes into {written}, {effect}"
                )
                cure = f"write {{{name}}} for the value, or name the shell variable otherwise"
                yield warn("W029", message, rule, key, cure)
    for name in dict.fromkeys(_VALUES.findall(text)):
        if name not in facts.tables:
            message = f"rule '{rule.name}': {{values.{name}}} has no [[values]] table"
            yield warn("W024", message, rule, key, facts.guesses.meant(name, facts.tables))
    for name in dict.fromkeys(_ENV.findall(text)):
        message = f"rule '{rule.name}': {{env.{name}}} is not filled in"
        yield warn("W024", message, rule, key, f"write the shell variable: ${name}")


def _has_source(name: str, facts: Facts) -> bool:
    """Say whether a name has values, or may have some that are not known."""
    if facts.workflow.gaps.sources and name not in ENGINE_NAMES:
        return True
    if facts.finds_samples and name in _USUAL:
        return True
    return name in facts.fan_out_names or name in facts.metadata_names or name in ENGINE_NAMES


def _is_slip(name: str, own: Collection[str], facts: Facts) -> bool:
    """Say whether a longer name is one slip away from one that would be filled in."""
    known = (*own, *facts.known_names[:MOST_NAMES], *ENGINE_NAMES)
    return len(name) > 3 and any(is_one_slip(name, each) for each in known)


def _no_source(
    rule: Rule, name: str, key: str, facts: Facts, own: Collection[str] = ()
) -> Diagnostic:
    cure = (
        facts.guesses.meant(name, [*sorted(own), *facts.known_names, *sorted(ENGINE_NAMES)])
        or _CURES.get(name)
        or f'add a [[values]] table named "{name}"'
    )
    message = f"rule '{rule.name}': nothing gives {{{name}}} a value, so it stays as written"
    return warn("W024", message, rule, key, cure)


_CURES = {
    **dict.fromkeys(SAMPLE_NAMES, "add [[sample_groups]], or give --samples at the run"),
    **dict.fromkeys(PAIR_NAMES, "add [[pairs]], or a pairs_file to [workflow]"),
}
