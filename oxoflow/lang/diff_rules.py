"""Tell which rules two workflows have in common and what changed in them, for `diff`.

Owns the guess that a rule was renamed and the sentence for each kind of change. Linear: lines of
commands are counted, not aligned.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from msgspec.structs import fields

from oxoflow.lang.model import Rule
from oxoflow.lang.summary import environment_kind, paths_of, threads
from oxoflow.lang.wording import changed, cut, equal, keys_changed, shown


def rule_changes(a: tuple[Rule, ...], b: tuple[Rule, ...]) -> Iterator[str]:
    """Yield a sentence for each rule removed, added, renamed and for each change in the others."""
    old = {rule.name: rule for rule in a}
    new = {rule.name: rule for rule in b}
    renamed = _renamed(old, new)
    for name in old:
        if name not in new and name not in renamed:
            yield f"rule '{name}' removed"
    fresh = set(renamed.values())
    for name in new:
        if name not in old and name not in fresh:
            yield f"rule '{name}' added"
    for name, rule in old.items():
        if name in renamed:
            yield f"rule '{name}' seems to be renamed to '{renamed[name]}'"
        other = new.get(renamed.get(name, name))
        if other is not None:
            yield from _rule(rule, other)
    kept = [renamed.get(name, name) for name in old if renamed.get(name, name) in new]
    known = set(kept)
    if kept != [name for name in new if name in known]:
        yield "the order of the rules changed"


def _renamed(old: Mapping[str, Rule], new: Mapping[str, Rule]) -> dict[str, str]:
    """Guess which removed rule is which added one: the same command makes the same files."""
    added: dict[tuple[Any, ...], deque[str]] = {}
    for name, rule in new.items():
        if name not in old and (rule.shell or rule.script or rule.transform):
            added.setdefault(_work(rule), deque()).append(name)
    found: dict[str, str] = {}
    for name, rule in old.items():
        candidates = None if name in new else added.get(_work(rule))
        if candidates:
            found[name] = candidates.popleft()
    return found


def _work(rule: Rule) -> tuple[Any, ...]:
    return (rule.output.paths, rule.shell, rule.script, rule.transform)


def _rule(a: Rule, b: Rule) -> Iterator[str]:
    for item in fields(a):
        old, new = getattr(a, item.name), getattr(b, item.name)
        if item.name in _SKIPPED or equal(old, new):
            continue
        describe = _DESCRIBED.get(item.name, _plain)
        text = describe(a, b, item.name)
        if text:
            yield f"rule '{b.name}': {text}"


def _plain(a: Rule, b: Rule, name: str) -> str:
    return changed(name, getattr(a, name), getattr(b, name))


def _threads(a: Rule, b: Rule, name: str) -> str:
    old, new = threads(a), threads(b)
    return f"threads changed ({old} -> {new})" if old != new else ""


def _memory(a: Rule, b: Rule, name: str) -> str:
    old, new = a.memory or a.resources.memory, b.memory or b.resources.memory
    return f"memory changed ({shown(old)} -> {shown(new)})" if old != new else ""


def _resources(a: Rule, b: Rule, name: str) -> str:
    """Word threads and memory where only `resources` tells them, then what else differs."""
    changes = []
    if a.threads == b.threads:
        changes.append(_threads(a, b, name))
    if a.memory == b.memory:
        changes.append(_memory(a, b, name))
    for item in fields(a.resources):
        old, new = getattr(a.resources, item.name), getattr(b.resources, item.name)
        if item.name not in ("threads", "memory") and old != new:
            changes.append(changed(f"resources.{item.name}", old, new))
    return ", ".join(filter(None, changes))


def _files(a: Rule, b: Rule, name: str) -> str:
    old, new = paths_of(getattr(a, name)), paths_of(getattr(b, name))
    kept = set(old).intersection(new)
    gone = [f"-'{path}'" for path in old if path not in kept]
    come = [f"+'{path}'" for path in new if path not in kept]
    return f"{name} changed ({cut(' '.join(gone + come) or 'order or names')})"


def _lines(a: Rule, b: Rule, name: str) -> str:
    """Count the lines that differ: a linear measure, whatever the text."""
    old = Counter((getattr(a, name) or "").splitlines())
    new = Counter((getattr(b, name) or "").splitlines())
    more, less = (new - old).total(), (old - new).total()
    return f"{name} changed (+{more} -{less} lines)"


def _keys(a: Rule, b: Rule, name: str) -> str:
    return keys_changed(name, getattr(a, name), getattr(b, name))


def _names(a: Rule, b: Rule, name: str) -> str:
    """Name the variables that changed, never their values."""
    old, new = getattr(a, name), getattr(b, name)
    names = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
    return f"{name} changed ({cut(', '.join(names))})"


def _environment(a: Rule, b: Rule, name: str) -> str:
    def shown(rule: Rule) -> str:
        spec = rule.environment.spec if rule.environment else ""
        return cut(f"{environment_kind(rule)} {spec}".strip())

    return f"environment changed ({shown(a)} -> {shown(b)})"


_SKIPPED = frozenset(("name", "cleanup_chunks"))
_DESCRIBED: dict[str, Callable[[Rule, Rule, str], str]] = {
    "input": _files,
    "output": _files,
    "shell": _lines,
    "pre_exec": _lines,
    "on_success": _lines,
    "on_failure": _lines,
    "threads": _threads,
    "memory": _memory,
    "resources": _resources,
    "environment": _environment,
    "params": _keys,
    "rule_metadata": _keys,
    "resource_hint": _keys,
    "extra": _keys,
    "envvars": _names,
}
