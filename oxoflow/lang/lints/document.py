"""Check the top level of the text: unknown tables and keys, and the format's version.

Owns S006 and S007 (spec/oxo-flow-api.md 5.2), and S006 for keys of rules that are ignored: a
misspelt `inputs` otherwise costs its author an hour.
"""

from __future__ import annotations

from collections.abc import Iterator

from oxoflow.errors import Diagnostic
from oxoflow.lang.lints.advice import warn
from oxoflow.lang.model import Workflow
from oxoflow.lang.nearest import Guesser
from oxoflow.lang.tables import OTHER_TOP_LEVEL, RULE, TOP_LEVEL, WORKFLOW

KNOWN = frozenset((*TOP_LEVEL, *OTHER_TOP_LEVEL))
# Keys that other texts about the format mention, or that it had once; what to write instead.
CURES = {
    "report": "leave it for other programs; no report shows captions of rules",
    "named_input": 'write named files as a table: input = { name = "path" }',
    "named_output": 'write named files as a table: output = { name = "path" }',
    "workdir": "remove it; rules run in the directory of the run",
}


def document_checks(workflow: Workflow, guesses: Guesser) -> Iterator[Diagnostic]:
    """Yield what the top level holds that oxoflow does not read."""
    for key in workflow.document:
        if key not in KNOWN:
            yield warn(
                "S006",
                f"unknown top-level key '{key}' is ignored",
                None,
                key,
                guesses.meant(key, KNOWN),
            )
    head = workflow.document.get("workflow")
    for key in head if isinstance(head, dict) else ():
        if key not in WORKFLOW.fields:
            message = f"unknown key '{key}' in [workflow] is ignored"
            yield warn(
                "S006", message, None, f"workflow.{key}", guesses.meant(key, WORKFLOW.fields)
            )
    yield from _rule_keys(workflow, guesses)
    version = workflow.format_version
    if version is not None and not version.startswith("1."):
        yield warn(
            "S007",
            f"format_version '{version}' is newer than this oxoflow reads",
            None,
            "workflow.format_version",
            'write format_version = "1.0"',
        )


def _rule_keys(workflow: Workflow, guesses: Guesser) -> Iterator[Diagnostic]:
    for rule in workflow.rules:
        for key in rule.extra:
            cure = CURES.get(key) or guesses.meant(key, RULE.fields)
            yield warn(
                "S006", f"rule '{rule.name}': unknown key '{key}' is ignored", rule, key, cure
            )
