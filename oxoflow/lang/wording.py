"""Word the differences between two values for `diff`: short, on one line, never a secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from oxoflow.lang.lints.secrets import holds_secret, is_secret_name
from oxoflow.lang.model import Environment
from oxoflow.lang.values import toml_text

LONGEST = 60  # characters of a value that a description shows


def equal(old: Any, new: Any) -> bool:
    """Return whether two values are the same value of the same type: 1 is not true, nor 1.0."""
    if type(old) is not type(new):
        return False
    if isinstance(old, Mapping):
        return old.keys() == new.keys() and all(equal(old[key], new[key]) for key in old)
    if isinstance(old, (list, tuple)):
        return len(old) == len(new) and all(map(equal, old, new))
    return bool(old == new) or (old != old and new != new)


def changed(what: str, old: Any, new: Any, secret: bool = False) -> str:
    """Return "what changed", with both values where they fit and are no secret."""
    if secret or _is_record(old) or _is_record(new):
        return f"{what} changed"
    return f"{what} changed ({shown(old)} -> {shown(new)})"


def keys_changed(what: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return which keys of a table were removed, added and changed, with their values."""
    parts = []
    for key in sorted({*old, *new}):
        secret = is_secret_name(key)
        if key not in new:
            parts.append(f"{what}.{key} removed")
        elif key not in old:
            parts.append(f"{what}.{key} added" + ("" if secret else f" ({shown(new[key])})"))
        elif not equal(old[key], new[key]):
            parts.append(changed(f"{what}.{key}", old[key], new[key], secret))
    return ", ".join(parts)


def shown(value: Any) -> str:
    """Return a value as a description may show it."""
    if value is None or value == ():
        return "none"
    if isinstance(value, Environment):
        return cut(f"{value.kind.value} {value.spec}".strip())
    text = value if isinstance(value, str) else toml_text(value)
    return "***" if holds_secret(text) else cut(text)


def cut(text: str) -> str:
    """Return a text on one line and no longer than a description can bear."""
    line = " ".join(text[: LONGEST * 4].split()) or "empty"
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def _is_record(value: Any) -> bool:
    if isinstance(value, tuple):
        return any(map(_is_record, value))
    return isinstance(value, Struct) and not isinstance(value, Environment)
