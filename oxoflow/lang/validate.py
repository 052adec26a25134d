"""Find what makes a readable workflow wrong: the E codes, each with thing, fact and cure.

Owns the order of spec/oxo-flow-api.md 5.3; each group of checks lives in `checks`. E006, cycles,
is the graph's own; matters of style are in `lint`. Looks at no disk unless it is given a view.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from oxoflow.errors import Diagnostic, Severity
from oxoflow.lang.checks.config import (
    asks_outside_texts,
    command_texts,
    key_checks,
    known_keys,
    pair_checks,
    reference_checks,
    value_checks,
)
from oxoflow.lang.checks.fatal import check_execution_groups
from oxoflow.lang.checks.files import file_checks
from oxoflow.lang.checks.names import (
    dependency_checks,
    env_group_checks,
    extends_checks,
    gather_checks,
    resource_group_checks,
)
from oxoflow.lang.checks.rules import (
    checkpoint_checks,
    default_complaints,
    growing_names,
    idle_scatter,
    namespace_complaints,
    pair_conditions,
    path_checks,
    rule_checks,
    sourced_names,
)
from oxoflow.lang.checks.together import Together, together
from oxoflow.lang.danger import find_dangers
from oxoflow.lang.faults import error, warning
from oxoflow.lang.findings import bounded
from oxoflow.lang.gaps import WHOLE, certain
from oxoflow.lang.grouping import check_groups
from oxoflow.lang.model import Rule, Workflow
from oxoflow.lang.nearest import Guesser, is_one_slip
from oxoflow.lang.references import check_references
from oxoflow.lang.sources import check_sources, emptied_sources
from oxoflow.lang.tables import KNOWN
from oxoflow.lang.transform import check_split, check_transform
from oxoflow.lang.view import NOTHING, FileView

NO_RULES = "W036"  # of our own
_LENIENT_KEYS = frozenset(("name", "namespace"))


def validate(workflow: Workflow, *, view: FileView | None = None) -> list[Diagnostic]:
    """Give every finding about a workflow, written or composed, that holds whatever its gaps are.

    Names that an include may bring are not missed while includes are unresolved. With a view,
    absolute inputs that are not there are reported too (E017).
    """
    return bounded(errors_of(workflow, view), workflow.limits.findings)


def errors_of(workflow: Workflow, view: FileView | None = None) -> Iterator[Diagnostic]:
    """Yield the same, however many there are."""
    found = _found(workflow, view)
    return found if workflow.gaps is WHOLE else certain(found, workflow.gaps)


def without_rules(workflow: Workflow) -> list[Diagnostic]:
    """Warn of a workflow that is put together and has no rules: readable, but of no use."""
    if workflow.rules:
        return []
    message = "the workflow has no rules, so a run makes nothing"
    hint, key = "write [[rules]]", None
    near = [name for name in workflow.document if name not in KNOWN]
    if meant := next((name for name in near if is_one_slip(name, "rules")), None):
        hint, key = f"did you mean [[rules]] where [[{meant}]] stands?", meant
    return [warning(NO_RULES, message, key=key, suggestion=hint)]


def stops_a_run(found: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Give the findings that forbid a run: all errors but odd names and `..` paths (S35)."""
    return [
        each
        for each in found
        if each.severity is Severity.ERROR
        and each.code != "E009"
        and not (each.code == "E002" and (each.key or "").split(".")[-1] in _LENIENT_KEYS)
    ]


def _texts(workflow: Workflow) -> Iterator[tuple[str | None, Mapping[str, Any]]]:
    """Give every text of a workflow as it was read, each once, with the file if it is included."""
    yield None, workflow.document
    yield from {module.path: module.document for module in workflow.modules}.items()


def _found(workflow: Workflow, view: FileView | None) -> Iterator[Diagnostic]:
    guess = Guesser()
    whole = len(workflow.modules) >= len(workflow.includes) or workflow.gaps.includes
    texts = together(workflow.rules)
    yield from _of_sources(workflow)
    yield from _of_rules(workflow, texts, view, guess, whole=whole)
    if whole:
        yield from pair_checks(workflow, guess)
        yield from reference_checks(workflow, guess)
        yield from value_checks(workflow, guess)
        yield from dependency_checks(workflow, guess)
        yield from extends_checks(workflow, guess)
        yield from gather_checks(workflow, guess)
    yield from env_group_checks(workflow, guess)
    yield from resource_group_checks(workflow, guess)
    yield from check_execution_groups(workflow)
    yield from check_references(workflow)
    growing = growing_names(workflow)
    yield from _hook_dangers(workflow)
    suspect = texts.suspect
    for rule in workflow.rules:
        if suspect:
            yield from _dangers(rule)
        if rule.checkpoint:
            yield from checkpoint_checks(rule, growing)
    if view is not None:
        yield from file_checks(workflow, view)
    for rule in workflow.rules if texts.climbs else ():
        yield from path_checks(rule)


def _of_sources(workflow: Workflow) -> Iterator[Diagnostic]:
    """Find what is wrong with the head, the config and what wildcards get their values from."""
    if not workflow.name.strip():
        hint = "give the workflow a name"
        yield error("E001", "the workflow name is empty", key="workflow.name", suggestion=hint)
    yield from default_complaints(workflow)
    yield from check_sources(workflow)
    broken = list(pair_conditions(workflow.pairs))
    yield from broken
    if not broken:
        yield from emptied_sources(workflow)


def _of_rules(
    workflow: Workflow, texts: Together, view: FileView | None, guess: Guesser, *, whole: bool
) -> Iterator[Diagnostic]:
    """Find what is wrong with single rules; config keys are only missed in a `whole` workflow."""
    sourced, known = sourced_names(workflow), known_keys(workflow)
    missing = texts.names_unknown(known)
    told = {"", *workflow.config}  # of others it is told that they are not defined (E005)
    late = any(rule.checkpoint and rule.checkpoint_manifest for rule in workflow.rules)
    odd = dict(namespace_complaints(_texts(workflow)))
    yield from odd.values()
    for rule in workflow.rules:
        for each in rule_checks(rule, sourced, guess):
            if not (
                odd and each.key == "name" and not odd.keys().isdisjoint(rule.name.split("::"))
            ):
                yield each
        if whole:
            if missing or asks_outside_texts(rule):
                yield from key_checks(rule, known, guess, late=late)
            if rule.transform:
                limit = workflow.limits.jobs
                yield from check_split(rule, workflow.config, view or NOTHING, limit)
        if rule.transform:
            yield from check_transform(rule)
        if rule.input_groups:
            yield from check_groups(rule, guess)
        if rule.scatter and (rule.scatter.values_from or "").removeprefix("config.") in told:
            yield from idle_scatter(rule, workflow.config)


def _hook_dangers(workflow: Workflow) -> Iterator[Diagnostic]:
    """Find the same in the hooks of the workflow itself."""
    for key, text in (("on_complete", workflow.on_complete), ("on_error", workflow.on_error)):
        for danger in find_dangers(text or ""):
            message = f"[workflow] {key} {danger.effect} ({danger.category}): '{danger.line}'"
            hint = "remove it; such a command is never run"
            yield error("E011", message, key=f"workflow.{key}", suggestion=hint)


def _dangers(rule: Rule) -> Iterator[Diagnostic]:
    """Find commands that are refused when they would run (E011)."""
    for key, text in command_texts(rule):
        for danger in find_dangers(text):
            message = (
                f"rule '{rule.name}': {key} {danger.effect} ({danger.category}): '{danger.line}'"
            )
            hint = "remove it; such a command is never run"
            yield error("E011", message, rule=rule.name, key=key, suggestion=hint)
