"""Read and write YAML as JSON values only: no tags, no anchors, no dates that are not text.

Anchors are refused because a few lines of them can stand for gigabytes.
"""

from __future__ import annotations

from typing import Any

import yaml

from oxoflow.errors import InvalidInput


class _Loader(yaml.SafeLoader):
    """Scalars as JSON knows them; aliases and merge keys are refused."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not read")
        return super().compose_node(parent, index)


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern) for tag, pattern in resolvers if not tag.endswith(("timestamp", "merge"))
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_yaml(text: str) -> Any:
    """The JSON value of a YAML text; raise InvalidInput with the reason."""
    try:
        return _plain(yaml.load(text, Loader=_Loader))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        said = " ".join(str(error).split())[:300] or "nested too deeply"
        raise InvalidInput(f"not YAML: {said}") from None


def write_yaml(value: Any) -> str:
    """YAML that `read_yaml` reads back to the same value."""
    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=10_000))


def _plain(value: Any) -> Any:
    """Only what JSON has: object keys are texts, no sets, no bytes."""
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise ValueError("keys of objects must be text")
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise ValueError(f"{type(value).__name__} is not a JSON value")
