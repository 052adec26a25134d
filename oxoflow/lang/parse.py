"""Turn workflow text into a `Workflow` record, or say everything that is wrong with it.

Owns load steps 1 to 3 and 10 of spec/oxoflow-format.md 0, for a single text: no includes, no
files. What a table may hold is listed in `tables`; the TOML itself is read in `document`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from oxoflow.errors import Diagnostic
from oxoflow.lang.checks.fatal import fatal_checks
from oxoflow.lang.declared import split_config
from oxoflow.lang.document import decode_text, parse_toml
from oxoflow.lang.faults import STRUCTURE, error, parse_failure
from oxoflow.lang.findings import bounded
from oxoflow.lang.model import Rule, Workflow
from oxoflow.lang.shapes import Fault, Wrong, describe
from oxoflow.lang.tables import RULE, TOP_LEVEL, WORKFLOW
from oxoflow.lang.validate import validate
from oxoflow.limits import DEFAULT, Limits

__all__ = ["decode_text", "parse_toml", "parse_workflow", "read_workflow"]

SUPPORTED_FORMAT = "1.0"
LANGUAGE_LEVEL = (0, 14, 1)  # the release of the original whose language is read here


def parse_workflow(text: str, limits: Limits = DEFAULT) -> Workflow:
    """Read one workflow text.

    Raises ParseError when the text cannot be loaded: not TOML, wrong types, two rules of one name,
    outputs without a command. It then holds every other error of the text too.
    """
    workflow, problems = read_workflow(text, limits)
    if workflow is None:
        raise parse_failure(bounded(problems, limits.findings))
    broken = {problem.rule for problem in problems} - {None}
    fatal = [d for d in fatal_checks(workflow) if d.rule not in broken or d.code == "E006"]
    if not problems and not fatal:
        return workflow
    said = {(d.code, d.message) for d in fatal}
    others = [d for d in validate(workflow) if (d.code, d.message) not in said]
    found = [*problems, *fatal, *[d for d in others if d.rule not in broken]]
    raise parse_failure(bounded(found, limits.findings))


def read_workflow(text: str, limits: Limits = DEFAULT) -> tuple[Workflow | None, list[Diagnostic]]:
    """Read as much as can be read: the workflow without its faulty parts, and the faults.

    Raises ParseError only when the text is not TOML.
    """
    document = parse_toml(text, limits.text)
    problems: list[Diagnostic] = []
    arguments = _read_head(document, problems)
    for key, (attribute, shape) in TOP_LEVEL.items():
        if key in document:
            try:
                value = shape.read(document[key])
            except Wrong as wrong:
                problems += [_fault(fault, None, key) for fault in wrong.faults]
            else:
                if attribute:
                    arguments[attribute] = value
    arguments["config"], arguments["declared"] = _read_config(document, problems)
    arguments["rules"] = tuple(_read_rules(document.get("rules", []), problems))
    if "name" not in arguments:
        return None, problems
    return Workflow(document=document, limits=limits, **arguments), problems


def _read_head(document: Mapping[str, Any], problems: list[Diagnostic]) -> dict[str, Any]:
    table = document.get("workflow")
    if type(table) is not dict:
        message = "there is no [workflow] table"
        if table is not None:
            message = f"'workflow' must be a table, not {describe(table)}"
        hint = 'start the file with [workflow] and name = "…"'
        key = None if table is None else "workflow"
        problems.append(error("S002", message, key=key, suggestion=hint))
        return {}
    arguments, faults = WORKFLOW.read_fields(table)
    for fault in faults:
        if fault.path == ("name",) and "name" not in table:
            message = "[workflow] has no name"
            problems.append(error("S003", message, key="workflow", suggestion='add name = "…"'))
        else:
            problems.append(_fault(fault, None, "workflow"))
    arguments["warnings"] = tuple(_version_warnings(arguments))
    return arguments


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
    document: Mapping[str, Any], problems: list[Diagnostic]
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    table = document.get("config", {})
    if type(table) is dict:
        return split_config(table)
    problems.append(_fault(Fault((), f"must be a table, not {describe(table)}"), None, "config"))
    return {}, {}


def _read_rules(rules: Any, problems: list[Diagnostic]) -> Iterable[Rule]:
    if type(rules) is not list or any(type(rule) is not dict for rule in rules):
        message = f"'rules' must be an array of tables, not {describe(rules)}"
        if type(rules) is list:
            message = "'rules' must hold only tables"
        hint = "write each rule under its own [[rules]] header"
        problems.append(error("S004", message, key="rules", suggestion=hint))
        return
    read_fields = RULE.read_fields
    for index, table in enumerate(rules):
        arguments, faults = read_fields(table)
        name = arguments.get("name")
        if faults:
            problems += [_rule_fault(fault, name, index, table) for fault in faults]
        if name is not None:
            yield Rule(**arguments)


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
