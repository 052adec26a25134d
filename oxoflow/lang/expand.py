"""Turn the rules of a composed workflow into jobs: every wildcard filled, every list joined.

Owns the order of spec/oxoflow-format.md 2.4 to 2.7 and `depends_on` between jobs (2.5). What a
rule fans out over is decided in `fanout`; what a job joins, in `gather`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import repeat

from msgspec.structs import replace

from oxoflow.errors import Diagnostic
from oxoflow.lang.deadline import Deadline
from oxoflow.lang.fanout import Ground, Instances, plan_rule
from oxoflow.lang.faults import error, workflow_failure
from oxoflow.lang.filling import Filler
from oxoflow.lang.gather import expand_job_inputs, gather_scattered
from oxoflow.lang.grouping import Discovery, discoverer, fresh_names
from oxoflow.lang.model import FileSet, Job, Rule, Workflow
from oxoflow.lang.room import Room
from oxoflow.lang.sources import check_sources, collect_sources
from oxoflow.lang.transform import check_transform, chunk_path
from oxoflow.lang.view import NOTHING, FileView


def expand(
    workflow: Workflow,
    view: FileView = NOTHING,
    deadline: Deadline | None = None,
) -> tuple[Job, ...]:
    """Give every job, rules in file order, instances in source order.

    Raises WorkflowError for unusable sources and splits, colliding job names, more jobs than the
    workflow's limits allow, or a deadline that passes.
    """
    problems = check_sources(workflow)
    for rule in workflow.rules:
        if rule.transform:
            problems += check_transform(rule)
    if problems:
        raise workflow_failure(problems)
    room = Room(workflow.limits.jobs)
    planned = _plan(workflow, view, room, deadline)
    _check_collisions(planned, {table.name for table in workflow.values})
    names = _names_for_dependants(planned)
    built: list[list[Job]] = []
    for instances in planned:
        _check(deadline)
        jobs = _build(instances, names, room)
        built.append(_with_chunks(jobs, built[-1], instances.chunks) if instances.chunks else jobs)
    _gather(workflow, built, planned, room, deadline)
    return tuple([job for jobs in built for job in jobs])


def _check(deadline: Deadline | None) -> None:
    if deadline:
        deadline.check("expanding the workflow into jobs")


def _plan(
    workflow: Workflow, view: FileView, room: Room, deadline: Deadline | None
) -> list[Instances]:
    chunks = Counter(
        [
            chunk_path(rule, rule.transform.split.by, own_chunks=False)
            for rule in workflow.rules
            if rule.transform
        ]
    )
    ground = Ground(workflow, collect_sources(workflow, view), view, room, chunks)
    planned: list[Instances] = []
    discovery = Discovery(ground)
    patterned = [rule for rule in workflow.rules if rule.output_pattern]
    fresh = {rule.name: fresh_names(rule, ground.sources) for rule in patterned}
    places: list[int] = []  # of their rules in the file
    for place, rule, producer in _in_turn(workflow.rules, fresh):
        _check(deadline)
        if rule.input_groups:
            planned.append(discovery.group(rule, planned))
        elif producer is not None:
            planned.append(discovery.consume(rule, producer, planned))
        else:
            planned += plan_rule(rule, ground)
        places += [place] * (len(planned) - len(places))
    return [planned[at] for at in sorted(range(len(planned)), key=places.__getitem__)]


def _in_turn(
    rules: Sequence[Rule], fresh: Mapping[str, frozenset[str]]
) -> Iterator[tuple[int, Rule, str | None]]:
    """Yield the rules in file order, but after the one whose `output_pattern` they read, named.

    Rules that read each other's files come in file order.
    """
    waiting = [
        (place, rule, discoverer(rule, fresh) if fresh else None)
        for place, rule in enumerate(rules)
    ]
    pending = set(fresh)
    while waiting:
        held = []
        for each in waiting:
            if each[2] in pending:
                held.append(each)
            else:
                pending.discard(each[1].name)
                yield each
        if len(held) == len(waiting):
            pending.clear()
        waiting = held


def _check_collisions(planned: Iterable[Instances], tables: Collection[str]) -> None:
    owner: dict[str, str] = {}
    told: dict[tuple[str, str], Diagnostic] = {}
    for instances in planned:
        first: dict[str, int] = {}  # where each name came first, once one comes again
        for at, name in enumerate(instances.names):
            if name in owner:
                rule = instances.rule.name
                rules = f"rules '{owner[name]}' and '{rule}' both make a job '{name}'"
                hint = "rename a rule, sample, group or pair, or list each only once"
                cause = (owner[name], rule)
                # one sample that is listed twice collides in every rule that uses it
                if owner[name] == rule:
                    if not first:
                        for place, each in enumerate(instances.names):
                            first.setdefault(each, place)
                    rows = instances.bindings
                    listed = _listed_twice(rows[first[name]], rows[at], tables)
                    why = f", for {listed} is listed twice" if listed else ""
                    rules = f"rule '{rule}' makes the job '{name}' twice{why}"
                    hint = "list each sample, group, pair and value only once"
                    cause = ("", listed or name.removeprefix(rule))
                message = f"duplicate rule name: {rules}"
                told.setdefault(cause, error("E016", message, rule=rule, suggestion=hint))
            owner[name] = instances.rule.name
    if told:
        raise workflow_failure([*told.values()])


def _listed_twice(
    first: Mapping[str, str], row: Mapping[str, str], tables: Collection[str]
) -> str | None:
    """Name the pair or sample that brings a job of a rule a second time; None if values do."""
    if any(row.get(name) != first.get(name) for name in tables):
        return None
    if "pair_id" in row:
        return f"the pair '{row['pair_id']}'"
    return f"the sample '{row['sample']}'" if "sample" in row else None


def _names_for_dependants(planned: Sequence[Instances]) -> dict[str, tuple[str, ...]]:
    """Say which jobs stand for a rule in `depends_on`: of a transform, those that combine."""
    return {instances.rule.name: tuple(instances.names) for instances in planned}


def _build(instances: Instances, names: Mapping[str, tuple[str, ...]], room: Room) -> list[Job]:
    """Make the jobs of one rule, each text cut once and filled once per job."""
    rule, rows = instances.rule, instances.bindings
    depends_on = _resolve(rule.depends_on, names)
    if len(rows) == 1 and not rows[0]:
        jobs = [_single(rule, instances.names[0], depends_on)]
        return _with_conditions(jobs, instances.conditions)
    filler = Filler(rule, rows, room)
    columns = zip(
        instances.names,
        filler.bindings(),
        filler.files(rule.input),
        filler.files(rule.output),
        filler.texts(rule.shell),
        filler.texts(rule.script),
        filler.texts(rule.log),
        filler.texts(rule.pre_exec),
        filler.texts(rule.on_success),
        filler.texts(rule.on_failure),
        repeat(depends_on),
    )
    jobs = [Job(name, rule, *values) for name, *values in columns]
    if instances.files:
        jobs = [_with_files(*pair) for pair in zip(jobs, instances.files, strict=True)]
    return _with_conditions(jobs, instances.conditions)


def _with_files(job: Job, files: Sequence[str]) -> Job:
    """Put the files of a group before the declared inputs."""
    return replace(job, input=FileSet((*files, *job.input.paths)))


def _with_conditions(jobs: list[Job], conditions: Sequence[str]) -> list[Job]:
    """Give each job a rule that carries the job's own `when`; equal ones share it."""
    if not conditions:
        return jobs
    rules = {text: replace(jobs[0].rule, when=text) for text in set(conditions)}
    return [replace(job, rule=rules[text]) for job, text in zip(jobs, conditions, strict=True)]


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


def _resolve(depends_on: tuple[str, ...], names: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Replace rule names by the names of their jobs (2.5); what is unknown is for the DAG."""
    if not depends_on:
        return depends_on
    jobs: dict[str, None] = {}
    for name in depends_on:
        jobs.update(dict.fromkeys(names.get(name, (name,))))
    return tuple(jobs)


def _with_chunks(combining: list[Job], mapped: list[Job], chunks: int) -> list[Job]:
    """Give each combining job the outputs of its own map jobs, which stand in the same order."""
    result = []
    for index, job in enumerate(combining):
        mine = mapped[index * chunks : (index + 1) * chunks]
        paths = tuple([path for piece in mine for path in piece.output.paths])
        result.append(replace(job, input=FileSet(paths)))
    return result


def _gather(
    workflow: Workflow,
    built: list[list[Job]],
    planned: Sequence[Instances],
    room: Room,
    deadline: Deadline | None,
) -> None:
    """Append what is joined: scattered outputs first, then `expand_inputs`, in place."""
    places: dict[str, int] = {}
    for index, instances in enumerate(planned):
        places.setdefault(instances.rule.name, index)
    for rule in workflow.rules:
        target = places.get(rule.scatter.gather) if rule.scatter and rule.scatter.gather else None
        if target is not None:
            scattered = _of_rule(rule.name, built, planned, places)
            built[target] = gather_scattered(built[target], scattered, room)
    for index, instances in enumerate(planned):
        if instances.rule.expand_inputs:
            _check(deadline)
            jobs = [expand_job_inputs(job, workflow.config, room) for job in built[index]]
            built[index] = jobs


def _of_rule(
    name: str,
    built: Sequence[list[Job]],
    planned: Sequence[Instances],
    places: Mapping[str, int],
) -> list[Job]:
    """Give the jobs whose outputs stand for a rule: of a transform, those that combine."""
    index = places[name]
    after = index + 1
    combines = after < len(planned) and planned[after].rule.name == name
    return built[after] if combines else built[index]
