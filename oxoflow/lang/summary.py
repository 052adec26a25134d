"""Describe a workflow in numbers and rows: for parse, stats, dry-run and clean.

Owns the shapes of spec/oxo-flow-api.md 1.4 and 5.5 that need no job. Defaults count as applied.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from oxoflow.lang.defaults import apply_defaults
from oxoflow.lang.model import SYSTEM, EnvironmentKind, FileSet, Rule, Workflow
from oxoflow.lang.wildcards import PLACEHOLDER

MOST_THREADS = 2**32 - 1


def detail(workflow: Workflow) -> dict[str, Any]:
    """Return the workflow as the parse verb shows it (1.4); includes are named, not resolved."""
    return {
        "name": workflow.name,
        "version": workflow.version,
        "description": workflow.description,
        "author": workflow.author,
        "rules_count": len(workflow.rules),
        "rules": [rule_detail(rule) for rule in apply_defaults(workflow).rules],
        "includes": [include.path for include in workflow.includes],
    }


def rule_detail(rule: Rule) -> dict[str, Any]:
    """Return one rule, its defaults applied, as parse and dry-run show it (1.4)."""
    return {
        "name": rule.name,
        "inputs": paths_of(rule.input),
        "outputs": paths_of(rule.output),
        "environment": environment_kind(rule),
        "threads": threads(rule),
    }


def paths_of(files: FileSet) -> list[str]:
    """Return the paths of a file set as text; a filtered directory is shown as one glob."""
    if files.pattern is None:
        return list(files.paths)
    return [f"{path.rstrip('/')}/{files.pattern}" for path in files.paths]


def environment_kind(rule: Rule) -> str:
    """Return the word for where the rule runs: `conda`, `docker`, … or `system`."""
    return (rule.environment or SYSTEM).kind.value


def threads(rule: Rule) -> int:
    """Return the threads of a rule whose defaults are applied, at least 1."""
    return max(1, rule.threads or rule.resources.threads or 1)


def stats(workflow: Workflow, edges: Sequence[tuple[str, str]] | None) -> dict[str, Any]:
    """Return the figures of 5.5; `edges` between rules, None when the graph fails."""
    rules = apply_defaults(workflow).rules
    levels = 0 if edges is None else count_levels([rule.name for rule in rules], edges)
    kinds = {environment_kind(rule) for rule in rules} - {EnvironmentKind.SYSTEM.value}
    wildcards = {
        name
        for rule in rules
        for path in (*rule.input.paths, *rule.output.paths)
        for name in PLACEHOLDER.findall(path)
    }
    return {
        "rule_count": len(rules),
        "shell_rules": sum(rule.shell is not None for rule in rules),
        "script_rules": sum(rule.script is not None for rule in rules),
        "dependency_count": len(set(edges or ())),
        "parallel_groups": levels,
        "max_depth": max(0, levels - 1),
        "environments": sorted(kinds),
        "total_threads": min(sum(map(threads, rules)), MOST_THREADS),
        "wildcard_count": len(wildcards),
        "wildcard_names": sorted(wildcards),
    }


def count_levels(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> int:
    """Return the number of rules on the longest chain; rules of a circle are left out."""
    links = {edge for edge in edges if edge[0] != edge[1]}
    waiting = Counter(consumer for _, consumer in links)
    below: dict[str, list[str]] = {}
    for producer, consumer in links:
        below.setdefault(producer, []).append(consumer)
    level = [name for name in names if not waiting[name]]
    count = 0
    while level:
        count += 1
        following = []
        for name in level:
            for consumer in below.get(name, ()):
                waiting[consumer] -= 1
                if not waiting[consumer]:
                    following.append(consumer)
        level = following
    return count


def outputs_to_clean(workflow: Workflow) -> list[str]:
    """Return every output as written, wildcards included: once each, in rule order (1.4)."""
    return list(dict.fromkeys(path for rule in workflow.rules for path in rule.output.paths))
