"""Hold a configuration as text, ready to be filled into paths and commands.

Owns its two forms (spec/oxoflow-format.md 1.4: paths keep arrays as TOML text, commands get their
words), which keys a job reads, and the error for keys that do not exist. Pure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from oxoflow.errors import Diagnostic, Severity, WorkflowError
from oxoflow.lang.configrefs import MARK, REFERENCE, fill, keys_in, sample_list_cure, settle
from oxoflow.lang.nearest import most_alike
from oxoflow.lang.values import command_text, config_text


class ConfigTexts:
    """The configuration of one workflow. Any thread may read it, and finds the same."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.written = {key: config_text(value) for key, value in config.items()}
        self._whole: dict[str, bool] = {}  # of keys that were asked for
        self._for_paths = settle(self.written)
        self._alone = {f"{MARK}{key}}}": text for key, text in self._for_paths.items()}
        words = {key: command_text(value) for key, value in config.items() if type(value) is list}
        self._for_commands = settle({**self.written, **words}) if words else self._for_paths

    def path(self, text: str) -> str:
        """Expand references as output paths and edges read them."""
        if MARK not in text:
            return text
        value = self._alone.get(text)  # many jobs read one file that the config names
        return fill(text, self._for_paths) if value is None else value

    def command(self, text: str) -> str:
        """Expand references as commands read them: arrays become words."""
        return fill(text, self._for_commands) if MARK in text else text

    def value(self, key: str) -> str:
        """Give one value with its own references filled, empty for a key that is not there."""
        return self._for_paths.get(key, "")

    def keys_read(self, texts: Iterable[str | None]) -> tuple[str, ...]:
        """Give the keys that texts name, also through other values, in order of discovery."""
        waiting = deque(keys_in([text for text in texts if text]))
        found: dict[str, None] = {}
        while waiting:
            key = waiting.popleft()
            if key not in found:
                found[key] = None
                waiting.extend(keys_in([self.written.get(key, "")]))
        return tuple(found)

    def defines(self, text: str) -> bool:
        """Say whether every key that a text names is set, also through other values."""
        return MARK not in text or all(map(self._is_whole, REFERENCE.findall(text)))

    def _is_whole(self, key: str) -> bool:
        whole = self._whole.get(key)
        if whole is None:
            read = self.keys_read([f"{MARK}{key}}}"])
            whole = self._whole[key] = all(each in self.written for each in read)
        return whole

    def require_defined(self, rule: str, texts: Iterable[tuple[str, str | None]]) -> None:
        """Raise WorkflowError for the first key that a rule reads and nobody sets (E005).

        `texts` are (field of the rule, text), so that the fault can be placed.
        """
        for field, text in texts:
            if text and MARK in text:
                for key in self.keys_read([text]):
                    if key not in self.written:
                        raise self._undefined(rule, field, key)

    def _undefined(self, rule: str, field: str, key: str) -> WorkflowError:
        near = most_alike(key, self.written)
        cure = sample_list_cure(key) or "add it to [config]"
        cure = f"did you mean 'config.{near}'?" if near else cure
        message = (
            f"rule '{rule}': '{{config.{key}}}' is not defined in [config]; {cure}, "
            f"or give a value with --config {key}=VALUE"
        )
        fault = Diagnostic(Severity.ERROR, "E005", message, rule=rule, key=field)
        return WorkflowError(message, (fault,))


NO_CONFIG = ConfigTexts({})
