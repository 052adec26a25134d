"""Choose the environment family that a rule asks for.

Owns the table of families, and the order of precedence of design 10: env_group, rule, defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from oxoflow.environments.conda import Conda
from oxoflow.environments.docker import Docker
from oxoflow.environments.family import Family, Site
from oxoflow.environments.modules import Modules
from oxoflow.environments.pixi import Pixi
from oxoflow.environments.singularity import Singularity
from oxoflow.environments.system import System
from oxoflow.environments.venv import Venv
from oxoflow.errors import RunError
from oxoflow.lang.model import SYSTEM, Environment, EnvironmentKind, Rule, Workflow

_FAMILIES: Mapping[EnvironmentKind, Callable[[Environment, Site], Family]] = {
    EnvironmentKind.MAMBA: Conda,
    EnvironmentKind.CONDA: Conda,
    EnvironmentKind.PIXI: Pixi,
    EnvironmentKind.DOCKER: Docker,
    EnvironmentKind.SINGULARITY: Singularity,
    EnvironmentKind.VENV: Venv,
    EnvironmentKind.MODULES: Modules,
    EnvironmentKind.SYSTEM: lambda environment, site: System(site.shell),
}


def effective_environment(rule: Rule, workflow: Workflow) -> Environment:
    """The environment of a rule: its env_group, else its own, else the default (1.11).

    Raises RunError for a group that is not defined: the host's programs are no stand-in.
    """
    if rule.env_group is not None:
        if rule.env_group not in workflow.env_groups:
            raise RunError(f"there is no [env_groups.{rule.env_group}]; define it")
        return workflow.env_groups[rule.env_group]
    return rule.environment or workflow.defaults.environment or SYSTEM


def choose_family(environment: Environment, site: Site) -> Family:
    """The family for an environment; raises RunError when it cannot be used here (S14)."""
    return _FAMILIES[environment.kind](environment, site)
