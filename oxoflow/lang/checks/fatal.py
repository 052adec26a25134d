"""Find what makes a well-formed text unusable altogether (load step 10).

Owns the checks of spec/oxoflow-format.md 0 step 10 that need no other file. The rest of the
errors are for `validate`, and a workflow that has them can still be looked at.
"""

from __future__ import annotations

from collections.abc import Iterator

from oxoflow.errors import Diagnostic
from oxoflow.lang.checks.rules import outputs_without_command
from oxoflow.lang.faults import UNUSABLE, error
from oxoflow.lang.model import Workflow
from oxoflow.lang.references import check_references
from oxoflow.lang.sources import check_constraints


def fatal_checks(workflow: Workflow) -> list[Diagnostic]:
    """Give every reason but rules of one name why this text cannot be loaded."""
    found: list[Diagnostic] = []
    for rule in workflow.rules:
        found += outputs_without_command(rule)
    found += check_execution_groups(workflow)
    found += check_references(workflow)
    found += check_constraints(workflow)
    return found


def duplicate_names(workflow: Workflow) -> Iterator[Diagnostic]:
    """Find rules of one name: the second and those after it."""
    seen: dict[str, int] = {}
    for index, rule in enumerate(workflow.rules):
        if rule.name in seen:
            message = f"duplicate rule name '{rule.name}'"
            hint = "rename one of the two rules"
            key = f"rules.{index}.name"
            yield error("E006", message, rule=rule.name, key=key, suggestion=hint)
        seen[rule.name] = index


def check_execution_groups(workflow: Workflow) -> Iterator[Diagnostic]:
    """Find groups that name a rule which is not there (1.17)."""
    if len(workflow.modules) < len(workflow.includes) and not workflow.gaps.includes:
        return
    names = {rule.name for rule in workflow.rules}
    for index, group in enumerate(workflow.execution_groups):
        for number, name in enumerate(group.rules):
            if name not in names and not workflow.gaps.may_name(name):
                message = f"execution group '{group.name}' names the unknown rule '{name}'"
                key = f"execution_group.{index}.rules.{number}"
                hint = "correct the name or remove it"
                yield error(UNUSABLE, message, key=key, suggestion=hint)
