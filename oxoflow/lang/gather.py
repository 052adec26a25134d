"""Append to a job's inputs what it joins: scattered outputs and `expand_inputs` patterns.

Owns the fan-in of spec/oxoflow-format.md 1.12 (`scatter.gather`) and 2.7. Works on finished jobs;
named inputs keep their names, appended files get none (S4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from msgspec.structs import replace

from oxoflow.lang.latepattern import late
from oxoflow.lang.lists import variable_list
from oxoflow.lang.model import ExpandInput, FileSet, Job
from oxoflow.lang.room import Room
from oxoflow.lang.wildcards import Template, substitute

_GROWING = late(r"(?:config\.)?(?:samples_|pairs_list$)")


def gather_scattered(targets: Sequence[Job], scattered: Sequence[Job], room: Room) -> list[Job]:
    """Give the targets with the scattered outputs appended.

    Where both sides fanned out, a target takes the outputs whose values agree with its own.
    Raises WorkflowError when there is no room for as many paths.
    """
    if not targets or not scattered:
        return list(targets)
    theirs = {name for name, _ in scattered[0].bindings}
    shared = [name for name, _ in targets[0].bindings if name in theirs]
    outputs: dict[tuple[str, ...], list[str]] = {}
    for job in scattered:
        outputs.setdefault(_key(job, shared), []).extend(job.output.paths)
    joined = [(job, outputs.get(_key(job, shared), [])) for job in targets]
    room.take_paths(targets[0].rule, [sum([len(paths) for _, paths in joined])])
    return [_with_inputs(job, paths) for job, paths in joined]


def _key(job: Job, names: Sequence[str]) -> tuple[str, ...]:
    bindings = dict(job.bindings)
    return tuple([bindings.get(name, "") for name in names])


def expand_job_inputs(job: Job, config: Mapping[str, Any], room: Room) -> Job:
    """Give the job with all of its rule's `expand_inputs` appended, in order.

    An empty list adds nothing to what is there. Where nothing is, its placeholder stays as written
    (2.7): a job without any input would succeed on an empty cohort; so does that of a list of
    samples or pairs, which a checkpoint may fill. Raises WorkflowError when there is no room.
    """
    bindings = dict(job.bindings)
    paths: list[str] = []
    unfilled: list[str] = []
    for spec in job.rule.expand_inputs:
        lists = _lists(spec, bindings, config)
        room.take_paths(job.rule, [len(values) for values in lists.values() if values])
        known = {name: values for name, values in lists.items() if values}
        kept = len(known) == len(lists) or any(map(_GROWING.match, spec.variables.values()))
        (paths if kept else unfilled).extend(_expand(spec.pattern, known))
    return _with_inputs(job, paths if paths or job.input.paths else unfilled)


def _lists(
    spec: ExpandInput, bindings: Mapping[str, str], config: Mapping[str, Any]
) -> dict[str, Sequence[str]]:
    """Give the values of each placeholder in order of appearance; the job's own count as one."""
    lists: dict[str, Sequence[str]] = {}
    for name in Template(spec.pattern, bindings.keys() | spec.variables.keys()).names:
        if name in spec.variables:
            lists[name] = variable_list(config, substitute(spec.variables[name], bindings))
        else:
            lists[name] = (bindings[name],)
    return lists


def _expand(pattern: str, lists: Mapping[str, Sequence[str]]) -> list[str]:
    """Fill one pattern with every combination; its first placeholder varies slowest."""
    template = Template(pattern, lists.keys())
    order = list(lists)
    places = [order.index(name) for name in template.names]
    return template.fill_rows(product(*lists.values()), places)


def _with_inputs(job: Job, paths: Sequence[str]) -> Job:
    if not paths:
        return job
    files = job.input
    return replace(job, input=FileSet((*files.paths, *paths), files.names, files.pattern))
