"""Read lists out of config values and strings (spec/oxoflow-format.md 2.6, 2.7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tomli

from oxoflow.lang.values import config_text

_CONFIG = "config."


def split_commas(text: str) -> tuple[str, ...]:
    """Cut at commas, trim, drop empty parts."""
    return tuple([part.strip() for part in text.split(",") if part.strip()])


def config_list(config: Mapping[str, Any], reference: str) -> tuple[str, ...] | None:
    """Give the list behind `config.key` or `key`; None when it is missing or no list (2.6)."""
    value = config.get(reference.removeprefix(_CONFIG))
    if isinstance(value, list):
        return tuple([config_text(item) for item in value])
    if isinstance(value, str):
        return split_commas(value)
    return None


def variable_list(config: Mapping[str, Any], text: str) -> tuple[str, ...]:
    """Give the list that an `expand_inputs` variable means (2.7): config first, then literal."""
    listed = config_list(config, text)
    if listed is not None:
        return listed
    stripped = text.strip()
    if stripped.startswith("[") and stripped.endswith("]"):
        try:
            value = tomli.loads(f"v = {stripped}")["v"]
        except (ValueError, RecursionError):
            return split_commas(stripped[1:-1])
        return tuple([config_text(item) for item in value]) if isinstance(value, list) else (text,)
    return (text,)
