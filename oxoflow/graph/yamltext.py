"""Read and write YAML as JSON values only: no tags, no aliases, no dates that are not text.

Aliases are refused because a few lines of them can stand for gigabytes. The library's C parser is
used where it was built: it is five times as fast. As it descends without looking at its stack, the
depth is measured first, on events.
"""

from __future__ import annotations

from typing import Any

import yaml

from oxoflow.errors import InvalidInput
from oxoflow.graph.jsontext import MAX_DEPTH

_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_OPENING = (yaml.SequenceStartEvent, yaml.MappingStartEvent)
_CLOSING = (yaml.SequenceEndEvent, yaml.MappingEndEvent)


class _Loader(_BASE):  # type: ignore[misc]
    """Scalars as JSON knows them; merge keys are keys like others."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern) for tag, pattern in resolvers if not tag.endswith(("timestamp", "merge"))
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_yaml(text: str) -> Any:
    """The JSON value of a YAML text; raise InvalidInput with the reason."""
    try:
        _check(text)
        return _plain(yaml.load(text, Loader=_Loader))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        said = " ".join(str(error).split())[:300] or "nested too deeply"
        raise InvalidInput(f"not YAML: {said}") from None


def _check(text: str) -> None:
    """Raise YAMLError for an alias, and for a text that is nested too deeply."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not read")
        depth += isinstance(event, _OPENING) - isinstance(event, _CLOSING)
        if depth > MAX_DEPTH:
            raise yaml.YAMLError(f"nested deeper than {MAX_DEPTH} levels")


def write_yaml(value: Any) -> str:
    """YAML that `read_yaml` reads back to the same value."""
    words = yaml.dump(value, Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=10_000)
    return str(words)


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
