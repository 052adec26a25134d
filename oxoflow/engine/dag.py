"""Join jobs into a directed acyclic graph by their files and `depends_on`.

Owns edges, their order and the search for cycles (spec/oxoflow-format.md 4.1, 4.2). Jobs are known
by their position; names are looked up once. Pure: it sees no disk and decides nothing about runs.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from oxoflow.engine.configtext import NO_CONFIG, ConfigTexts
from oxoflow.engine.cycles import cycle_faults
from oxoflow.engine.matching import OutputIndex, tidy
from oxoflow.errors import Diagnostic, GraphError, Severity
from oxoflow.lang.model import ExecutionGroup, Job
from oxoflow.lang.nearest import most_alike
from oxoflow.limits import DEFAULT, Limits

_Edges = tuple[tuple[int, ...], ...]
_DEEP = "**"
_NOBODY: frozenset[int] = frozenset()
_FEW = 8  # from so many parents or children on, equal ones of several jobs are stored once


class Dag(Struct, frozen=True):
    """Jobs and their edges, by position in `jobs`; `order` is topological.

    Where all jobs of a rule wait for all of another, every one of them has one and the same tuple
    of parents, and of children: who would look at each edge can look at each tuple once.

    Among jobs that could come next, `order` takes the one declared first. `shared_outputs` are
    the concrete paths that several jobs write: legal when their `when` exclude each other.
    `jobless` are the rules that became no job (an empty list, a condition that holds for no
    sample) with the outputs that they would write, `choosy` those whose condition is false for
    some samples or pairs only, or may be. `texts` fill the config into paths.
    """

    jobs: tuple[Job, ...]
    index: Mapping[str, int]
    parents: tuple[tuple[int, ...], ...]
    children: tuple[tuple[int, ...], ...]
    order: tuple[int, ...] = ()
    shared_outputs: tuple[tuple[str, tuple[int, ...]], ...] = ()
    jobless: Mapping[str, tuple[str, ...]] = {}
    choosy: Mapping[str, tuple[str, ...]] = {}
    texts: ConfigTexts = NO_CONFIG

    @property
    def edge_count(self) -> int:
        """The number of edges, each counted once."""
        return sum(map(len, self.parents))


def build_dag(
    jobs: Sequence[Job],
    *,
    execution_groups: Sequence[ExecutionGroup] = (),
    config: Mapping[str, Any] | None = None,
    limits: Limits = DEFAULT,
) -> Dag:
    """Link every job to all producers of its inputs (4.1). Raises GraphError.

    Where `**` at any depth closes a circle, it is read as bash reads it, as one `*`.
    """
    jobs = tuple(jobs)
    index = _index(jobs)
    _require_known_names(jobs, index)
    texts = ConfigTexts(config or {})
    outputs = OutputIndex(
        (tidy(texts.path(path)), at) for at, job in enumerate(jobs) for path in job.output.paths
    )

    def link(*, deep: bool) -> tuple[_Edges, _Edges, tuple[int, ...]]:
        room = _Room(limits.edges)
        parents = _file_parents(jobs, outputs, texts, room, deep=deep)
        _add_sequences(jobs, execution_groups, parents, room)
        frozen = _frozen(parents, _named_parents(jobs, index, room))
        children = _children(frozen)
        return frozen, children, topological_order(frozen, children)

    frozen, children, order = link(deep=True)
    if len(order) < len(jobs) and any(_DEEP in p for job in jobs for p in job.input.paths):
        flat = link(deep=False)
        if len(flat[2]) == len(jobs):
            frozen, children, order = flat
    if len(order) < len(jobs):
        found = tuple(cycle_faults(jobs, frozen, children, order, texts, execution_groups))
        raise GraphError(found[0].message, found)
    shared = tuple((path, tuple(owners)) for path, owners in outputs.shared() if "{" not in path)
    return Dag(jobs, index, frozen, children, order, shared, texts=texts)


class _Room:
    """How many edges may still be made."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._left = most

    def take(self, count: int, job: Job, key: str) -> None:
        """Use up room for edges into a job. Raises GraphError when there is not enough."""
        self._left -= count
        if self._left < 0:
            raise _fault(
                "E006",
                job.rule.name,
                f"the workflow has more than {self._most} edges at job '{job.name}'; let rules "
                "read single files in place of whole directories, and wait for single rules",
                key,
            )


def topological_order(
    parents: Sequence[Sequence[int]], children: Sequence[Sequence[int]]
) -> tuple[int, ...]:
    """Order positions so that parents come first, ties by position; cycles are left out.

    Positions with one and the same children object let these go together, when the last of them
    has come: so the work is not that of all edges where many wait for many.
    """
    leading: dict[int, int] = {}  # how many positions have these children
    waiting = [0] * len(parents)
    for below in children:
        known = leading.get(id(below), 0)
        leading[id(below)] = known + 1
        if not known:
            for child in below:
                waiting[child] += 1
    ready = [at for at, count in enumerate(waiting) if not count]
    order: list[int] = []
    while ready:
        at = heapq.heappop(ready)
        order.append(at)
        below = children[at]
        leading[id(below)] -= 1
        if leading[id(below)]:
            continue
        for child in below:
            waiting[child] -= 1
            if not waiting[child]:
                heapq.heappush(ready, child)
    return tuple(order)


def nearest(name: str, names: Sequence[str]) -> str:
    """Word a suggestion: `; nearest: 'x'`, or nothing when no name is like it."""
    near = most_alike(name, names)
    return f"; nearest: '{near}'" if near else ""


def _fault(code: str, rule: str, message: str, key: str) -> GraphError:
    diagnostic = Diagnostic(Severity.ERROR, code, message, rule=rule, key=key)
    return GraphError(message, (diagnostic,))


def _index(jobs: tuple[Job, ...]) -> dict[str, int]:
    index = {job.name: at for at, job in enumerate(jobs)}
    if len(index) < len(jobs):
        seen: dict[str, Job] = {}
        for job in jobs:
            other = seen.setdefault(job.name, job)
            if other is not job:
                raise _fault("E016", job.rule.name, _duplicate_message(other, job), "name")
    return index


def _duplicate_message(first: Job, second: Job) -> str:
    if first.rule.name == second.rule.name == first.name:
        return f"duplicate rule name '{first.name}'; give each rule a name of its own"
    return (
        f"duplicate rule name '{first.name}': rules '{first.rule.name}' and '{second.rule.name}' "
        "both expand to it; rename one of them or make their wildcard values differ"
    )


def _file_parents(
    jobs: tuple[Job, ...], outputs: OutputIndex, texts: ConfigTexts, room: _Room, *, deep: bool
) -> list[set[int] | None]:
    """Find the producers of every job's inputs; None stands for no parent."""
    parents: list[set[int] | None] = [None] * len(jobs)
    for at, job in enumerate(jobs):
        found: list[int] = []
        for path in job.input.paths:
            path = tidy(texts.path(path))
            if not deep and _DEEP in path:
                path = path.replace(_DEEP, "*")
            if job.input.pattern is not None:
                found += outputs.match_directory(path, texts.path(job.input.pattern))
            else:
                found += outputs.match(path)
        for spec in job.rule.expand_inputs:
            found += outputs.match_shape(tidy(texts.path(spec.pattern)))
        if found:
            unique = set(found)
            unique.discard(at)
            parents[at] = unique
            room.take(len(unique), job, "input")
    return parents


def _require_known_names(jobs: tuple[Job, ...], index: Mapping[str, int]) -> None:
    known_tuples: set[int] = set()  # jobs of one rule name the same
    for job in jobs:
        if id(job.depends_on) in known_tuples:
            continue
        known_tuples.add(id(job.depends_on))
        for name in job.depends_on:
            if name not in index:
                known = sorted({*index, *(other.rule.name for other in jobs)})
                raise _fault(
                    "E007",
                    job.rule.name,
                    f"rule '{job.rule.name}': depends_on names '{name}', which is no rule"
                    f"{nearest(name, known)}; correct the name or remove it",
                    "depends_on",
                )


def _named_parents(
    jobs: tuple[Job, ...], index: Mapping[str, int], room: _Room
) -> list[frozenset[int]]:
    """Give what each job names in `depends_on`; those that name the same have the same set."""
    known: dict[int, frozenset[int]] = {}  # of the tuples of names, which the jobs keep alive
    found: list[frozenset[int]] = []
    for job in jobs:
        names = job.depends_on
        if names:
            room.take(len(names), job, "depends_on")
            if id(names) not in known:
                known[id(names)] = frozenset([index[name] for name in names])
        found.append(known[id(names)] if names else _NOBODY)
    return found


def _frozen(parents: Sequence[set[int] | None], named: Sequence[frozenset[int]]) -> _Edges:
    """Join what jobs read and what they name into sorted tuples, equal ones into one."""
    ready: dict[frozenset[int], tuple[int, ...]] = {}
    same: dict[tuple[int, ...], tuple[int, ...]] = {}
    frozen: list[tuple[int, ...]] = []
    for at, (read, names) in enumerate(zip(parents, named, strict=True)):
        if names and at not in names and (not read or read <= names):
            if names not in ready:
                ready[names] = tuple(sorted(names))
            frozen.append(ready[names])
            continue
        joined = tuple(sorted((read or _NOBODY) | names - {at})) if read or names else ()
        frozen.append(same.setdefault(joined, joined) if len(joined) >= _FEW else joined)
    return tuple(frozen)


def _add_sequences(
    jobs: tuple[Job, ...],
    groups: Sequence[ExecutionGroup],
    parents: list[set[int] | None],
    room: _Room,
) -> None:
    """Let consecutive members of a sequential execution group wait for each other (1.17)."""
    if not any(group.mode == "sequential" for group in groups):
        return
    members: dict[str, list[int]] = {}
    for at, job in enumerate(jobs):
        members.setdefault(job.rule.name, []).append(at)
    for group in groups:
        if group.mode == "sequential":
            present = [members[name] for name in group.rules if name in members]
            for first, second in itertools.pairwise(present):
                for at in second:
                    room.take(len(first), jobs[at], "name")
                    parents[at] = (parents[at] or set()) | (set(first) - {at})


def _children(parents: _Edges) -> _Edges:
    waiting = _waiting_together(parents)
    children: list[list[int] | None] = [None] * len(parents)
    for at, found in enumerate(parents):
        if waiting and id(found) in waiting:
            continue
        for parent in found:
            known = children[parent]
            if known is None:
                children[parent] = [at]
            else:
                known.append(at)
    same = {alike: alike for _, alike in waiting.values()}
    merged: list[tuple[int, ...]] = []
    for at, known in enumerate(children):
        found = tuple(known) if known else ()
        merged.append(same.setdefault(found, found) if len(found) >= _FEW else found)
        children[at] = None
    groups: dict[int, list[tuple[int, ...]]] = {}
    for found, alike in waiting.values():
        for parent in found:
            groups.setdefault(parent, []).append(alike)
    for parent, several in groups.items():
        joined = tuple(sorted(itertools.chain(merged[parent], *several)))
        merged[parent] = same.setdefault(joined, joined)
    return tuple(merged)


def _waiting_together(parents: _Edges) -> dict[int, tuple[tuple[int, ...], tuple[int, ...]]]:
    """Give, by its identity, each tuple of many parents that several jobs have, and these jobs."""
    waiting: dict[int, list[int]] = {}
    for at, found in enumerate(parents):
        if len(found) >= _FEW:
            waiting.setdefault(id(found), []).append(at)
    return {
        key: (parents[alike[0]], tuple(alike)) for key, alike in waiting.items() if len(alike) > 1
    }
