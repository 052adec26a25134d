"""Find keys inside the tables of a text that nobody reads: misspelt, or below the wrong header.

Owns S006 for all tables but the top level, [workflow], [defaults] and the rules themselves. In TOML
a key below `[rules.environment]` belongs to it, also when its author goes on with the rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from oxoflow.errors import Diagnostic
from oxoflow.lang import rule_tables, tables
from oxoflow.lang.lints.advice import documents, table_of, warn, written_rules
from oxoflow.lang.model import Rule, Workflow
from oxoflow.lang.nearest import Guesser
from oxoflow.lang.shapes import Table

Path = tuple[str, ...]
# Tables by the keys that lead to them; lists are gone through, "*" stands for any key.
OF_RULES: Mapping[Path, Table[Any]] = {
    ("resources",): rule_tables.RESOURCES,
    ("resources", "gpu_spec"): rule_tables.GPU_SPEC,
    ("environment",): rule_tables.ENVIRONMENT,
    ("scatter",): rule_tables.SCATTER,
    ("transform",): rule_tables.TRANSFORM,
    ("transform", "split"): rule_tables.SPLIT,
    ("transform", "combine"): rule_tables.COMBINE,
    ("expand_inputs",): rule_tables.EXPAND_INPUT,
    ("input_groups",): rule_tables.INPUT_GROUP,
}
OF_TEXTS: Mapping[Path, Table[Any]] = {
    ("defaults", "environment"): tables.ENVIRONMENT,
    ("include",): tables.INCLUDE,
    ("pairs",): tables.PAIR,
    ("sample_groups",): tables.SAMPLE_GROUP,
    ("values",): tables.VALUE_TABLE,
    ("resource_groups", "*"): tables.RESOURCE_GROUP,
    ("env_groups", "*"): tables.ENVIRONMENT,
    ("resource_budget",): tables.BUDGET,
    ("execution_group",): tables.EXECUTION_GROUP,
    ("references",): tables.REFERENCE,
    ("cluster",): tables.CLUSTER,
}
_FREE = ("params", "envvars", "rule_metadata", "resource_hint")  # tables whose keys are anybody's
_COMMANDS = frozenset(("shell", "script", "transform"))
_OF_A_RULE = ("shell", "script", "input", "output")


def nested_checks(workflow: Workflow, guesses: Guesser) -> Iterator[Diagnostic]:
    """Yield the keys below the top level that are ignored."""
    for file, document in documents(workflow):
        for path, table in OF_TEXTS.items():
            for key, where in _unknown(document, path, table):
                message = f"unknown key '{key}' in [{'.'.join(where)}] is ignored"
                place = ".".join((*where, key))
                found = warn("S006", message, None, place, guesses.meant(key, table.fields))
                yield replace(found, file=file)
    for rule, written in written_rules(workflow):
        yield from _of_rule(rule, written, guesses)


def _of_rule(rule: Rule, written: Mapping[str, Any], guesses: Guesser) -> Iterator[Diagnostic]:
    for path, table in OF_RULES.items():
        if path[0] in written:
            for key, where in _unknown(written, path, table):
                named = ".".join(where)
                message = f"rule '{rule.name}': unknown key '{key}' in {named} is ignored"
                cure = guesses.meant(key, table.fields)
                if key in rule_tables.RULE.fields:
                    cure = f"write it above [rules.{path[0]}], to which all keys below it belong"
                yield warn("S006", message, rule, f"{named}.{key}", cure)
    if not _COMMANDS.isdisjoint(written):
        return
    for name in _FREE:
        inside = table_of(written.get(name))
        for key in _OF_A_RULE if not _COMMANDS.isdisjoint(inside) else ():
            if key in inside and key not in written:
                message = f"rule '{rule.name}': '{key}' stands in {name}, and the rule has none"
                cure = f"write it above [rules.{name}], to which all keys below it belong"
                yield warn("S006", message, rule, f"{name}.{key}", cure)


def _unknown(value: Any, path: Path, table: Table[Any]) -> Iterator[tuple[str, Path]]:
    """Yield the keys that a table does not have, each with the way to it."""
    for found, where in _follow(value, path, ()):
        for key in found:
            if key not in table.fields:
                yield key, where


def _follow(value: Any, path: Path, gone: Path) -> Iterator[tuple[Mapping[str, Any], Path]]:
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _follow(item, path, (*gone, str(number)))
    elif isinstance(value, Mapping):
        if not path:
            yield value, gone
            return
        for key in value if path[0] == "*" else (path[0],):
            if key in value:
                yield from _follow(value[key], path[1:], (*gone, key))
