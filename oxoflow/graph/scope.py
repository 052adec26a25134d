"""Hold what an execution knows, and show each node the part it may see (spec/oxify-api.md 4.5).

A node sees the execute variables, what its ancestors made, and inside a body the body's own names;
never the work of a branch beside it, whatever the order of events. Only the driver records; nodes
on other threads read, and all that they may read was recorded before they started.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any


def node_key(node_id: str) -> str:
    """The name under which conditions and code find a node's whole output."""
    return "node_" + node_id.replace("-", "_")


def alias_of(name: str) -> str:
    """The short name that a node's display name gives, empty when it gives none."""
    alias = re.sub(r"[^a-z0-9]", "_", name.lower()).strip("_")
    return f"_{alias}" if alias[:1].isdigit() else alias


def aliases_of(names: Iterable[str]) -> dict[str, int]:
    """Alias to the number of its node; the first node with an alias keeps it."""
    aliases: dict[str, int] = {}
    for number, name in enumerate(names):
        alias = alias_of(name)
        if alias:
            aliases.setdefault(alias, number)
    return aliases


class Values:
    """The execute variables and, node by node, outputs and variables in order of completion."""

    def __init__(self, inputs: Mapping[str, Any], ids: Iterable[str], names: Iterable[str]) -> None:
        self._inputs = dict(inputs)
        self._keys = {node_key(node_id): number for number, node_id in enumerate(ids)}
        self._aliases = aliases_of(names)
        self._outputs: dict[int, Any] = {}
        self._written: dict[str, list[tuple[int, Any]]] = {}

    def record(self, number: int, output: Any, variables: Mapping[str, Any]) -> None:
        """Keep a node's output and the variables it sets."""
        self._outputs[number] = output
        for name, value in variables.items():
            self._written.setdefault(name, []).append((number, value))

    def variables(self) -> dict[str, Any]:
        """What the API lists: the execute variables and those that nodes set, the last one wins."""
        return self._inputs | {name: versions[-1][1] for name, versions in self._written.items()}

    def seen_by(self, ancestors: int) -> Scope:
        """The view of a node whose ancestors are the set bits of `ancestors`."""
        return Scope(self, ancestors)

    def find(self, name: str, ancestors: int) -> Any:
        """A value by name; raise KeyError when nothing visible has it."""
        for number, value in reversed(self._written.get(name, ())):
            if ancestors >> number & 1:
                return value
        if name in self._inputs:
            return self._inputs[name]
        number_of = self._keys.get(name, self._aliases.get(name))
        if number_of is not None and ancestors >> number_of & 1 and number_of in self._outputs:
            return self._outputs[number_of]
        raise KeyError(name)

    def visible(self, ancestors: int) -> dict[str, Any]:
        """All variables that a node with these ancestors sees (no aliases)."""
        found = dict(self._inputs)
        for name, versions in self._written.items():
            for number, value in reversed(versions):
                if ancestors >> number & 1:
                    found[name] = value
                    break
        return found

    def named_outputs(self, ancestors: int) -> dict[str, Any]:
        """Outputs under `node_…` and alias, for programs that get them as names."""
        named = {**self._aliases, **self._keys}
        return {
            name: self._outputs[number]
            for name, number in named.items()
            if ancestors >> number & 1 and number in self._outputs
        }


class Scope:
    """What one node, or one pass of a body, may read."""

    __slots__ = ("_ancestors", "_locals", "_values")

    def __init__(
        self, values: Values, ancestors: int, local: Mapping[str, Any] | None = None
    ) -> None:
        self._values = values
        self._ancestors = ancestors
        self._locals: Mapping[str, Any] = local or {}

    def lookup(self, name: str) -> Any:
        """The value of a name; raise KeyError when it has none here."""
        if name in self._locals:
            return self._locals[name]
        return self._values.find(name, self._ancestors)

    def inside(self, local: Mapping[str, Any]) -> Scope:
        """The view of a body: this one and further names that hide equal ones."""
        return Scope(self._values, self._ancestors, {**self._locals, **local})

    def variables(self) -> dict[str, Any]:
        """All variables in sight, as a copy."""
        return self._values.visible(self._ancestors) | dict(self._locals)

    def outputs(self) -> dict[str, Any]:
        """Outputs of ancestors under `node_…` and alias, where no variable has that name."""
        named = self._values.named_outputs(self._ancestors)
        return {name: value for name, value in named.items() if name not in self.variables()}
