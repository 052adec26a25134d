"""Write the recipe of an image that holds a workflow and what its rules need.

Owns what goes into the image (spec/oxo-flow-api.md 5.10): base, environments, the list of rules
that need a container of their own. `dockerfile` and `singularity` spell it. Pure and deterministic;
no text of the workflow can leave the comment, label or quotes it is put into.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from oxoflow.errors import UsageError
from oxoflow.lang.defaults import apply_defaults
from oxoflow.lang.images.dockerfile import dockerfile
from oxoflow.lang.images.image import Image, Setup, is_plain_path
from oxoflow.lang.images.singularity import singularity
from oxoflow.lang.model import SYSTEM, Environment, EnvironmentKind, Rule, Workflow

PLAIN_BASE = "ubuntu:22.04"
GPU_BASE = "nvidia/cuda:12.0.0-runtime-ubuntu22.04"
OLD_GPU_BASE = "nvidia/cuda:11.8.0-runtime-ubuntu22.04"  # for compute capability 7.x

FORMATS: Mapping[str, Callable[[Image], str]] = {
    "docker": dockerfile,
    "singularity": singularity,
}
_CONDA = (EnvironmentKind.CONDA, EnvironmentKind.MAMBA)
_NESTED = (EnvironmentKind.DOCKER, EnvironmentKind.SINGULARITY, EnvironmentKind.MODULES)


def export(workflow: Workflow, format: str = "docker") -> str:
    """Return a Dockerfile (`docker`) or a definition file (`singularity`) for a workflow.

    Raises UsageError for any other format.
    """
    write = FORMATS.get(format)
    if write is None:
        known = " or ".join(FORMATS)
        raise UsageError(f"Unsupported export format {format[:40]!r}; choose {known}")
    return write(plan_image(workflow))


def plan_image(workflow: Workflow) -> Image:
    """Return what the image of a workflow is made of."""
    setups: dict[Environment, list[str]] = {}
    nested: list[str] = []
    for rule in apply_defaults(workflow).rules:
        environment = rule.environment or SYSTEM
        if environment.kind in _NESTED:
            nested.append(f"{rule.name} ({environment.kind.value}: {environment.spec})")
        elif environment.kind is not EnvironmentKind.SYSTEM:
            setups.setdefault(environment, []).append(rule.name)
    return Image(
        name=workflow.name,
        version=workflow.version,
        description=workflow.description or "",
        author=workflow.author or "",
        base=_base(workflow.rules),
        gpu=any(map(_wants_gpu, workflow.rules)),
        setups=tuple(_setup(environment, rules) for environment, rules in setups.items()),
        nested=tuple(nested),
        has_rules=bool(workflow.rules),
    )


def _setup(environment: Environment, rules: list[str]) -> Setup:
    kind = "conda" if environment.kind in _CONDA else environment.kind.value
    paths = (environment.spec, environment.prefix or "-", environment.requirements or "-")
    return Setup(
        kind=kind,
        spec=environment.spec,
        prefix=environment.prefix,
        requirements=environment.requirements,
        rules=tuple(rules),
        usable=all(map(is_plain_path, paths)),
    )


def _wants_gpu(rule: Rule) -> bool:
    return bool(rule.resources.gpu) or rule.resources.gpu_spec is not None


def _base(rules: tuple[Rule, ...]) -> str:
    wanting = [rule for rule in rules if _wants_gpu(rule)]
    if not wanting:
        return PLAIN_BASE
    specs = [rule.resources.gpu_spec for rule in wanting]
    old = any(spec and (spec.compute_capability or "").startswith("7.") for spec in specs)
    return OLD_GPU_BASE if old else GPU_BASE
