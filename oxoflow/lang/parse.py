"""Turn workflow text into a `Workflow` record, or say everything that is wrong with it.

Owns load steps 1 to 3 and 10 of spec/oxoflow-format.md 0, for a single text: no includes, no
files. What a table may hold is listed in `tables`; the TOML itself is read in `document`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from oxoflow.errors import Diagnostic, Severity
from oxoflow.lang.checks.fatal import duplicate_names, fatal_checks
from oxoflow.lang.declared import split_config
from oxoflow.lang.document import decode_text, parse_toml
from oxoflow.lang.entries import sound_entries
from oxoflow.lang.faults import STRUCTURE, error, parse_failure
from oxoflow.lang.findings import bounded
from oxoflow.lang.gaps import (
    ANY,
    WHOLE,
    Gaps,
    certain,
    spoken,
    stand_in,
    together,
    without_table,
)
from oxoflow.lang.model import Resources, Rule, Workflow
from oxoflow.lang.nearest import most_alike
from oxoflow.lang.shapes import Fault, Wrong, describe
from oxoflow.lang.tables import KNOWN, RESOURCES, RULE, TOP_LEVEL, WORKFLOW
from oxoflow.lang.validate import validate
from oxoflow.limits import DEFAULT, Limits

__all__ = ["decode_text", "parse_toml", "parse_workflow", "read_workflow", "require_readable"]

SUPPORTED_FORMAT = "1.0"
_NO_NAME = "?"  # of a workflow, where its name is missing and that is told
LANGUAGE_LEVEL = (0, 14, 1)  # the release of the original whose language is read here


def parse_workflow(text: str, limits: Limits = DEFAULT) -> Workflow:
    """Read one workflow text.

    Raises ParseError when the text cannot be loaded: not TOML, wrong types, two rules of one name,
    outputs without a command. It then holds every other error of the text too.
    """
    workflow, faults = read_workflow(text, limits)
    require_readable(workflow, faults)
    return workflow


def require_readable(workflow: Workflow, faults: Sequence[Diagnostic]) -> None:
    """Raise ParseError when reading found faults; it then holds every other error of the text."""
    if not faults:
        return
    said = {(fault.code, fault.rule, fault.message) for fault in faults}
    errors = [each for each in validate(workflow) if each.severity is not Severity.WARNING]
    others = [d for d in errors if (d.code, d.rule, d.message) not in said]
    found = bounded([*faults, *others], workflow.limits.findings)
    raise parse_failure([spoken(each) for each in found])


def read_workflow(
    text: str, limits: Limits = DEFAULT, file: str = ""
) -> tuple[Workflow, list[Diagnostic]]:
    """Read as much as can be read, and say what keeps the text from being loaded.

    What is missing of a faulty workflow stands in its `gaps`; `file` is its path when it is
    included. Raises ParseError only when the text is not TOML.
    """
    document = parse_toml(text, limits.text)
    faults = _Faults(file)
    arguments = _read_head(document, faults)
    for key, (attribute, shape) in TOP_LEVEL.items():
        if key in document:
            try:
                value = shape.read(document[key])
            except Wrong as wrong:
                value = sound_entries(key, document[key])
                missing = without_table(key, partly=bool(value))
                for fault in wrong.faults:
                    faults.add(_fault(fault, None, key), missing)
                if attribute and value:
                    arguments[attribute] = value
            else:
                if attribute:
                    arguments[attribute] = value
    arguments["config"], arguments["declared"] = _read_config(document, faults)
    arguments["rules"] = tuple(_read_rules(document.get("rules", []), faults))
    gaps = together(faults.missing) if faults.missing else WHOLE
    workflow = Workflow(document=document, limits=limits, gaps=gaps, **arguments)
    found = [*faults.found, *duplicate_names(workflow)]
    if found:
        workflow = _set_apart(workflow, file)
    return workflow, [*found, *certain(fatal_checks(workflow), workflow.gaps)]


class _Faults:
    """What keeps a text from being loaded, and what is not known of it for that."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.found: list[Diagnostic] = []
        self.missing: list[Gaps] = []

    def add(self, fault: Diagnostic, missing: Gaps = WHOLE) -> None:
        """Keep a fault and what is missing because of it."""
        self.found.append(fault)
        self.missing.append(missing)


def _set_apart(workflow: Workflow, file: str) -> Workflow:
    """Let other names stand in for those that several rules have, so that each can be looked at."""
    times = Counter([rule.name for rule in workflow.rules])
    shared = frozenset([name for name, count in times.items() if count > 1])
    if not shared:
        return workflow
    lost = dict(workflow.gaps.keys)  # what one of a name lacks counts as missing from all
    rules = list(workflow.rules)
    for number, rule in enumerate(rules):
        if rule.name in shared:
            name = stand_in(number, rule.name, file)
            rules[number] = replace(rule, name=name)
            lost[name] = lost.get(rule.name, frozenset())
    gaps = replace(workflow.gaps, shared=shared, keys=lost)
    return replace(workflow, rules=tuple(rules), gaps=gaps)


def _read_head(document: Mapping[str, Any], faults: _Faults) -> dict[str, Any]:
    table = document.get("workflow")
    if type(table) is not dict:
        message = "there is no [workflow] table"
        if table is not None:
            message = f"'workflow' must be a table, not {describe(table)}"
        hint = 'start the file with [workflow] and name = "…"'
        key = None if table is None else "workflow"
        near = missed_head(document)
        if near is not None:
            hint, key = f"did you mean [workflow] where [{near}] stands?", near
        faults.add(error("S002", message, key=key, suggestion=hint), without_table("workflow"))
        return {"name": _NO_NAME}
    arguments, wrong = WORKFLOW.read_fields(table)
    for fault in wrong:
        if fault.path == ("name",) and "name" not in table:
            message = "[workflow] has no name"
            faults.add(error("S003", message, key="workflow", suggestion='add name = "…"'))
        else:
            missing = without_table("workflow", str(fault.path[0]))
            faults.add(_fault(fault, None, "workflow"), missing)
    arguments.setdefault("name", _NO_NAME)
    arguments["warnings"] = tuple(_version_warnings(arguments))
    return arguments


def missed_head(document: Mapping[str, Any]) -> str | None:
    """Give the table that was probably meant as [workflow], where that is missing (S002)."""
    if "workflow" in document:
        return None
    unknown = [key for key in document if key not in KNOWN and type(document[key]) is dict]
    return next((key for key in unknown if most_alike(key, ["workflow"])), None)


def _version_warnings(arguments: Mapping[str, Any]) -> Iterable[str]:
    written = arguments.get("format_version")
    if written not in (None, SUPPORTED_FORMAT):
        yield (
            f"format_version '{written}' is not '{SUPPORTED_FORMAT}'; the file is read as "
            f"{SUPPORTED_FORMAT}"
        )
    wanted = arguments.get("min_version")
    if wanted and _version(wanted) > LANGUAGE_LEVEL:
        level = ".".join([str(part) for part in LANGUAGE_LEVEL])
        yield f"min_version '{wanted}' is newer than the language read here ({level})"


def _version(text: str) -> tuple[int, ...]:
    """Give the leading numbers of a version; what is no number ends it."""
    numbers = []
    for part in text.removeprefix("v").split("."):
        if not (part.isascii() and part.isdigit() and len(part) < 10):
            break
        numbers.append(int(part))
    return tuple(numbers)


def _read_config(
    document: Mapping[str, Any], faults: _Faults
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    table = document.get("config", {})
    if type(table) is dict:
        return split_config(table)
    hint = "write its header in single brackets: [config]" if type(table) is list else None
    fault = Fault((), f"must be a table, not {describe(table)}", hint)
    faults.add(_fault(fault, None, "config"), without_table("config"))
    return {}, {}


def _read_rules(rules: Any, faults: _Faults) -> Iterable[Rule]:
    if type(rules) is not list or any(type(rule) is not dict for rule in rules):
        message = f"'rules' must be an array of tables, not {describe(rules)}"
        if type(rules) is list:
            message = "'rules' must hold only tables"
        hint = "write each rule under its own [[rules]] header"
        faults.add(error("S004", message, key="rules", suggestion=hint), without_table("rules"))
        return
    read_fields = RULE.read_fields
    for index, table in enumerate(rules):
        arguments, wrong = read_fields(table)
        if wrong:
            _keep_rule_faults(faults, arguments, wrong, index, table)
        yield Rule(**arguments)


def _keep_rule_faults(
    faults: _Faults,
    arguments: dict[str, Any],
    wrong: Iterable[Fault],
    index: int,
    table: Mapping[str, Any],
) -> None:
    """Keep the faults of a rule, and name the rule if that is one of them."""
    name = arguments.get("name")
    arguments.setdefault("name", stand_in(index, file=faults.file))
    lost = frozenset([str(fault.path[0]) for fault in wrong])
    if "resources" in lost and type(table["resources"]) is dict:
        arguments["resources"] = Resources(**RESOURCES.read_fields(table["resources"])[0])
    unnamed = ANY if name is None else frozenset[str]()
    missing = Gaps(unnamed, "output" in lost, keys={arguments["name"]: lost})
    for fault in wrong:
        faults.add(_rule_fault(fault, name, index, table), missing)


def _rule_fault(fault: Fault, name: str | None, index: int, table: Mapping[str, Any]) -> Diagnostic:
    if fault.path == ("name",) and "name" not in table:
        message = f"rule number {index + 1} has no name"
        return error("S005", message, key=f"rules.{index}", suggestion='add name = "…"')
    return _fault(fault, name, None if name else f"rules.{index}")


def _fault(fault: Fault, rule: str | None, table: str | None) -> Diagnostic:
    path = fault.path if table is None else (table, *fault.path)
    named = "".join([f"[{p}]" if type(p) is int else f".{p}" for p in path]).lstrip(".")
    message = f"{named} {fault.text}" if rule is None else f"rule '{rule}': {named} {fault.text}"
    key = ".".join([str(step) for step in path])
    return error(STRUCTURE, message, rule=rule, key=key, suggestion=fault.suggestion)
