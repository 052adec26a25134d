"""Fill in what a rule leaves open from `[defaults]` and `[env_groups]`.

Owns spec/oxoflow-format.md 1.5, 3.5 and the effective environment of 1.11 (S7).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from oxoflow.lang.model import SYSTEM, Defaults, Environment, Rule, Workflow


def apply_defaults(workflow: Workflow) -> Workflow:
    """Give the workflow with every rule's threads, memory and environment settled."""
    defaults = workflow.defaults
    groups = workflow.env_groups
    if defaults == Defaults(shell_prelude=defaults.shell_prelude) and not groups:
        return workflow
    return replace(
        workflow, rules=tuple([_with_defaults(rule, defaults, groups) for rule in workflow.rules])
    )


def _with_defaults(rule: Rule, defaults: Defaults, groups: Mapping[str, Environment]) -> Rule:
    changes: dict[str, Any] = {}
    resources = rule.resources
    if defaults.threads is not None and rule.threads is None and (resources.threads or 1) <= 1:
        changes["resources"] = resources = replace(resources, threads=defaults.threads)
    if defaults.memory is not None and rule.memory is None and resources.memory is None:
        changes["resources"] = resources = replace(resources, memory=defaults.memory)
    if defaults.time_limit is not None and resources.time_limit is None:
        changes["resources"] = resources = replace(resources, time_limit=defaults.time_limit)
    environment: Environment | None = groups.get(rule.env_group) if rule.env_group else None
    if environment is None and (rule.environment is None or rule.environment == SYSTEM):
        environment = defaults.environment
    if environment is not None:
        changes["environment"] = environment
    return replace(rule, **changes) if changes else rule
