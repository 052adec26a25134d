"""Turn the rules of a composed workflow into jobs: every wildcard filled, every list joined.

Owns spec/oxoflow-format.md 2.4 and 2.5: which rules fan out over what, the names and order of the
jobs, and `depends_on` between them. Splitting and combining is in `transform`, fan-in in `gather`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from oxoflow.errors import Diagnostic, Severity, WorkflowError
from oxoflow.lang.deadline import Deadline
from oxoflow.lang.lists import config_list
from oxoflow.lang.model import FileSet, Job, Rule, Workflow
from oxoflow.lang.sources import Choice, Sources, check_sources, collect_sources
from oxoflow.lang.view import NOTHING, FileView
from oxoflow.lang.wildcards import SAMPLE_NAMES, Template

MAX_JOBS = 200_000
_ONCE = (Choice("", {}),)


@dataclass(frozen=True, slots=True)
class _Instances:
    """The jobs that one rule (or one half of a transform) becomes, before their texts are made."""

    rule: Rule
    names: Sequence[str]
    bindings: Sequence[Mapping[str, str]]


def expand(
    workflow: Workflow,
    view: FileView = NOTHING,
    limit: int = MAX_JOBS,
    deadline: Deadline | None = None,
) -> tuple[Job, ...]:
    """Give every job, rules in file order, instances in source order.

    Raises WorkflowError for unusable sources, colliding job names, and more than `limit` jobs.
    """
    problems = check_sources(workflow)
    if problems:
        raise WorkflowError(problems[0].message, tuple(problems))
    sources = collect_sources(workflow)
    planned: list[_Instances] = []
    total = 0
    for rule in workflow.rules:
        instances = _instances(rule, workflow, sources, limit - total)
        total += len(instances.names)
        planned.append(instances)
    names = {instances.rule.name: tuple(instances.names) for instances in planned}
    _check_collisions(planned)
    jobs: list[Job] = []
    for instances in planned:
        if deadline:
            deadline.check("expanding the workflow into jobs")
        jobs += _build(instances, names)
    return tuple(jobs)


def _instances(rule: Rule, workflow: Workflow, sources: Sources, room: int) -> _Instances:
    choices = _fan_out(rule, sources, room)
    if rule.scatter:
        choices = _scatter(rule, choices, workflow, room)
    return _Instances(
        rule,
        [rule.name + choice.suffix for choice in choices],
        [choice.bindings for choice in choices],
    )


def _fan_out(rule: Rule, sources: Sources, room: int) -> Sequence[Choice]:
    """Choose the branch of 2.4 and list its choices, value tables outermost."""
    trigger = sources.trigger
    if trigger is None:
        return _ONCE
    texts = [*rule.input.paths, *rule.output.paths]
    if rule.shell is not None:
        texts.append(rule.shell)
    found = set(trigger.findall("\n".join(texts)))
    tables = _tables_named(rule, found, sources)
    if not found and not tables:
        return _ONCE
    dimensions = [sources.tables[name] for name in tables]
    if not found.isdisjoint(sources.pair_names):
        dimensions.append(sources.pairs)
    elif sources.has_groups and not found.isdisjoint(SAMPLE_NAMES):
        dimensions.append(sources.groups)
    return _cross(rule, dimensions, room)


def _tables_named(rule: Rule, found: set[str], sources: Sources) -> list[str]:
    if not sources.tables:
        return []
    wanted = {name.removeprefix("values.") for name in found}
    if rule.expand_inputs and sources.table_trigger:
        patterns = "\n".join([spec.pattern for spec in rule.expand_inputs])
        wanted |= {n.removeprefix("values.") for n in sources.table_trigger.findall(patterns)}
    return [name for name in sources.tables if name in wanted]


def _cross(rule: Rule, dimensions: Sequence[Sequence[Choice]], room: int) -> Sequence[Choice]:
    if len(dimensions) == 1:
        _check_room(rule, [len(dimensions[0])], room)
        return dimensions[0]
    _check_room(rule, [len(dimension) for dimension in dimensions], room)
    *tables, last = dimensions
    crossed = []
    for outer in product(*tables):
        suffix = "".join([choice.suffix for choice in outer])
        values = {name: value for choice in outer for name, value in choice.bindings.items()}
        crossed += [Choice(suffix + c.suffix, {**c.bindings, **values}) for c in last]
    return crossed


def _scatter(
    rule: Rule, choices: Sequence[Choice], workflow: Workflow, room: int
) -> Sequence[Choice]:
    """Multiply by the values of `scatter` (1.12); no values, no jobs."""
    scatter = rule.scatter
    assert scatter is not None
    values: Sequence[str] = scatter.values
    if not values and scatter.values_from:
        values = config_list(workflow.config, scatter.values_from) or ()
    _check_room(rule, [len(choices), len(values)], room)
    return [
        Choice(f"{choice.suffix}_{value}", {**choice.bindings, scatter.variable: value})
        for choice in choices
        for value in values
    ]


def _check_room(rule: Rule, sizes: Sequence[int], room: int) -> None:
    total = 1
    for size in sizes:
        total *= size
    if total > room:
        factors = " × ".join([str(size) for size in sizes])
        raise _failure(
            f"rule '{rule.name}' would become {factors} = {total} jobs, and only {max(room, 0)} "
            "more are allowed; use shorter lists, or raise the job limit",
            rule.name,
        )


def _check_collisions(planned: Iterable[_Instances]) -> None:
    owner: dict[str, str] = {}
    for instances in planned:
        for name in instances.names:
            if name in owner:
                raise _failure(
                    f"duplicate rule name: rules '{owner[name]}' and '{instances.rule.name}' both "
                    f"make a job '{name}'; rename a rule, sample or pair",
                    instances.rule.name,
                    "E016",
                )
            owner[name] = instances.rule.name


def _failure(message: str, rule: str, code: str = "E018") -> WorkflowError:
    return WorkflowError(message, (Diagnostic(Severity.ERROR, code, message, rule),))


def _build(instances: _Instances, names: Mapping[str, tuple[str, ...]]) -> list[Job]:
    """Make the jobs of one rule, each text cut once and filled per job."""
    rule, rows = instances.rule, instances.bindings
    depends_on = _resolve(rule.depends_on, names)
    if len(rows) == 1 and not rows[0]:
        return [_single(rule, instances.names[0], depends_on)]
    known = {name for row in rows[:1] for name in row}
    for row in rows:
        if len(row) != len(known):
            known.update(row)
    count = len(rows)
    columns = zip(
        instances.names,
        [tuple(row.items()) for row in rows],
        _files(rule.input, rows, known),
        _files(rule.output, rows, known),
        *[
            _texts(text, rows, known)
            for text in (
                rule.shell,
                rule.script,
                rule.log,
                rule.pre_exec,
                rule.on_success,
                rule.on_failure,
            )
        ],
        [depends_on] * count,
        strict=True,
    )
    return [Job(name, rule, *rest) for name, *rest in columns]


def _single(rule: Rule, name: str, depends_on: tuple[str, ...]) -> Job:
    return Job(
        name,
        rule,
        (),
        rule.input,
        rule.output,
        rule.shell,
        rule.script,
        rule.log,
        rule.pre_exec,
        rule.on_success,
        rule.on_failure,
        depends_on,
    )


def _texts(
    text: str | None, rows: Sequence[Mapping[str, str]], known: set[str]
) -> Sequence[str | None]:
    if text is None:
        return [None] * len(rows)
    return Template(text, known).fill_all(rows)


def _files(files: FileSet, rows: Sequence[Mapping[str, str]], known: set[str]) -> Sequence[FileSet]:
    templates = [Template(path, known) for path in files.paths]
    if not any(template.names for template in templates):
        return [files] * len(rows)
    columns = [template.fill_all(rows) for template in templates]
    names, pattern = files.names, files.pattern
    return [FileSet(paths, names, pattern) for paths in zip(*columns, strict=True)]


def _resolve(depends_on: tuple[str, ...], names: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Replace rule names by the names of their jobs (2.5); keep what is unknown for the DAG."""
    if not depends_on:
        return depends_on
    jobs: dict[str, None] = {}
    for name in depends_on:
        for job in names.get(name, (name,)):
            jobs[job] = None
    return tuple(jobs)
