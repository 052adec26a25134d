"""Find out what a run may use, and what each job takes of it.

Owns the pools' sizes and the clamping of demands (spec/oxoflow-format.md 1.17, 5.6). Reads the
machine's figures; starts nothing.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from oxoflow.engine.disk import free_megabytes
from oxoflow.engine.render import declared_memory, declared_threads
from oxoflow.engine.scheduler import Capacity, Need
from oxoflow.errors import BudgetTooSmall
from oxoflow.lang.model import Job, Workflow
from oxoflow.lang.values import parse_memory

_UNKNOWN_MB = 8192
_LITTLE_DISK_MB = 1024


class Limits(Struct, frozen=True):
    """What the caller allows: tasks at once, and explicit pools that no rule may exceed."""

    slots: int = 1
    max_threads: int | None = None
    max_memory_mb: int | None = None


class Demand(Struct, frozen=True):
    """What a job takes; `problem` says why it can never have it, `warning` what was cut."""

    need: Need
    problem: str | None = None
    warning: str | None = None


def find_capacity(workflow: Workflow, limits: Limits) -> Capacity:
    """The pools of a run: explicit limits, else the workflow's budget within the machine."""
    threads, memory = machine_threads(), machine_memory_mb()
    budget = workflow.budget
    if budget.max_threads:
        threads = min(threads, budget.max_threads)
    if budget.max_memory:
        memory = min(memory, parse_memory(budget.max_memory))
    slots = max(1, limits.slots)
    if budget.max_jobs:
        slots = min(slots, budget.max_jobs)
    return Capacity(
        slots=slots,
        threads=max(1, limits.max_threads or threads),
        memory_mb=max(1, limits.max_memory_mb or memory),
        groups={name: group.max for name, group in workflow.resource_groups.items()},
    )


def machine_threads() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0))


def machine_memory_mb() -> int:
    """Memory and swap of the machine, or of our control group if that is less."""
    figures: dict[str, int] = {}
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            for line in lines:
                name, _, rest = line.partition(":")
                figures[name] = int(rest.split()[0])
    except (OSError, ValueError, IndexError):
        return _UNKNOWN_MB
    whole = (figures.get("MemTotal", 0) + figures.get("SwapTotal", 0)) // 1024
    return min(whole or _UNKNOWN_MB, _group_limit_mb() or whole)


def _group_limit_mb() -> int | None:
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with open(path, encoding="ascii") as handle:
                text = handle.read().strip()
        except OSError:
            continue
        if text.isdigit():
            return int(text) // 1_048_576
    return None


def check_budget(jobs: Sequence[Job], limits: Limits) -> None:
    """Refuse a run before it starts when a job exceeds an explicit limit (fact 59)."""
    for job in jobs:
        threads, memory = declared_threads(job.rule), declared_memory(job.rule) or 0
        if limits.max_threads is not None and threads > limits.max_threads:
            raise BudgetTooSmall(
                f"resource budget too small: rule '{job.rule.name}' needs {threads} threads, "
                f"--max-threads allows {limits.max_threads}; raise it or lower the rule's threads"
            )
        if limits.max_memory_mb is not None and memory > limits.max_memory_mb:
            raise BudgetTooSmall(
                f"resource budget too small: rule '{job.rule.name}' needs {memory} MB, "
                f"--max-memory allows {limits.max_memory_mb}; raise it or lower the rule's memory"
            )


def demand(job: Job, capacity: Capacity, memory_mb: int | None = None) -> Demand:
    """What a job takes from the pools, cut to what there is; `memory_mb` replaces its own."""
    threads = declared_threads(job.rule)
    memory = memory_mb if memory_mb is not None else declared_memory(job.rule) or 0
    groups = job.rule.resources.groups
    problem = _group_problem(job, groups, capacity)
    if problem is not None:
        return Demand(Need(threads=0), problem)
    need = Need(
        min(threads, capacity.threads),
        min(memory, capacity.memory_mb),
        tuple(sorted((name, units) for name, units in groups.items() if units > 0)),
    )
    cut = []
    if threads > capacity.threads:
        cut.append(f"{threads} threads, there are {capacity.threads}")
    if memory > capacity.memory_mb:
        cut.append(f"{memory} MB, there are {capacity.memory_mb}")
    if not cut:
        return Demand(need)
    asks = f"rule '{job.rule.name}' asks for {' and '.join(cut)}"
    return Demand(need, warning=f"{asks}; its jobs run alone with what there is")


def joint_demand(jobs: Sequence[Job], capacity: Capacity) -> Demand:
    """What jobs take that run at the same time, joined by pipes; cut like a single job's."""
    each = [demand(job, capacity) for job in jobs]
    problem = next((found.problem for found in each if found.problem), None)
    units: dict[str, int] = {}
    for found in each:
        for group, wanted in found.need.groups:
            units[group] = units.get(group, 0) + wanted
    names = " and ".join(f"'{name}'" for name in dict.fromkeys(job.rule.name for job in jobs))
    for group, wanted in units.items():
        if problem is None and wanted > capacity.groups[group]:
            problem = (
                f"rules {names} run together, joined by a pipe, and need {wanted} of resource "
                f"group '{group}', which has {capacity.groups[group]}; raise its max"
            )
    if problem is not None:
        return Demand(Need(threads=0), problem)
    threads = sum(found.need.threads for found in each)
    memory = sum(found.need.memory_mb for found in each)
    need = Need(
        min(threads, capacity.threads),
        min(memory, capacity.memory_mb),
        tuple(sorted(units.items())),
        min(len(jobs), capacity.slots),
    )
    cut = [
        f"{wanted} {word}, there are {there}"
        for wanted, word, there in (
            (threads, "threads", capacity.threads),
            (memory, "MB", capacity.memory_mb),
            (len(jobs), "jobs at once", capacity.slots),
        )
        if wanted > there
    ]
    if not cut:
        return Demand(need)
    asks = f"rules {names}, which a pipe joins, ask for {' and '.join(cut)}"
    return Demand(need, warning=f"{asks}; they run together all the same, with nothing beside them")


def usual_width(jobs: Sequence[Job], capacity: Capacity) -> int:
    """How many jobs run at once on the average while the scarcest pool is in full use."""
    counts = Counter(id(job.rule) for job in jobs)
    threads = memory = 0
    units: Counter[str] = Counter()
    for job in {id(job.rule): job for job in jobs}.values():
        need, count = demand(job, capacity).need, counts[id(job.rule)]
        threads += need.threads * count
        memory += need.memory_mb * count
        units.update({name: taken * count for name, taken in need.groups})
    shares = [len(jobs) / capacity.slots, threads / capacity.threads, memory / capacity.memory_mb]
    shares += [taken / capacity.groups[name] for name, taken in units.items()]
    return max(1, round(len(jobs) / max(shares))) if jobs else capacity.slots


def host_warnings(jobs: Sequence[Job], root: Path, temporary: Path) -> list[str]:
    """What rules ask for that is not counted here, and disks that are nearly full (5.6)."""
    free = free_megabytes(root)
    found = [
        f"less than {_LITTLE_DISK_MB} MB are free in '{place}'; the run may end for want of space"
        for place in (root, temporary)
        if place.is_dir() and free_megabytes(place) < _LITTLE_DISK_MB
    ]
    for rule in {id(job.rule): job.rule for job in jobs}.values():
        wanted = rule.resources
        if wanted.gpu or wanted.gpu_spec is not None:
            found.append(f"rule '{rule.name}' asks for a GPU; on this machine they are not counted")
        disk = _megabytes(wanted.disk)
        if disk > free:
            found.append(f"rule '{rule.name}' asks for {disk} MB of disk, {free} MB are free")
    return found


def _megabytes(text: str | None) -> int:
    try:
        return parse_memory(text) if text else 0
    except ValueError:
        return 0  # a finding of validate


def _group_problem(job: Job, groups: Mapping[str, int], capacity: Capacity) -> str | None:
    for name, units in groups.items():
        if name not in capacity.groups:
            return (
                f"rule '{job.rule.name}' uses resource group '{name}', which is not declared; add "
                f"[resource_groups.{name}] with max"
            )
        if units > capacity.groups[name]:
            return (
                f"rule '{job.rule.name}' needs {units} of resource group '{name}', which has "
                f"{capacity.groups[name]}; raise its max"
            )
    return None
