"""Tell two workflows apart by what they mean, not by how they are written.

Owns the categories and wording of spec/oxo-flow-api.md 5.6 and their order: workflow, config,
tables by name, then rules. Values that look secret are never shown. Rules are `diff_rules`'.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import fields

from oxoflow.lang.diff_rules import rule_changes
from oxoflow.lang.lints.secrets import is_secret_name
from oxoflow.lang.model import Workflow
from oxoflow.lang.wording import changed, equal, shown

HEAD = (
    *("name", "version", "description", "author", "min_version", "format_version"),
    *("genome_build", "interpreter_map", "pairs_file", "sample_groups_file", "pairs_pattern"),
    *("metadata_file", "sample_pattern", "profile_mode", "on_complete", "on_error"),
)


class Difference(Struct, frozen=True):
    """One difference: the part of the workflow it is in, and a sentence."""

    category: str
    description: str


def diff(a: Workflow, b: Workflow) -> list[Difference]:
    """Return what is different in `b`, always in the same order; nothing for equal meaning."""
    return [
        *_head(a, b),
        *_config(a, b),
        *_tables(a, b),
        *(Difference("rules", text) for text in rule_changes(a.rules, b.rules)),
    ]


def _head(a: Workflow, b: Workflow) -> Iterator[Difference]:
    for name in HEAD:
        old, new = getattr(a, name), getattr(b, name)
        if old != new:
            yield Difference("workflow", f"{name} changed ({shown(old)} -> {shown(new)})")


def _config(a: Workflow, b: Workflow) -> Iterator[Difference]:
    hidden = {
        key
        for key in {*a.config, *b.config}
        if is_secret_name(key)
        or any(key in w.declared and w.declared[key].sensitive for w in (a, b))
    }
    for key in sorted({*a.config, *b.config}):
        secret = key in hidden
        if key not in b.config:
            yield Difference("config", f"'{key}' removed{_value(a.config[key], secret)}")
        elif key not in a.config:
            yield Difference("config", f"'{key}' added{_value(b.config[key], secret)}")
        elif not equal(a.config[key], b.config[key]):
            yield Difference("config", changed(f"'{key}'", a.config[key], b.config[key], secret))
        elif a.declared.get(key) != b.declared.get(key):
            yield Difference("config", f"'{key}': declaration changed")


def _tables(a: Workflow, b: Workflow) -> Iterator[Difference]:
    """Compare every other table: the known ones by their entries, the rest as a whole."""
    yield from _defaults(a, b)
    yield from _entries("pairs", "pair", _by(a.pairs, "pair_id"), _by(b.pairs, "pair_id"))
    yield from _entries("sample_groups", "group", _by(a.groups, "name"), _by(b.groups, "name"))
    done = {"workflow", "config", "rules", "defaults", "pairs", "sample_groups"}
    for name in sorted({*a.document, *b.document} - done):
        old, new = a.document.get(name), b.document.get(name)
        if name in _KEYED and isinstance(old or [], list) and isinstance(new or [], list):
            word, key = _KEYED[name]
            yield from _entries(name, word, _keyed(old, key), _keyed(new, key))
        elif name not in b.document:
            yield Difference(name, f"table '{name}' removed")
        elif name not in a.document:
            yield Difference(name, f"table '{name}' added")
        elif not equal(old, new):
            yield Difference(name, f"table '{name}' changed")


_KEYED = {
    "include": ("include", "path"),
    "values": ("table", "name"),
    "references": ("reference", "name"),
    "execution_group": ("group", "name"),
}


def _defaults(a: Workflow, b: Workflow) -> Iterator[Difference]:
    for item in fields(a.defaults):
        old, new = getattr(a.defaults, item.name), getattr(b.defaults, item.name)
        if old != new:
            yield Difference("defaults", changed(item.name, old, new))


def _by(entries: tuple[Any, ...], key: str) -> dict[str, Any]:
    """Return entries by their name; a name used twice gets a number."""
    return _numbered((getattr(entry, key), entry) for entry in entries)


def _keyed(entries: Any, key: str) -> dict[str, Any]:
    return _numbered(
        (str(entry.get(key, "")) if isinstance(entry, dict) else "", entry)
        for entry in entries or ()
    )


def _numbered(entries: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    used: dict[str, int] = {}
    for name, entry in entries:
        free = name
        while free in found:
            used[name] = used.get(name, 1) + 1
            free = f"{name} #{used[name]}"
        found[free] = entry
    return found


def _entries(
    category: str, word: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[Difference]:
    for name in old:
        if name not in new:
            yield Difference(category, f"{word} '{name}' removed")
    for name in new:
        if name not in old:
            yield Difference(category, f"{word} '{name}' added")
    for name in old:
        if name in new and not equal(old[name], new[name]):
            yield Difference(category, f"{word} '{name}' changed")


def _value(value: Any, secret: bool) -> str:
    return "" if secret else f" ({shown(value)})"
