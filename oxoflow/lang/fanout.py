"""Decide over what each rule fans out, and name its jobs, before any text is filled.

Owns spec/oxoflow-format.md 2.4 (branches, names, order) and the scatter half of 1.12.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

from msgspec import Struct

from oxoflow.lang.condition import asks_files, evaluate, settle_wildcards, tests_wildcards
from oxoflow.lang.faults import UNUSABLE, error, workflow_failure
from oxoflow.lang.lists import config_list
from oxoflow.lang.model import Rule, Scatter, Transform, Workflow
from oxoflow.lang.room import Room
from oxoflow.lang.sources import Choice, Sources
from oxoflow.lang.transform import (
    COMBINE_SUFFIX,
    INSTANCE,
    SplitError,
    chunk_path,
    combine_rule,
    map_rule,
    split_values,
)
from oxoflow.lang.view import FileView
from oxoflow.lang.wildcards import SAMPLE_NAMES

_NO_VALUES: Sequence[Mapping[str, str]] = ({},)
_ONCE = (Choice("", {}),)


class Instances(Struct, frozen=True):
    """The jobs that one rule, or one half of a transform, becomes: names and values.

    `chunks` is set for the combining half: how many map jobs, standing in the instances before
    these, belong to each job here.
    """

    rule: Rule
    names: Sequence[str]
    bindings: Sequence[Mapping[str, str]]
    chunks: int = 0
    conditions: Sequence[str] = ()  # one `when` a job, where it tests the job's own values
    files: Sequence[Sequence[str]] = ()  # for each job, what `input_groups` put before its inputs


class Ground(Struct, frozen=True):
    """What the planning of one workflow stands on."""

    workflow: Workflow
    sources: Sources
    view: FileView
    room: Room
    chunks: Mapping[str, int]  # how many transforms write chunks of each pattern


def plan_rule(rule: Rule, ground: Ground) -> list[Instances]:
    """Give the instances of one rule: one set, or two for a transform that combines.

    Raises WorkflowError when there is no room for them.
    """
    choices = _fan_out(rule, ground)
    conditional = rule.when is not None and tests_wildcards(rule.when)
    if choices is _ONCE and not (conditional or rule.scatter or rule.transform):
        ground.room.take_jobs(rule, 1)
        return [Instances(rule, (rule.name,), _NO_VALUES)]
    spread = choices is not _ONCE
    if rule.scatter:
        choices = _scatter(rule, rule.scatter, choices, ground)
    if rule.when and conditional and (spread or rule.scatter):
        choices = [c for c in choices if _may_run(rule.when, c, ground)]
    if rule.transform:
        planned = _split(rule, rule.transform, choices, ground)
    else:
        planned = [_instances(rule, choices)]
    for instances in planned:
        ground.room.take_jobs(rule, len(instances.names))
    return planned


def plan_choices(rule: Rule, choices: Sequence[Choice], ground: Ground) -> Instances:
    """Give the jobs of a rule whose choices are known, without those that can never run."""
    if rule.when and tests_wildcards(rule.when):
        choices = [c for c in choices if _may_run(rule.when, c, ground)]
    ground.room.take_jobs(rule, len(choices))
    return _instances(rule, choices)


def _instances(
    rule: Rule, choices: Sequence[Choice], ending: str = "", chunks: int = 0
) -> Instances:
    """Name the jobs; a `when` that tests wildcards is settled for each of them."""
    rows = [choice.bindings for choice in choices]
    conditions: Sequence[str] = ()
    if rule.when and tests_wildcards(rule.when):
        conditions = [settle_wildcards(rule.when, row) for row in rows]
    names = [rule.name + choice.suffix + ending for choice in choices]
    return Instances(rule, names, rows, chunks, conditions)


def _may_run(when: str, choice: Choice, ground: Ground) -> bool:
    """Say whether a job can ever run: files may still appear, so they are no reason to drop it."""
    settled = settle_wildcards(when, choice.bindings)
    return asks_files(settled) or evaluate(settled, ground.workflow.config, ground.view)


def _fan_out(rule: Rule, ground: Ground) -> Sequence[Choice]:
    """Choose the branch of 2.4 and list its choices, value tables outermost."""
    sources = ground.sources
    trigger = sources.trigger
    if trigger is None:
        return _ONCE
    texts = [*rule.input.paths, *rule.output.paths]
    texts += [text for text in (rule.shell, rule.output_pattern) if text is not None]
    found = set(trigger.findall("\n".join(texts)))
    tables = _tables_named(rule, found, sources)
    dimensions = [sources.tables[name] for name in tables]
    if not found.isdisjoint(sources.pair_names):
        dimensions.append(sources.pairs)
    elif sources.has_groups and not found.isdisjoint(SAMPLE_NAMES):
        dimensions.append(sources.groups)
    if not dimensions:
        return _ONCE
    ground.room.check_jobs(rule, [len(dimension) for dimension in dimensions])
    return dimensions[0] if len(dimensions) == 1 else _cross(dimensions)


def _tables_named(rule: Rule, found: set[str], sources: Sources) -> list[str]:
    if not sources.tables:
        return []
    wanted = {name.removeprefix("values.") for name in found}
    if rule.expand_inputs and sources.table_trigger:
        patterns = "\n".join([spec.pattern for spec in rule.expand_inputs])
        wanted |= {n.removeprefix("values.") for n in sources.table_trigger.findall(patterns)}
    return [name for name in sources.tables if name in wanted]


def _cross(dimensions: Sequence[Sequence[Choice]]) -> Sequence[Choice]:
    """Combine value tables with each other and with pairs or samples; the last varies fastest."""
    *tables, last = dimensions
    crossed = []
    for outer in product(*tables):
        suffix = "".join([choice.suffix for choice in outer])
        values = {name: value for choice in outer for name, value in choice.bindings.items()}
        crossed += [Choice(suffix + c.suffix, {**c.bindings, **values}) for c in last]
    return crossed


def _scatter(
    rule: Rule, scatter: Scatter, choices: Sequence[Choice], ground: Ground
) -> Sequence[Choice]:
    """Multiply by the values of `scatter` (1.12); no values, no jobs."""
    values: Sequence[str] = scatter.values
    if not values and scatter.values_from:
        values = config_list(ground.workflow.config, scatter.values_from) or ()
    return _multiply(rule, choices, scatter.variable, values, ground.room)


def _split(
    rule: Rule, transform: Transform, choices: Sequence[Choice], ground: Ground
) -> list[Instances]:
    """Give the map jobs, and the combine jobs when there is a combine (1.12)."""
    by = transform.split.by
    try:
        values = split_values(
            transform.split, ground.workflow.config, ground.view, ground.room.jobs
        )
    except SplitError as fault:
        message = f"rule '{rule.name}': transform.split: {fault}"
        problem = error(UNUSABLE, message, rule=rule.name, key="transform.split")
        raise workflow_failure([problem]) from None
    shared = ground.chunks[chunk_path(rule, by, own_chunks=False)] > 1
    own_chunks = shared or any(choice.suffix for choice in choices)
    if own_chunks:
        choices = [
            Choice(c.suffix, {**c.bindings, INSTANCE: rule.name + c.suffix}) for c in choices
        ]
    pieces = _multiply(rule, choices, by, values, ground.room)
    planned = [_instances(map_rule(rule, transform, own_chunks=own_chunks), pieces)]
    if transform.combine:
        combined = combine_rule(rule, transform, transform.combine)
        planned.append(_instances(combined, choices, COMBINE_SUFFIX, len(values)))
    return planned


def _multiply(
    rule: Rule, choices: Sequence[Choice], variable: str, values: Sequence[str], room: Room
) -> list[Choice]:
    room.check_jobs(rule, [len(choices), len(values)])
    return [
        Choice(f"{choice.suffix}_{value}", {**choice.bindings, variable: value})
        for choice in choices
        for value in values
    ]
