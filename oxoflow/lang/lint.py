"""Advise on a workflow that reads well enough: the W codes and the S warnings.

Owns the order in which advice comes (the text as a whole, then rule by rule) and the table of
checks; each group of checks lives in `lints`. Errors are `validate`'s. Codes: spec/oxo-flow-api.md
5.2 and 5.4, numbered as in design.md 10, and W029 to W036 of our own. Linear in the workflow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec.structs import replace

from oxoflow.errors import Diagnostic
from oxoflow.lang.findings import first_of
from oxoflow.lang.lints.advice import Facts, collect_facts, documents
from oxoflow.lang.lints.commands import command_checks
from oxoflow.lang.lints.document import document_checks
from oxoflow.lang.lints.inert import inert_checks
from oxoflow.lang.lints.marking import marking_checks
from oxoflow.lang.lints.nested import nested_checks
from oxoflow.lang.lints.own import own_checks
from oxoflow.lang.lints.paths import path_checks
from oxoflow.lang.lints.placeholders import placeholder_checks
from oxoflow.lang.lints.secrets import secret_checks
from oxoflow.lang.lints.style import style_checks, workflow_checks
from oxoflow.lang.model import Rule, Workflow
from oxoflow.lang.nearest import Guesser, is_one_slip
from oxoflow.lang.rule_tables import RULE
from oxoflow.lang.view import FileView

RuleCheck = Callable[[Rule, Facts], Iterable[Diagnostic]]
RULE_CHECKS: tuple[RuleCheck, ...] = (
    style_checks,
    path_checks,
    command_checks,
    placeholder_checks,
    own_checks,
    marking_checks,
)


def lint(
    workflow: Workflow,
    edges: Sequence[tuple[str, str]] | None,
    *,
    view: FileView | None = None,
) -> list[Diagnostic]:
    """Return all advice about a workflow, written or composed.

    `edges` are (producer rule, consumer rule), None when there is no graph. Without a view no
    disk is looked at, and W026 and script contents are left out.
    """
    facts = collect_facts(_with_misspelt(workflow), edges, view)
    return first_of(_found(workflow, facts), workflow.limits.findings)


def _with_misspelt(workflow: Workflow) -> Workflow:
    """Count as missing what keys and headers have misspelt: what rests on it would be noise."""
    keys = dict(workflow.gaps.keys)
    for rule in workflow.rules:
        for written in rule.extra:
            meant = [key for key in RULE.fields if is_one_slip(written, key)]
            keys[rule.name] = keys.get(rule.name, frozenset()).union(meant)
    headers = {key for _, document in documents(workflow) for key in document}
    unread = any(is_one_slip(key, "rules") for key in headers)
    if not keys and not unread:
        return workflow
    unmade = workflow.gaps.outputs or unread or any("output" in lost for lost in keys.values())
    return replace(workflow, gaps=replace(workflow.gaps, keys=keys, outputs=unmade))


def lint_written(workflow: Workflow) -> list[Diagnostic]:
    """Return the advice about a text of which parts could not be read: what it holds besides."""
    found = (
        *document_checks(workflow, Guesser()),
        *nested_checks(workflow, Guesser()),
        *inert_checks(workflow),
        *secret_checks(workflow),
    )
    return first_of(found, workflow.limits.findings)


def _found(workflow: Workflow, facts: Facts) -> Iterator[Diagnostic]:
    yield from document_checks(workflow, facts.guesses)
    yield from nested_checks(workflow, facts.guesses)
    yield from inert_checks(workflow)
    yield from secret_checks(workflow)
    yield from workflow_checks(workflow)
    for rule in workflow.rules:
        for check in RULE_CHECKS:
            yield from check(rule, facts)
