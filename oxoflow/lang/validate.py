"""Find what makes a readable workflow wrong: the E codes, each with thing, fact and cure.

Owns the checks of spec/oxo-flow-api.md 5.3 except E006 (the graph's own). Matters of style are
in `lint`. Looks at no disk unless it is given a view.
"""

from __future__ import annotations

from oxoflow.errors import Diagnostic, Severity
from oxoflow.lang.model import Workflow
from oxoflow.lang.sources import check_sources
from oxoflow.lang.view import FileView


def validate(workflow: Workflow, *, view: FileView | None = None) -> list[Diagnostic]:
    """Give every finding, in the order in which the spec emits them."""
    found = list(check_sources(workflow))
    if not workflow.name.strip():
        found.append(
            Diagnostic(Severity.ERROR, "E001", "the workflow name is empty", key="workflow.name")
        )
    names = {rule.name for rule in workflow.rules}
    for rule in workflow.rules:
        for name in rule.depends_on:
            if name not in names:
                message = f"rule '{rule.name}' depends on '{name}', which is no rule"
                found.append(
                    Diagnostic(Severity.ERROR, "E007", message, rule.name, key="depends_on")
                )
    return found
