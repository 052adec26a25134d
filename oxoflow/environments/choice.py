"""Choose the environment family that a rule asks for.

Owns the table of families, and the order of precedence of design 10: env_group, rule, defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from oxoflow.environments.family import Family
from oxoflow.environments.shell import Shell
from oxoflow.environments.system import System
from oxoflow.errors import RunError
from oxoflow.lang.model import SYSTEM, Environment, EnvironmentKind, Rule, Workflow

_FAMILIES: Mapping[EnvironmentKind, Callable[[Environment, Shell], Family]] = {
    EnvironmentKind.SYSTEM: lambda environment, shell: System(shell),
}


def effective_environment(rule: Rule, workflow: Workflow) -> Environment:
    """The environment of a rule: its env_group, else its own, else the default (1.11)."""
    if rule.env_group is not None and rule.env_group in workflow.env_groups:
        return workflow.env_groups[rule.env_group]
    return rule.environment or workflow.defaults.environment or SYSTEM


def choose_family(environment: Environment, shell: Shell) -> Family:
    """The family for an environment; raises RunError for one that cannot be used here."""
    make = _FAMILIES.get(environment.kind)
    if make is None:
        raise RunError(
            f"environment kind '{environment.kind.value}' cannot be run yet; remove it and put the "
            "programs on PATH"
        )
    return make(environment, shell)
