"""Check the top level of the text: unknown tables and keys, and the format's version.

Owns S006 and S007 (spec/oxo-flow-api.md 5.2), and S006 for keys of rules that are ignored: a
misspelt `inputs` otherwise costs its author an hour. S009 is a warning where a word is not one of
those that are known, and counts as if it were not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from oxoflow.errors import Diagnostic
from oxoflow.lang.declared import TYPES, failed_declarations
from oxoflow.lang.lints.advice import documents, note, table_of, warn, written_rules
from oxoflow.lang.model import Rule, Workflow
from oxoflow.lang.nearest import Guesser
from oxoflow.lang.parse import missed_head
from oxoflow.lang.rule_tables import RESOURCES
from oxoflow.lang.shapes import Table
from oxoflow.lang.tables import (
    CLUSTER,
    DEFAULTS,
    KNOWN,
    RESOURCE_GROUP,
    RULE,
    WORKFLOW,
)

# Keys of rules in later versions of the format that have no effect here.
LATER = {"report": "no report shows captions of rules; leave it for other programs"}
_WORDS = frozenset(("backend", "wait", "shadow", "checksum"))
# Keys that other texts about the format mention, or that it had once; what to write instead.
CURES = {
    "named_input": 'write named files as a table: input = { name = "path" }',
    "named_output": 'write named files as a table: output = { name = "path" }',
    "workdir": "remove it; rules run in the directory of the run",
    **dict.fromkeys(RESOURCES.fields, "write it under [rules.resources]"),
}
_OF_WORKFLOW = {"sample_group_name": "remove it; a group has its name in [[sample_groups]]"}
_OF_EACH_RULE = "write it under the [rules.resources] of each rule"


def document_checks(workflow: Workflow, guesses: Guesser) -> Iterator[Diagnostic]:
    """Yield what the texts hold that oxoflow does not read, those of included files too."""
    for file, document in documents(workflow):
        for found in _of_document(document, guesses):
            yield replace(found, file=file)
    yield from _rule_keys(workflow, guesses)
    yield from _odd_words(workflow)


def _of_document(document: Mapping[str, Any], guesses: Guesser) -> Iterator[Diagnostic]:
    for key in document:
        if key not in KNOWN and key != missed_head(document):
            message = f"unknown top-level key '{key}' is ignored"
            yield warn("S006", message, None, key, guesses.meant(key, KNOWN))
    for place, known in (("workflow", WORKFLOW.fields), ("defaults", DEFAULTS.fields)):
        table = document.get(place)
        for key in table if isinstance(table, dict) else ():
            if key not in known:
                message = f"unknown key '{key}' in [{place}] is ignored"
                own = place == "defaults" and key in RESOURCES.fields
                cure = _OF_EACH_RULE if own else _OF_WORKFLOW.get(key)
                cure = cure or guesses.meant(key, known)
                yield warn("S006", message, None, f"{place}.{key}", cure)
    yield from _failed_declarations(table_of(document.get("config")))
    yield from _unknown_words(CLUSTER, table_of(document.get("cluster")), "cluster", None)
    for name, group in table_of(document.get("resource_groups")).items():
        where = f"resource_groups.{name}"
        yield from _unknown_words(RESOURCE_GROUP, table_of(group), where, None)
    version = table_of(document.get("workflow")).get("format_version")
    if isinstance(version, str) and not version.startswith("1."):
        message = f"format_version '{version}' is newer than this oxoflow reads"
        cure = 'write format_version = "1.0"'
        yield warn("S007", message, None, "workflow.format_version", cure)


def _failed_declarations(config: Mapping[str, Any]) -> Iterator[Diagnostic]:
    for key, fault in failed_declarations(config):
        where = ".".join([str(step) for step in fault.path])
        message = f"config '{key}': {where} {fault.text}, so this is a plain table and declares "
        message += "nothing"
        yield warn("S009", message, None, f"config.{key}.{where}", fault.suggestion)


def _odd_words(workflow: Workflow) -> Iterator[Diagnostic]:
    """Find words of config and rules outside of the sets by which the engine goes (1.8)."""
    for key, declared in workflow.declared.items():
        if declared.range is not None and ".." not in declared.range:
            message = f"config '{key}': the range '{declared.range}' is not known"
            message += ", and counts for nothing"
            yield warn("S009", message, None, f"config.{key}", 'write it as "1..64"')
        if declared.type is not None and declared.type not in TYPES:
            message = f"config '{key}': the type '{declared.type}' is not known, and nothing is "
            message += "checked"
            cure = f"write one of: {', '.join(TYPES)}"
            yield warn("S009", message, None, f"config.{key}", cure)
    for rule, written in written_rules(workflow):
        yield from _unknown_words(RULE, written, "", rule)


def _unknown_words(
    table: Table[Any], written: Mapping[str, Any], place: str, rule: Rule | None
) -> Iterator[Diagnostic]:
    for key in _WORDS & written.keys():
        known = table.fields[key][1].schema["enum"] if key in table.fields else ()
        if known and isinstance(written[key], str) and written[key] not in known:
            named = f"rule '{rule.name}': {key}" if rule else f"{place}.{key}"
            message = f"{named} '{written[key]}' is not known, and counts for nothing"
            cure = "write " + " or ".join([f"'{word}'" for word in known])
            yield warn("S009", message, rule, f"{place}.{key}".lstrip("."), cure)


def _rule_keys(workflow: Workflow, guesses: Guesser) -> Iterator[Diagnostic]:
    for rule in workflow.rules:
        for key in rule.extra:
            if key in LATER:
                message = f"rule '{rule.name}': '{key}', of later versions, has no effect here"
                yield note("S006", message, rule, key, LATER[key])
                continue
            cure = CURES.get(key) or guesses.meant(key, RULE.fields)
            yield warn(
                "S006", f"rule '{rule.name}': unknown key '{key}' is ignored", rule, key, cure
            )
