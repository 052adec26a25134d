"""Turn workflow text into a `Workflow` record, or say everything that is wrong with its structure.

Owns load steps 1 to 3 and 10 of spec/oxoflow-format.md 0, for a single text: no includes, no
files. What a table may hold is listed in `tables`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import tomli

from oxoflow.errors import Diagnostic, ParseError, Severity
from oxoflow.lang.declared import split_config
from oxoflow.lang.model import Rule, Workflow
from oxoflow.lang.shapes import Fault, Wrong, describe
from oxoflow.lang.tables import RULE, TOP_LEVEL, WORKFLOW

MAX_TEXT = 64 * 1024 * 1024  # characters; a 100,000-rule file has about 30 million
MAX_DEPTH = 64
SUPPORTED_FORMAT = "1.0"


def decode_text(data: bytes) -> str:
    """Decode the bytes of a workflow file. Raises ParseError naming the line that is not UTF-8."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        message = (
            f"line {line} is not UTF-8 text (byte 0x{data[error.start]:02x}); "
            "save the file as UTF-8"
        )
        raise _failure([_error("S001", message, line=line, column=column)]) from None


def parse_workflow(text: str) -> Workflow:
    """Read one workflow text. Raises ParseError holding every structural fault of the text."""
    workflow, problems = read_workflow(text)
    problems += check_load(workflow) if workflow else []
    if problems or workflow is None:
        raise _failure(problems)
    return workflow


def read_workflow(text: str) -> tuple[Workflow | None, list[Diagnostic]]:
    """Read as much as can be read: the workflow without its faulty parts, and the faults."""
    document = parse_toml(text)
    problems: list[Diagnostic] = []
    arguments = _read_head(document, problems)
    for key, (attribute, shape) in TOP_LEVEL.items():
        if key in document:
            try:
                value = shape.read(document[key])
            except Wrong as error:
                problems += [_fault(f, None, key) for f in error.faults]
            else:
                if attribute:
                    arguments[attribute] = value
    _read_config(document, arguments, problems)
    arguments["rules"] = tuple(_read_rules(document.get("rules", []), problems))
    for key in document.keys() - TOP_LEVEL.keys():
        if _too_deep(document[key]):
            problems.append(_deep(key))
    if "name" not in arguments:
        return None, problems
    return Workflow(document=document, **arguments), problems


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML, raising ParseError (S001) with line and column where they are known."""
    if len(text) > MAX_TEXT:
        message = f"the text has {len(text)} characters, more than {MAX_TEXT}; split the workflow"
        raise _failure([_error("S001", message)])
    try:
        text.encode()
        return tomli.loads(text.removeprefix("\ufeff"))
    except tomli.TOMLDecodeError as error:
        line, column = getattr(error, "lineno", None), getattr(error, "colno", None)
        message = f"not valid TOML: {error}"
        raise _failure([_error("S001", message, line=line, column=column)]) from None
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        message = f"line {line} holds a character that no UTF-8 file can hold; remove it"
        raise _failure([_error("S001", message, line=line)]) from None
    except (ValueError, OverflowError, RecursionError) as error:
        raise _failure([_error("S001", f"not usable TOML: {error}")]) from None


def _read_head(document: Mapping[str, Any], problems: list[Diagnostic]) -> dict[str, Any]:
    table = document.get("workflow")
    if type(table) is not dict:
        problems.append(
            _error(
                "S002",
                "there is no [workflow] table"
                if table is None
                else f"'workflow' must be a table, not {describe(table)}",
                key=None if table is None else "workflow",
                suggestion='start the file with [workflow] and name = "…"',
            )
        )
        return {}
    arguments, faults = WORKFLOW.read_fields(table)
    for fault in faults:
        if fault.path == ("name",) and "name" not in table:
            message = "[workflow] has no name"
            problems.append(_error("S003", message, key="workflow", suggestion='add name = "…"'))
        else:
            problems.append(_fault(fault, None, "workflow"))
    written = arguments.get("format_version")
    if written not in (None, SUPPORTED_FORMAT):
        arguments["warnings"] = (
            f"format_version {written!r} is not {SUPPORTED_FORMAT!r}; the file is read as "
            f"{SUPPORTED_FORMAT}",
        )
    return arguments


def _read_config(
    document: Mapping[str, Any], arguments: dict[str, Any], problems: list[Diagnostic]
) -> None:
    table = document.get("config", {})
    if type(table) is not dict:
        fault = Fault((), f"must be a table, not {describe(table)}")
        problems.append(_fault(fault, None, "config"))
        return
    for key, value in table.items():
        if _too_deep(value):
            problems.append(_deep(f"config.{key}"))
    arguments["config"], arguments["declared"] = split_config(table)


def _read_rules(rules: Any, problems: list[Diagnostic]) -> Iterable[Rule]:
    if type(rules) is not list or any(type(rule) is not dict for rule in rules):
        problems.append(
            _error(
                "S004",
                f"'rules' must be an array of tables, not {describe(rules)}",
                key="rules",
                suggestion="write each rule under its own [[rules]] header",
            )
        )
        return
    read_fields = RULE.read_fields
    for index, table in enumerate(rules):
        arguments, faults = read_fields(table)
        name = arguments.get("name")
        if faults:
            problems += [_rule_fault(fault, name, index, table) for fault in faults]
        if "extra" in arguments or "params" in arguments or "rule_metadata" in arguments:
            problems += _deep_rule(name, index, arguments)
        if name is not None:
            yield Rule(**arguments)


def _rule_fault(fault: Fault, name: str | None, index: int, table: Mapping[str, Any]) -> Diagnostic:
    if fault.path == ("name",) and "name" not in table:
        message = f"rule number {index + 1} has no name"
        return _error("S005", message, key=f"rules.{index}", suggestion='add name = "…"')
    return _fault(fault, name, None if name else f"rules.{index}")


def _deep_rule(name: str | None, index: int, arguments: Mapping[str, Any]) -> list[Diagnostic]:
    where = f"rules.{index}"
    return [
        _deep(f"{where}.{key}", name)
        for key in ("extra", "params", "rule_metadata", "resource_hint")
        if _too_deep(arguments.get(key))
    ]


def _too_deep(value: Any) -> bool:
    """Say whether a value nests deeper than any later step has to follow."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for item in level
            if type(item) in (dict, list)
            for inner in (item.values() if type(item) is dict else item)
            if type(inner) in (dict, list)
        ]
        if not level:
            return False
    return True


def _deep(key: str, rule: str | None = None) -> Diagnostic:
    message = f"'{key}' is nested more than {MAX_DEPTH} levels deep; flatten it"
    return _error("S009", message, rule=rule, key=key)


def check_load(workflow: Workflow) -> list[Diagnostic]:
    """Find what makes a well-formed text unusable: two rules of one name (0, step 10)."""
    problems, seen = [], set()
    for index, rule in enumerate(workflow.rules):
        if rule.name in seen:
            message = f"duplicate rule name '{rule.name}'; rename one of the two rules"
            key = f"rules.{index}.name"
            problems.append(_error("E006", message, rule=rule.name, key=key))
        seen.add(rule.name)
        if rule.output.paths and not (rule.shell or rule.script or rule.transform):
            message = f"rule '{rule.name}' has outputs, but nothing that makes them"
            hint = "add shell, script or transform"
            problems.append(_error("E002", message, rule=rule.name, key="output", suggestion=hint))
    return problems


def _fault(fault: Fault, rule: str | None, table: str | None) -> Diagnostic:
    path = fault.path if table is None else (table, *fault.path)
    named = "".join([f"[{p}]" if type(p) is int else f".{p}" for p in path]).lstrip(".")
    message = f"{named} {fault.text}" if rule is None else f"rule '{rule}': {named} {fault.text}"
    key = ".".join([str(step) for step in path])
    return _error("S009", message, rule=rule, key=key, suggestion=fault.suggestion)


def _error(
    code: str,
    message: str,
    *,
    rule: str | None = None,
    key: str | None = None,
    suggestion: str | None = None,
    line: int | None = None,
    column: int | None = None,
) -> Diagnostic:
    return Diagnostic(Severity.ERROR, code, message, rule, suggestion, line, column, key)


def _failure(problems: list[Diagnostic]) -> ParseError:
    first = problems[0]
    cure = f"; {first.suggestion}" if first.suggestion else ""
    rest = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return ParseError(f"{first.message}{cure}{rest}", tuple(problems))
