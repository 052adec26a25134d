"""Apply `extends`: a rule takes from its base what it leaves open itself.

Owns spec/oxoflow-format.md 3.3, resolved through any number of bases (S1). Unknown bases and
cycles are left for `validate` to report.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from oxoflow.lang.model import SYSTEM, Resources, Rule, Workflow

_INHERITED_WHEN_UNSET = ("threads", "memory", "retry_delay", "group", "log")
_NO_RESOURCES = Resources()


def apply_extends(workflow: Workflow) -> Workflow:
    """Give the workflow with every rule completed from its bases, nearest base first."""
    if not any(rule.extends for rule in workflow.rules):
        return workflow
    rules = {rule.name: rule for rule in workflow.rules}
    done: dict[str, Rule] = {}
    return replace(workflow, rules=tuple([_completed(r, rules, done) for r in workflow.rules]))


def bases(rule: Rule, rules: Mapping[str, Rule]) -> Iterable[Rule]:
    """Walk from a rule's base upwards; ends at an unknown base or when a cycle closes."""
    seen = {rule.name}
    while rule.extends and rule.extends in rules and rule.extends not in seen:
        rule = rules[rule.extends]
        seen.add(rule.name)
        yield rule


def extends_cycles(rules: Mapping[str, Rule]) -> dict[str, tuple[str, ...]]:
    """Give, for every rule in a circle of extends, the circle from that rule's view."""
    circles: dict[str, tuple[str, ...]] = {}
    seen: set[str] = set()
    for start in rules:
        path: dict[str, int] = {}
        name: str | None = start
        while name is not None and name in rules and name not in seen:
            seen.add(name)
            path[name] = len(path)
            name = rules[name].extends
        if name in path:
            circle = tuple(path)[path[name] :]
            circles.update(dict.fromkeys(circle, circle))
    return circles


def _completed(rule: Rule, rules: Mapping[str, Rule], done: dict[str, Rule]) -> Rule:
    """Complete the chain from its top down, so that long chains cost no recursion."""
    chain = [rule]
    for base in bases(rule, rules):
        chain.append(base)
        if base.name in done:
            break
    result = done.get(chain[-1].name, chain[-1])
    done[chain[-1].name] = result
    for child in reversed(chain[:-1]):
        result = done[child.name] = _inherit(child, result)
    return result


def _inherit(child: Rule, base: Rule) -> Rule:
    changes: dict[str, Any] = {
        name: getattr(base, name)
        for name in _INHERITED_WHEN_UNSET
        if getattr(child, name) is None and getattr(base, name) is not None
    }
    if child.resources == _NO_RESOURCES:
        changes["resources"] = base.resources
    if child.environment is None or child.environment == SYSTEM:
        changes["environment"] = base.environment
    if not child.tags:
        changes["tags"] = base.tags
    if not child.retries:
        changes["retries"] = base.retries
    if base.params:
        changes["params"] = {**base.params, **child.params}
    return replace(child, **changes)
