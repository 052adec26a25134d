"""Split `[config]` into plain values and declarations, and check values against declarations.

Owns spec/oxoflow-format.md 1.4. The checks are for the verbs that run something: a workflow whose
required key is still open is well written all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from oxoflow.errors import Diagnostic, Severity
from oxoflow.lang.model import ConfigDeclaration, Workflow
from oxoflow.lang.nearest import is_one_slip
from oxoflow.lang.shapes import BOOLEAN, STRING, STRINGS, Fault, Table, Wrong
from oxoflow.lang.values import config_text
from oxoflow.lang.view import FileView

TYPES = ("string", "int", "float", "bool", "path")  # others are not checked
_MARKS = frozenset(("default", "required", "help", "sensitive"))
DECLARATION = Table(
    ConfigDeclaration,
    {
        "default": ("default", STRING),
        "required": ("required", BOOLEAN),
        "help": ("help", STRING),
        "sensitive": ("sensitive", BOOLEAN),
        "type": ("type", STRING),
        "choices": ("choices", STRINGS),
        "range": ("range", STRING),
        "must_exist": ("must_exist", BOOLEAN),
    },
)


def split_config(
    table: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, ConfigDeclaration]]:
    """Give the plain values (a declaration counts with its default) and the declarations."""
    plain: dict[str, Any] = {}
    declared: dict[str, ConfigDeclaration] = {}
    for key, value in table.items():
        declaration = _declaration(value)
        if declaration is None:
            plain[key] = value
        else:
            declared[key] = declaration
            plain[key] = declaration.default or ""
    return plain, declared


def _declaration(value: Any) -> ConfigDeclaration | None:
    if type(value) is not dict or _MARKS.isdisjoint(value):
        return None
    try:
        return DECLARATION.read(value)
    except Wrong:
        return None


def failed_declarations(table: Mapping[str, Any]) -> Iterator[tuple[str, Fault]]:
    """Give the keys of a `[config]` that look like declarations and are plain tables, and why."""
    for key, value in table.items():
        if type(value) is dict and not _MARKS.isdisjoint(value):
            for fault in DECLARATION.read_fields(value)[1]:
                yield key, fault


def check_config(workflow: Workflow, view: FileView) -> list[Diagnostic]:
    """Check every declared key against its value; for run and dry-run, after all overrides."""
    found = []
    for key, declaration in workflow.declared.items():
        text = config_text(workflow.config.get(key, ""))
        complaint = _complaint(key, text, declaration, view)
        if complaint:
            hint = f" ({declaration.help})" if declaration.help else ""
            slip = None if text else next((k for k in workflow.config if is_one_slip(k, key)), None)
            hint += f"; did you mean it where '{slip}' is set?" if slip else ""
            found.append(
                Diagnostic(
                    Severity.ERROR,
                    "E005",
                    f"config '{key}' {complaint}; set it with --{key} VALUE{hint}",
                    key=f"config.{key}",
                )
            )
    return found


def _complaint(key: str, text: str, declaration: ConfigDeclaration, view: FileView) -> str | None:
    if not text:
        if declaration.required:
            return "is required and has no value"
        if (
            declaration.type == "path"
            and declaration.must_exist
            and declaration.default is not None
        ):
            return "must name an existing path, but is empty"
        return None
    if declaration.sensitive:
        return _secret_complaint(text, declaration, view)
    return _value_complaint(text, declaration, view)


def _secret_complaint(text: str, declaration: ConfigDeclaration, view: FileView) -> str | None:
    """What is wrong with a value that must not be shown."""
    if _value_complaint(text, declaration, view) is None:
        return None
    asked = declaration.choices and f"one of: {', '.join(declaration.choices)}"
    return f"(sensitive, not shown) must be {asked or 'of the declared type and range'}"


def _value_complaint(text: str, declaration: ConfigDeclaration, view: FileView) -> str | None:
    if declaration.choices and text not in declaration.choices:
        return f"is {text!r}, but must be one of: {', '.join(declaration.choices)}"
    return (
        _type_complaint(text, declaration)
        or _range_complaint(text, declaration.range)
        or _path_complaint(text, declaration, view)
    )


def _type_complaint(text: str, declaration: ConfigDeclaration) -> str | None:
    if declaration.type == "bool":
        return None if text in ("true", "false") else f"is {text!r}, but must be true or false"
    if declaration.type == "int":
        return None if _is(int, text) else f"is {text!r}, but must be a whole number"
    if declaration.type == "float":
        return None if _is(float, text) else f"is {text!r}, but must be a number"
    return None


def _is(kind: type[int] | type[float], text: str) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return "_" not in text and text == text.strip()


def _range_complaint(text: str, limits: str | None) -> str | None:
    if limits is None:
        return None
    low, dots, high = limits.partition("..")
    if not dots:
        return None  # no range at all, says lint
    if not _is(float, low.strip()) or not _is(float, high.strip()):
        return f'has the unreadable range {limits!r} (write "1..64")'
    if _is(float, text) and float(low) <= float(text) <= float(high):
        return None
    return f"is {text!r}, but must be a number from {low.strip()} to {high.strip()}"


def _path_complaint(text: str, declaration: ConfigDeclaration, view: FileView) -> str | None:
    if declaration.type == "path" and declaration.must_exist and not view.exists(text):
        return f"names the path {text!r}, which does not exist"
    return None
