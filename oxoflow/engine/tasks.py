"""Turn a plan's decisions into tasks for the scheduler: needs, edges, and what is urgent.

Owns the numbering of tasks and the estimate of the work behind each. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from oxoflow.engine.capacity import demand
from oxoflow.engine.dag import Dag
from oxoflow.engine.deciding import Decision, Verdict
from oxoflow.engine.records import Record
from oxoflow.engine.scheduler import Capacity, Task
from oxoflow.lang.model import Job
from oxoflow.record import dataclass


def needs_work(decision: Decision) -> bool:
    """True for a job that must be run, checked, refused or adopted."""
    return decision.verdict is not Verdict.SKIP or decision.adopt


@dataclass(slots=True)
class Item:
    """One task: the job's decision so far, and what a worker must know besides."""

    decision: Decision
    ready: bool  # the decision stands: no job above it could change it
    problem: str | None = None
    memory_mb: int | None = None


@dataclass(frozen=True, slots=True)
class Tasks:
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
) -> Tasks:
    """Number the jobs that need work, in their order; what is not among them is satisfied."""
    number = {decision.index: task for task, decision in enumerate(chosen)}
    parents = tuple(
        tuple(number[above] for above in dag.parents[decision.index] if above in number)
        for decision in chosen
    )
    weights = _tails(parents, _costs([decision.job for decision in chosen], records))
    items, tasks = [], []
    warnings: dict[str, None] = {}
    for task, decision in enumerate(chosen):
        wanted = demand(decision.job, capacity)
        if wanted.warning is not None:
            warnings[wanted.warning] = None
        items.append(Item(decision, ready=not parents[task], problem=wanted.problem))
        tasks.append(Task(wanted.need, decision.job.rule.priority, weights[task]))
    return Tasks(tuple(items), tuple(tasks), parents, tuple(warnings))


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
    for task in range(len(parents) - 1, -1, -1):
        for above in parents[task]:
            tails[above] = max(tails[above], costs[above] + tails[task])
    return tails
