"""Turn a plan's decisions into tasks for the scheduler: needs, edges, and what is urgent.

Owns the numbering of tasks and the estimate of the work behind each. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from oxoflow.engine.capacity import demand, joint_demand
from oxoflow.engine.dag import Dag
from oxoflow.engine.deciding import Decision, Verdict
from oxoflow.engine.pipes import NO_PIPES, Pipes
from oxoflow.engine.records import Record
from oxoflow.engine.scheduler import Capacity, Task
from oxoflow.lang.model import Job


def needs_work(decision: Decision) -> bool:
    """True for a job that must be run, checked, refused or adopted."""
    return decision.verdict is not Verdict.SKIP or decision.adopt


class Item(Struct):
    """One task: the job's decision so far, and what a worker must know besides.

    `others` are the jobs that pipes join to it: they start and end with it.
    """

    decision: Decision
    ready: bool  # the decision stands: no job above it could change it
    problem: str | None = None
    memory_mb: int | None = None
    others: tuple[Decision, ...] = ()

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """Of all jobs of the task."""
        return (self.decision, *self.others)


class Tasks(Struct, frozen=True):
    """The jobs of a plan that have anything left to do, as the scheduler wants them."""

    items: tuple[Item, ...]
    tasks: tuple[Task, ...]
    parents: tuple[tuple[int, ...], ...]
    warnings: tuple[str, ...]


def make_tasks(
    chosen: Sequence[Decision],
    dag: Dag,
    capacity: Capacity,
    records: Mapping[str, Record],
    pipes: Pipes = NO_PIPES,
) -> Tasks:
    """Number the jobs that need work, in their order; what is not among them is satisfied."""
    units = _units(chosen, pipes)
    number = {decision.index: task for task, unit in enumerate(units) for decision in unit}
    parents = _parents(units, dag, number)
    costs = _costs([decision.job for decision in chosen], records)
    if pipes.group_of:
        cost = {decision.index: each for decision, each in zip(chosen, costs, strict=True)}
        costs = [max(cost[decision.index] for decision in unit) for unit in units]
    weights = _tails(parents, costs)
    items, tasks = [], []
    warnings: dict[str, None] = {}
    for task, unit in enumerate(units):
        jobs = [decision.job for decision in unit]
        wanted = demand(jobs[0], capacity) if len(jobs) == 1 else joint_demand(jobs, capacity)
        if wanted.warning is not None:
            warnings[wanted.warning] = None
        ready = not parents[task]
        items.append(Item(unit[0], ready, problem=wanted.problem, others=unit[1:]))
        tasks.append(Task(wanted.need, max(job.rule.priority for job in jobs), weights[task]))
    return Tasks(tuple(items), tuple(tasks), parents, tuple(warnings))


def _units(chosen: Sequence[Decision], pipes: Pipes) -> list[tuple[Decision, ...]]:
    """One tuple a task: a job, or the jobs that pipes join, which stand one behind another."""
    if not pipes.group_of:
        return [(decision,) for decision in chosen]
    units: dict[int, list[Decision]] = {}
    for decision in chosen:
        first = pipes.group_of.get(decision.index, (decision.index,))[0]
        units.setdefault(first, []).append(decision)
    return [tuple(unit) for unit in units.values()]


def _parents(
    units: Sequence[tuple[Decision, ...]], dag: Dag, number: Mapping[int, int]
) -> tuple[tuple[int, ...], ...]:
    """Give the tasks that each waits for; jobs with one tuple of parents have one here too."""
    known: dict[int, tuple[int, ...]] = {}
    parents = []
    for unit in units:
        if len(unit) > 1:
            parents.append(_above_joined(unit, dag, number))
            continue
        above = dag.parents[unit[0].index]
        if id(above) not in known:
            known[id(above)] = tuple([number[at] for at in above if at in number])
        parents.append(known[id(above)])
    return tuple(parents)


def _above_joined(
    unit: tuple[Decision, ...], dag: Dag, number: Mapping[int, int]
) -> tuple[int, ...]:
    own = {decision.index for decision in unit}
    found = {at: None for decision in unit for at in dag.parents[decision.index] if at not in own}
    return tuple(number[above] for above in found if above in number)


def _costs(jobs: Sequence[Job], records: Mapping[str, Record]) -> list[float]:
    """Seconds that each job may take: its own last time, else its rule's mean, else all alike."""
    by_rule: dict[str, list[float]] = {}
    for record in records.values():
        if record.wall_s is not None:
            by_rule.setdefault(record.rule, []).append(record.wall_s)
    means = {rule: sum(times) / len(times) for rule, times in by_rule.items()}
    usual = sum(means.values()) / len(means) if means else 1.0
    costs = []
    for job in jobs:
        own = records.get(job.name)
        known = own.wall_s if own is not None else None
        costs.append(known if known is not None else means.get(job.rule.name, usual))
    return costs


def _tails(parents: Sequence[Sequence[int]], costs: Sequence[float]) -> list[float]:
    """The longest path of work from each task to an end; tasks are in topological order."""
    tails = list(costs)
    first = {id(parents[task]): task for task in range(len(parents) - 1, -1, -1)}
    longest: dict[int, float] = {}  # of those with one and the same tuple of parents
    for task in range(len(parents) - 1, -1, -1):
        same = id(parents[task])
        longest[same] = max(longest.get(same, 0.0), tails[task])
        if first[same] == task:  # the others come later in the order, and so were here before
            for above in parents[task]:
                tails[above] = max(tails[above], costs[above] + longest[same])
    return tails
