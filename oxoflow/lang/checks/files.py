"""Check that absolute inputs are there; for the command line, never for anonymous callers.

Owns E017 (design.md 10). Missing relative inputs are advice (W026) and belong to `lint`.
"""

from __future__ import annotations

from collections.abc import Iterator

from oxoflow.errors import Diagnostic
from oxoflow.lang.faults import error
from oxoflow.lang.model import Workflow
from oxoflow.lang.view import FileView

_UNSETTLED = frozenset("{*?[")


def file_checks(workflow: Workflow, view: FileView) -> Iterator[Diagnostic]:
    """Find absolute inputs of required rules that no rule makes and that do not exist."""
    made = {path for rule in workflow.rules for path in rule.output.paths}
    made |= {reference.output for reference in workflow.references}
    for rule in workflow.rules:
        if rule.optional:
            continue
        for index, path in enumerate(rule.input.paths):
            concrete = path.startswith("/") and _UNSETTLED.isdisjoint(path)
            if concrete and path not in made and not view.exists(path):
                message = f"rule '{rule.name}': input '{path}' does not exist and no rule makes it"
                hint = "correct the path, or mark the rule optional"
                key = f"input.{rule.input.step(index)}"
                yield error("E017", message, rule=rule.name, key=key, suggestion=hint)
