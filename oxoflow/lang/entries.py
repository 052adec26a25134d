"""Read the sound entries of an array or a table of tables of which others are faulty.

Owns what stands for the parts that cannot be read, so that the others keep their numbers and can
be checked. The faults themselves are told by who reads the whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oxoflow.lang import tables
from oxoflow.lang.gaps import entry_mark
from oxoflow.lang.model import Environment, ResourceGroup
from oxoflow.lang.shapes import Table, Wrong

# Each array with what must not look as if its author had left it out.
_NEEDED: Mapping[str, tuple[Table[Any], tuple[str, ...]]] = {
    "include": (tables.INCLUDE, ("path",)),
    "pairs": (tables.PAIR, ("pair_id", "experiment", "control")),
    "sample_groups": (tables.SAMPLE_GROUP, ("name",)),
    "values": (tables.VALUE_TABLE, ("name", "values")),
    "execution_group": (tables.EXECUTION_GROUP, ("name",)),
    "references": (tables.REFERENCE, ("name", "output", "build", "source")),
}
# Each table of tables with what stands for an entry that cannot be read.
_NAMED: Mapping[str, tuple[Table[Any], Any]] = {
    "env_groups": (tables.ENVIRONMENT, Environment()),
    "resource_groups": (tables.RESOURCE_GROUP, ResourceGroup(max=2**32)),
}


def sound_entries(key: str, written: Any) -> Any:
    """Give what can be read of such a value; nothing where it is none."""
    if key in _NAMED and type(written) is dict:
        table, stand_in = _NAMED[key]
        return {name: _named(table, item, stand_in) for name, item in written.items()}
    if key not in _NEEDED or type(written) is not list:
        return ()
    table, needed = _NEEDED[key]
    return tuple([_entry(table, needed, item, at) for at, item in enumerate(written)])


def _named(table: Table[Any], item: Any, stand_in: Any) -> Any:
    try:
        return table.read(item)
    except Wrong:
        return stand_in


def _entry(table: Table[Any], needed: tuple[str, ...], item: Any, number: int) -> Any:
    mark = entry_mark(number)
    arguments: dict[str, Any] = {}
    if type(item) is not dict:
        lost = set(needed)
    else:
        arguments, faults = table.read_fields(item)
        lost = {table.fields[str(fault.path[0])][0] for fault in faults}
    if "values_from" in lost:
        lost.add("values")
    for name in needed:
        if name in lost and name not in arguments:
            arguments[name] = (mark,) if name == "values" else mark
    return table.make(**arguments)
