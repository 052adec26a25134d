"""Fill `{config.key}` in texts to a fixed point, and name the keys that do not exist.

Owns the two text forms of a configuration (spec/oxoflow-format.md 1.4): paths keep arrays as TOML
text, commands get their words. Pure; knows neither rules nor jobs.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from oxoflow.errors import Diagnostic, Severity, WorkflowError
from oxoflow.lang.values import command_text, config_text

REFERENCE = re.compile(r"\{config\.([\w-]+)\}")
MAX_PASSES = 32
_MARK = "{config."


class ConfigTexts:
    """The configuration as text, for one workflow. Read by many threads, changed by none."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.for_paths = {key: config_text(value) for key, value in config.items()}
        self.for_commands = {key: command_text(value) for key, value in config.items()}

    def path(self, text: str) -> str:
        """Expand references as output paths and edges read them."""
        return fill(text, self.for_paths) if _MARK in text else text

    def command(self, text: str) -> str:
        """Expand references as commands read them: arrays become words."""
        return fill(text, self.for_commands) if _MARK in text else text


def fill(text: str, values: Mapping[str, str]) -> str:
    """Replace references until nothing changes, at most 32 times (2.2): a cycle stays as text."""
    for _ in range(MAX_PASSES):
        filled = REFERENCE.sub(lambda match: values.get(match[1], match[0]), text)
        if filled == text:
            break
        text = filled
    return text


def references(texts: Iterable[str | None], values: Mapping[str, str]) -> tuple[str, ...]:
    """Give the keys that the texts name, also through other values, in order of discovery."""
    found: dict[str, None] = {}
    waiting = [text for text in texts if text and _MARK in text]
    while waiting:
        for key in REFERENCE.findall(waiting.pop(0)):
            if key not in found:
                found[key] = None
                value = values.get(key, "")
                if _MARK in value:
                    waiting.append(value)
    return tuple(found)


def require_defined(rule: str, texts: Iterable[str | None], values: Mapping[str, str]) -> None:
    """Raise WorkflowError for the first reference of a rule to a key that is nowhere (E005)."""
    for key in references(texts, values):
        if key not in values:
            near = difflib.get_close_matches(key, list(values), 1)
            cure = f"did you mean 'config.{near[0]}'?" if near else "add it to [config]"
            message = (
                f"rule '{rule}': '{{config.{key}}}' is not defined in [config]; {cure}, "
                f"or give a value with --config {key}=VALUE"
            )
            raise WorkflowError(
                message, (Diagnostic(Severity.ERROR, "E005", message, rule=rule, suggestion=cure),)
            )
