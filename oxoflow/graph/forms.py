"""Check what was filled into a form against its fields (spec/oxify-api.md 4.10). Pure.

The fields come from the run directory, so nothing is believed of them: what is no field is passed
over, and a rule that makes no sense does not apply.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from oxoflow.graph import late

EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
TEXTS = frozenset({"Text", "Password", "TextArea", "Email", "Date", "DateTime", "Select", "Radio"})


def complaints(fields: list[Any], data: Mapping[str, Any]) -> list[str]:
    """What is wrong with the data, field by field; empty when it may be taken."""
    found: list[str] = []
    for field in fields:
        if isinstance(field, dict) and isinstance(field.get("id"), str):
            value = data.get(field["id"])
            if value in (None, "", []):
                if field.get("required") is True and field.get("default_value") is None:
                    found.append(f"'{field['id']}' is required")
            else:
                wrong = _wrong(field, value)
                if wrong:
                    found.append(f"'{field['id']}' {wrong}")
    return found


def filled(fields: list[Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """The data with the defaults of fields that were left empty."""
    whole = dict(data)
    for field in fields:
        if not isinstance(field, dict) or not isinstance(field.get("id"), str):
            continue
        if whole.get(field["id"]) in (None, "") and field.get("default_value") is not None:
            whole[field["id"]] = field["default_value"]
    return whole


def passwords(fields: list[Any]) -> set[str]:
    """The ids of the fields whose values nobody is to see."""
    dicts = [field for field in fields if isinstance(field, dict)]
    return {str(field.get("id")) for field in dicts if field.get("field_type") == "Password"}


def _wrong(field: Mapping[str, Any], value: Any) -> str | None:
    kind = field.get("field_type")
    if kind in TEXTS and not isinstance(value, str):
        return "must be text"
    check = CHECKS.get(str(kind))
    wrong = check(field, value) if check else None
    return wrong or _ruled_out(field, value)


def _number(field: Mapping[str, Any], value: Any) -> str | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return None if is_number else "must be a number"


def _email(field: Mapping[str, Any], value: Any) -> str | None:
    return None if EMAIL.fullmatch(value) else "must be an e-mail address"


def _one_option(field: Mapping[str, Any], value: Any) -> str | None:
    options = field.get("options") or []
    return None if not options or value in options else "must be one of its options"


def _options(field: Mapping[str, Any], value: Any) -> str | None:
    if not isinstance(value, list):
        return "must be a list"
    options = field.get("options") or []
    fits = not options or all(item in options for item in value)
    return None if fits else "must hold its options only"


def _checkbox(field: Mapping[str, Any], value: Any) -> str | None:
    if field.get("options"):
        return _options(field, value)
    return None if isinstance(value, bool) else "must be true or false"


def _date(field: Mapping[str, Any], value: Any) -> str | None:
    try:
        date.fromisoformat(value)
    except ValueError:
        return "must be a date such as 2026-05-26"
    return None


def _date_time(field: Mapping[str, Any], value: Any) -> str | None:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return "must be a time such as 2026-05-26T08:00:00Z"
    return None


CHECKS: dict[str, Callable[[Mapping[str, Any], Any], str | None]] = {
    "Number": _number,
    "Email": _email,
    "Select": _one_option,
    "Radio": _one_option,
    "MultiSelect": _options,
    "Checkbox": _checkbox,
    "Date": _date,
    "DateTime": _date_time,
}


def _ruled_out(field: Mapping[str, Any], value: Any) -> str | None:
    """What the field's own `validation` says against a value."""
    rules = field.get("validation")
    if not isinstance(rules, dict):
        return None
    if _is_number(value):
        found = _outside(value, rules.get("min"), rules.get("max"), "be {} {:g}")
    elif isinstance(value, str | list):
        words = "have {} {:g} characters"
        found = _outside(len(value), rules.get("min_length"), rules.get("max_length"), words)
    else:
        found = None
    if found:
        return found
    if isinstance(value, str) and isinstance(rules.get("pattern"), str):
        return _against(rules["pattern"], value)
    return None


def _outside(size: float, low: Any, high: Any, words: str) -> str | None:
    if _is_number(low) and size < low:
        return "must " + words.format("at least", low)
    if _is_number(high) and size > high:
        return "must " + words.format("at most", high)
    return None


def _against(pattern: str, value: str) -> str | None:
    """Patterns are meant for the whole value, as in HTML; one that cannot be read lets all pass."""
    try:
        compiled = late.load("lang.patterns:compile_pattern")(f"^(?:{pattern})$")
    except ValueError:
        return None
    return None if compiled.search(value) else f"must fit the pattern {pattern[:100]}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
