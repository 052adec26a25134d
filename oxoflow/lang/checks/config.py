"""Check that every config key which a rule reads exists.

Owns E005 (spec/oxo-flow-api.md 5.3): an error where text would stay unfilled, a warning where a
condition or a list merely comes out empty (design.md 10).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from oxoflow.errors import Diagnostic
from oxoflow.lang.condition import config_keys
from oxoflow.lang.configrefs import MARK, keys_in, sample_list_cure
from oxoflow.lang.faults import error, warning
from oxoflow.lang.model import Rule, Workflow
from oxoflow.lang.nearest import Guesser
from oxoflow.lang.references import DERIVED_KEYS

_PREFIX = "config."


def key_checks(
    rule: Rule, known: frozenset[str], guess: Guesser, *, late: bool = False
) -> Iterator[Diagnostic]:
    """Yield the undefined keys of one rule, each once; `late` when a checkpoint finds samples."""
    told: set[str] = set()
    for field, text in rule_texts(rule):
        if MARK in text:
            for key in keys_in([text]):
                if key not in known and key not in told:
                    told.add(key)
                    message = f"rule '{rule.name}': {{config.{key}}} is not defined"
                    hint = guess.meant(key, known, "config.{}") or _cure(key, late)
                    yield error("E005", message, rule=rule.name, key=field, suggestion=hint)
    for field, key, effect in _soft_keys(rule):
        if key not in known and key not in told:
            told.add(key)
            message = f"rule '{rule.name}': config.{key} is not defined, so {effect}"
            hint = guess.meant(key, known, "config.{}") or _cure(key, late)
            make = error if field.startswith("transform.") else warning
            yield make("E005", message, rule=rule.name, key=field, suggestion=hint)


def asks_outside_texts(rule: Rule) -> bool:
    """True when a rule may name config keys elsewhere than in braces in its texts."""
    return bool(rule.when or rule.scatter or rule.transform or rule.expand_inputs)


def pair_checks(workflow: Workflow, guess: Guesser) -> Iterator[Diagnostic]:
    """Yield the undefined keys that conditions of pairs ask for."""
    known = known_keys(workflow)
    for index, pair in enumerate(workflow.pairs):
        for key in config_keys(pair.when) if pair.when else ():
            if key not in known:
                message = f"pair '{pair.pair_id}': config.{key} is not defined, so the condition "
                message += "reads it as false"
                hint = guess.meant(key, known, "config.{}") or _cure(key, late=False)
                yield warning("E005", message, key=f"pairs.{index}.when", suggestion=hint)


def reference_checks(workflow: Workflow, guess: Guesser) -> Iterator[Diagnostic]:
    """Yield the undefined keys of references and of the contracts of includes."""
    texts = [
        (f"reference '{each.name}'", f"references.{index}.{field}", text)
        for index, each in enumerate(workflow.references)
        for field, text in (("source", each.source), ("output", each.output), ("build", each.build))
    ]
    texts += [
        (f"include '{each.path}'", f"include.{index}.{field}.{at}", text)
        for index, each in enumerate(workflow.includes)
        for field, promised in (("inputs", each.inputs), ("outputs", each.outputs))
        for at, text in enumerate(promised or ())
    ]
    known = known_keys(workflow) if any(MARK in (text or "") for _, _, text in texts) else ()
    told: set[tuple[str, str]] = set()  # a build holds the texts of its source and output too
    for owner, place, text in texts:
        for key in keys_in([text]) if text and MARK in text else ():
            if key not in known and (owner, key) not in told:
                told.add((owner, key))
                message = f"{owner}: {{config.{key}}} is not defined"
                hint = guess.meant(key, known, "config.{}") or _cure(key, late=False)
                yield error("E005", message, key=place, suggestion=hint)


def value_checks(workflow: Workflow, guess: Guesser) -> Iterator[Diagnostic]:
    """Yield the undefined keys that values of the config ask for, where a rule reads the value."""
    asked = {key: keys_in(texts) for key, texts in _marked_values(workflow.config)}
    for each in workflow.references:  # their keys are told with them
        asked.pop(each.name, None)
    if not asked:
        return
    known = known_keys(workflow)
    if all(known.issuperset(keys) for keys in asked.values()):
        return
    read = _keys_read(workflow, asked)
    for key, keys in asked.items():
        for missing in keys if key in read else ():
            if missing not in known:
                message = f"config '{key}': {{config.{missing}}} is not defined"
                hint = guess.meant(missing, known, "config.{}") or _cure(missing, late=False)
                yield error("E005", message, key=f"config.{key}", suggestion=hint)


def _marked_values(config: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Give the values that hold references, as texts."""
    for key, value in config.items():
        items = value if isinstance(value, list) else [value]
        texts = [item for item in items if isinstance(item, str) and MARK in item]
        if texts:
            yield key, texts


def _keys_read(workflow: Workflow, asked: Mapping[str, Collection[str]]) -> set[str]:
    """Give the config keys that rules and references read, through other values too."""
    texts = [text for rule in workflow.rules for _, text in rule_texts(rule) if MARK in text]
    for each in workflow.references:
        texts += [text for text in (each.source, each.output, each.build) if text]
    waiting = [*keys_in(texts)]
    waiting += [key for rule in workflow.rules for _, key, _ in _soft_keys(rule)]
    found: set[str] = set()
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            waiting += asked.get(key, ())
    return found


def _cure(key: str, late: bool) -> str:
    return sample_list_cure(key, late=late) or f"add {key} = … to [config]"


def rule_texts(rule: Rule) -> Iterator[tuple[str, str]]:
    """Give every text of a rule in which `{config.x}` is filled, with its key."""
    for key, files in (("input", rule.input), ("output", rule.output)):
        for index, path in enumerate(files.paths):
            yield f"{key}.{files.step(index)}", path
    yield from command_texts(rule)
    for key, text in (("log", rule.log), ("checkpoint_manifest", rule.checkpoint_manifest)):
        if text:
            yield key, text
    for key, value in (*rule.envvars.items(), *rule.params.items()):
        if isinstance(value, str):
            yield f"envvars.{key}" if key in rule.envvars else f"params.{key}", value
    for index, spec in enumerate(rule.expand_inputs):
        yield f"expand_inputs.{index}.pattern", spec.pattern


def command_texts(rule: Rule) -> Iterator[tuple[str, str]]:
    """Give every text of a rule that a shell will read, with its key."""
    for key, text in (
        ("shell", rule.shell),
        ("script", rule.script),
        ("pre_exec", rule.pre_exec),
        ("on_success", rule.on_success),
        ("on_failure", rule.on_failure),
    ):
        if text:
            yield key, text
    if rule.transform:
        yield "transform.map", rule.transform.map
        if rule.transform.combine and rule.transform.combine.shell:
            yield "transform.combine.shell", rule.transform.combine.shell


def _soft_keys(rule: Rule) -> Iterator[tuple[str, str, str]]:
    if rule.when:
        for key in config_keys(rule.when):
            yield "when", key, "the condition reads it as false"
    sources = [("scatter", rule.scatter.values_from)] if rule.scatter else []
    if rule.transform:
        sources.append(("transform.split", rule.transform.split.values_from))
    for field, reference in sources:
        if reference:
            yield f"{field}.values_from", reference.removeprefix(_PREFIX), "there are no values"
    for index, spec in enumerate(rule.expand_inputs):
        for name, text in spec.variables.items():
            key = text.removeprefix(_PREFIX)
            if text.startswith(_PREFIX) and "{" not in key:
                place = f"expand_inputs.{index}.variables.{name}"
                yield place, key, "its name is taken as the value"


def known_keys(workflow: Workflow) -> frozenset[str]:
    """Give the keys that exist, or will once files are read and lists are injected."""
    known = {*workflow.config, *[reference.name for reference in workflow.references]}
    if workflow.groups or workflow.sample_groups_file or workflow.sample_pattern:
        known |= {"samples_list", *[f"samples_{group.name}" for group in workflow.groups]}
    if workflow.pairs or workflow.pairs_file or workflow.pairs_pattern:
        known |= {"samples_list", "pairs_list"}
    if workflow.reference_dir or "reference_dir" in workflow.config:
        known |= DERIVED_KEYS
    return frozenset(known)
