"""Append to a job's inputs what it joins: scattered outputs and `expand_inputs` patterns.

Owns the fan-in of spec/oxoflow-format.md 1.12 (`scatter.gather`) and 2.7. Works on finished jobs;
named inputs keep their names, appended files get none (S4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from oxoflow.lang.faults import UNUSABLE, error, workflow_failure
from oxoflow.lang.lists import variable_list
from oxoflow.lang.model import ExpandInput, FileSet, Job
from oxoflow.lang.wildcards import Template, names_in, substitute


@dataclass(slots=True)
class Room:
    """How many more paths may be made; one count for a whole expansion."""

    left: int

    def take(self, count: int, rule: str, sizes: Sequence[int]) -> None:
        """Use up some room. Raises WorkflowError when there is not enough."""
        self.left -= count
        if self.left < 0:
            factors = " × ".join([str(size) for size in sizes])
            message = (
                f"rule '{rule}': expand_inputs would add {factors} = {count} paths, which is too "
                "many; use shorter lists, or raise the job limit (OXO_FLOW_MAX_JOBS)"
            )
            raise workflow_failure([error(UNUSABLE, message, rule=rule, key="expand_inputs")])


def gather_scattered(targets: Sequence[Job], scattered: Sequence[Job]) -> list[Job]:
    """Give the targets with the scattered outputs appended.

    Where both sides fanned out, a target takes the outputs whose values agree with its own.
    """
    if not targets or not scattered:
        return list(targets)
    theirs = {name for name, _ in scattered[0].bindings}
    shared = [name for name, _ in targets[0].bindings if name in theirs]
    outputs: dict[tuple[str, ...], list[str]] = {}
    for job in scattered:
        outputs.setdefault(_key(job, shared), []).extend(job.output.paths)
    return [_with_inputs(job, outputs.get(_key(job, shared), [])) for job in targets]


def _key(job: Job, names: Sequence[str]) -> tuple[str, ...]:
    bindings = dict(job.bindings)
    return tuple([bindings.get(name, "") for name in names])


def expand_job_inputs(job: Job, config: Mapping[str, Any], room: Room) -> Job:
    """Give the job with all of its rule's `expand_inputs` appended, in order."""
    bindings = dict(job.bindings)
    paths: list[str] = []
    for spec in job.rule.expand_inputs:
        paths += _expand(spec, bindings, config, room, job.rule.name)
    return _with_inputs(job, paths)


def _expand(
    spec: ExpandInput,
    bindings: Mapping[str, str],
    config: Mapping[str, Any],
    room: Room,
    rule: str,
) -> list[str]:
    """Fill one pattern with every combination; its first placeholder varies slowest."""
    lists = {
        name: variable_list(config, substitute(text, bindings))
        for name, text in spec.variables.items()
    }
    named = names_in([spec.pattern])
    order = [name for name in Template(spec.pattern, lists.keys()).names if lists[name]]
    order = list(dict.fromkeys(order))
    sizes = [len(lists[name]) for name in order]
    count = 1
    for size in sizes:
        count *= size
    room.take(count, rule, sizes or [1])
    fixed = {k: v for k, v in bindings.items() if k in named and k not in spec.variables}
    template = Template(spec.pattern, {*order, *fixed})
    rows = [
        {**fixed, **dict(zip(order, values, strict=True))}
        for values in product(*[lists[name] for name in order])
    ]
    return template.fill_all(rows)


def _with_inputs(job: Job, paths: Sequence[str]) -> Job:
    if not paths:
        return job
    files = job.input
    return replace(job, input=FileSet((*files.paths, *paths), files.names, files.pattern))
