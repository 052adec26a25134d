"""Decide which task may start next: a pure state machine over graphlib.TopologicalSorter.

Owns readiness, order and the pools (spec/oxoflow-format.md 5.6). It starts nothing, reads no
clock and no disk: time comes in as an argument, and the caller reports how tasks end. Rules use
it with join ALL; OxiFY nodes with ANY_ACTIVE and guarded edges.

Pools are handed out all or nothing, in the order of `readyqueue`. A task that is first but does not
fit keeps its place and stops everybody behind it, else a large task would starve behind small ones.

Where all tasks have one and the same need, some may be handed out `ahead`, to lie ready for whoever
ends next: with tasks of a few milliseconds, waiting for the next one costs a tenth of the time. The
caller then bounds by `width` how many run at once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from graphlib import TopologicalSorter

from msgspec import Struct, field
from msgspec.structs import replace

from oxoflow.engine.gates import Gates
from oxoflow.engine.readyqueue import ReadyQueue


class Join(Enum):
    """What a task asks of its predecessors."""

    ALL = "all"  # every one succeeded or was skipped
    ANY_ACTIVE = "any_active"  # all are decided and at least one edge in was taken


class Status(Enum):
    """Where a task stands; the last four are final."""

    PENDING = "pending"  # predecessors undecided
    READY = "ready"  # may start when the pools allow
    RUNNING = "running"  # holds a slot and its share of the pools
    PARKED = "parked"  # started, waits for somebody, holds nothing
    SUCCESS = "success"
    SKIPPED = "skipped"  # nothing to do; satisfies its successors
    FAILED = "failed"
    BLOCKED = "blocked"  # never ran, since a predecessor failed


# a tuple: looking a member up in a set costs a call of `Enum.__hash__`
FINAL = (Status.SUCCESS, Status.SKIPPED, Status.FAILED, Status.BLOCKED)
_SPOILING = (Status.FAILED, Status.BLOCKED)


class Need(Struct, frozen=True):
    """What a task takes from the pools while it runs; memory in MB. `slots`: jobs at once in it."""

    threads: int = 1
    memory_mb: int = 0
    groups: tuple[tuple[str, int], ...] = ()
    slots: int = 1


class Capacity(Struct, frozen=True):
    """What there is to share: tasks at once, threads, memory in MB, units of named groups."""

    slots: int
    threads: int
    memory_mb: int
    groups: Mapping[str, int] = field(default_factory=dict)


class Task(Struct, frozen=True):
    """One unit of work; `weight` is the longest path of work from here to an end."""

    need: Need = Need()
    priority: int = 0
    weight: float = 0.0
    join: Join = Join.ALL


class Scheduler:
    """Tasks are numbered from 0 in the order given; `parents[i]` are the predecessors of task i."""

    def __init__(
        self,
        tasks: Sequence[Task],
        parents: Sequence[Sequence[int]],
        capacity: Capacity,
        *,
        now: float = 0.0,
        ageing_seconds: float = 60.0,
    ) -> None:
        self._capacity = capacity
        self._free_slots = capacity.slots
        self._free_threads = capacity.threads
        self._free_memory = capacity.memory_mb
        self._free_groups = dict(capacity.groups)
        self._tasks: list[Task] = []
        self._status: list[Status] = []
        self._parents: list[tuple[int, ...]] = []
        self._children: list[list[int]] = []
        self._spoilt: set[int] = set()  # a predecessor failed or was blocked
        self._reached: set[int] = set()  # an edge in was taken
        self._gates = Gates()
        self._queue = ReadyQueue(ageing_seconds)
        self._sorter: TopologicalSorter[int] = TopologicalSorter()
        self._unfinished = 0
        self._running = 0
        self._parked = 0
        self._stopped = False
        self._one_need: Need | None = None  # of all tasks, if it is the same
        self.paused = False
        self.ahead = 0  # how many tasks more than fit may be handed out
        self.withheld = 0  # slots lent to somebody else; one task may always run
        self.extend(tasks, parents, now=now)

    def extend(
        self, tasks: Sequence[Task], parents: Sequence[Sequence[int]], *, now: float = 0.0
    ) -> None:
        """Add tasks; numbering goes on. They may hang below old tasks, finished or not.

        Raises ValueError for a task that can never fit, graphlib.CycleError for a cycle.
        """
        for task in tasks:
            if not self._ever_fits(task.need):
                raise ValueError(f"a task needs more than there is: {task.need}")
        first = len(self._tasks)
        self._tasks.extend(tasks)
        needs = {task.need for task in self._tasks}
        self._one_need = needs.pop() if len(needs) == 1 else None
        self._status.extend([Status.PENDING] * len(tasks))
        self._children.extend([] for _ in tasks)
        self._unfinished += len(tasks)
        self._gates.open(parents, first, lambda index: self._tasks[index].join is Join.ALL)
        for index, group in enumerate(parents, first):
            gated = self._gates.above(index)
            self._parents.append(tuple(dict.fromkeys(group)) if gated is None else gated)
            for parent in self._parents[index] if gated is None else ():
                self._children[parent].append(index)
                if self._status[parent] in FINAL:
                    self._tell(parent, index, self._status[parent], taken=True)
        for index, status in enumerate(self._status):
            if status in _SPOILING:
                self._gates.spoil(index)
        self._sorter = self._sort_unfinished()
        self._queue.declare(task.priority for task in tasks)
        self._absorb(now)

    def _sort_unfinished(self) -> TopologicalSorter[int]:
        """A sorter can take no nodes once it is in use, so each extension makes a new one."""
        sorter: TopologicalSorter[int] = TopologicalSorter()
        status = self._status
        for node, above in self._gates.nodes():
            sorter.add(node, *(p for p in above if status[p] not in FINAL))
        for index, parents in enumerate(self._parents):
            if status[index] in FINAL:
                continue
            gate = self._gates.node(index)
            if gate is not None:
                sorter.add(index, gate)
            else:
                sorter.add(index, *(p for p in parents if status[p] not in FINAL))
        sorter.prepare()
        return sorter

    def start(self, now: float) -> list[int]:
        """Take what fits from the ready tasks; each must be reported by `finish` or `park`."""
        started: list[int] = []
        alike = self._one_need
        ahead = self.ahead if alike is not None and not alike.groups and alike.slots == 1 else 0
        if self.withheld:
            ahead = 0
        while (free := self._own_slots() + ahead) > 0 and not (self.paused or self._stopped):
            index = self._queue.first(now, self._free_groups)
            if index is None:
                break
            need = self._tasks[index].need
            if (
                need.slots > free
                or need.threads > self._free_threads + ahead * need.threads
                or need.memory_mb > self._free_memory + ahead * need.memory_mb
            ):
                self._queue.keep_first(index)
                break
            self._queue.drop(index)
            self._hold(need, 1)
            self._status[index] = Status.RUNNING
            self._running += 1
            started.append(index)
        return started

    def finish(
        self, index: int, status: Status, now: float, taken: Collection[int] | None = None
    ) -> list[tuple[int, Status]]:
        """Report how a task ended; returns the tasks that are thereby decided without running.

        `taken` names the successors whose edge was active after a success; None is all of them.
        """
        if status not in FINAL or self._status[index] in FINAL:
            raise ValueError(f"task {index} cannot go from {self._status[index]} to {status}")
        self._leave(index)
        self._settle(index, status, taken)
        return self._absorb(now)

    def park(self, index: int) -> None:
        """A running task waits for somebody from outside: give its slot and pools to others."""
        if self._status[index] is not Status.RUNNING:
            raise ValueError(f"task {index} is {self._status[index]}, not running")
        self._leave(index)
        self._status[index] = Status.PARKED
        self._parked += 1

    def unpark(self, index: int, now: float) -> None:
        """The wait is over: the task queues for a slot again."""
        if self._status[index] is not Status.PARKED:
            raise ValueError(f"task {index} is {self._status[index]}, not parked")
        self._parked -= 1
        self._make_ready(index, now)

    def requeue(self, index: int, need: Need, now: float) -> None:
        """A running task wants to start again with another need."""
        if self._status[index] is not Status.RUNNING or not self._ever_fits(need):
            raise ValueError(f"task {index}, {self._status[index]}, cannot start again with {need}")
        self._leave(index)
        self._tasks[index] = replace(self._tasks[index], need=need)
        if need != self._one_need:
            self._one_need = None
        self._make_ready(index, now)

    def stop(self) -> None:
        """Start nothing more; what runs is still to be reported."""
        self._stopped = True

    @property
    def width(self) -> int:
        """How many tasks may run at once; below the slots only where all tasks are alike."""
        width = self._capacity.slots
        if self._one_need is not None:
            need, capacity = self._one_need, self._capacity
            width = max(1, width // need.slots)
            if need.threads:
                width = min(width, capacity.threads // need.threads)
            if need.memory_mb:
                width = min(width, capacity.memory_mb // need.memory_mb)
        return width

    @property
    def taken(self) -> int:
        """How many slots are held."""
        return self._capacity.slots - self._free_slots

    @property
    def running(self) -> int:
        """How many tasks hold a slot."""
        return self._running

    @property
    def stopped(self) -> bool:
        """Nothing more is started."""
        return self._stopped

    @property
    def finished(self) -> bool:
        """Nothing is left to do, or nothing will be started and nothing runs."""
        return self._unfinished == 0 or (self._stopped and self._running == 0)

    def status(self, index: int) -> Status:
        """Where a task stands."""
        return self._status[index]

    def held_up(self) -> tuple[int, float] | None:
        """The task whose turn it is and that does not fit, and since when it is ready."""
        return self._queue.kept

    def holders(self) -> list[int]:
        """The tasks that hold a share of the pools, in order."""
        return [at for at, status in enumerate(self._status) if status is Status.RUNNING]

    def need(self, index: int) -> Need:
        """What a task takes."""
        return self._tasks[index].need

    def unfinished(self) -> list[int]:
        """The tasks that are not final, in order."""
        return [i for i, status in enumerate(self._status) if status not in FINAL]

    def stuck(self) -> list[int]:
        """Tasks that nothing will ever start: empty unless the caller broke the rules."""
        if self._running or self._parked or len(self._queue):
            return []
        return self.unfinished()

    def _own_slots(self) -> int:
        return self._free_slots - (self.withheld if self._running else 0)

    def _ever_fits(self, need: Need) -> bool:
        capacity = self._capacity
        return (
            need.slots <= capacity.slots
            and need.threads <= capacity.threads
            and need.memory_mb <= capacity.memory_mb
            and all(units <= capacity.groups.get(name, 0) for name, units in need.groups)
        )

    def _hold(self, need: Need, sign: int) -> None:
        self._free_slots -= sign * need.slots
        self._free_threads -= sign * need.threads
        self._free_memory -= sign * need.memory_mb
        for name, units in need.groups:
            self._free_groups[name] -= sign * units

    def _leave(self, index: int) -> None:
        status = self._status[index]
        if status is Status.RUNNING:
            self._hold(self._tasks[index].need, -1)
            self._running -= 1
        elif status is Status.PARKED:
            self._parked -= 1
        elif status is Status.READY:
            self._queue.drop(index)

    def _settle(self, index: int, status: Status, taken: Collection[int] | None) -> None:
        self._status[index] = status
        self._unfinished -= 1
        for child in self._children[index]:
            self._tell(index, child, status, taken is None or child in taken)
        if status in _SPOILING:
            self._gates.spoil(index)
        self._sorter.done(index)

    def _tell(self, parent: int, child: int, status: Status, taken: bool) -> None:
        if status in _SPOILING:
            self._spoilt.add(child)
        elif status is Status.SUCCESS and taken:
            self._reached.add(child)

    def _absorb(self, now: float) -> list[tuple[int, Status]]:
        """Queue what has become ready; decide at once what will never run."""
        decided: list[tuple[int, Status]] = []
        while fresh := self._sorter.get_ready():
            for index in fresh:
                if index < 0:
                    self._sorter.done(index)  # a gate: those below it come next
                    continue
                if self._status[index] is not Status.PENDING:
                    continue  # known from before an extension
                verdict = self._judge(index)
                if verdict is None:
                    self._make_ready(index, now)
                else:
                    self._settle(index, verdict, None)
                    decided.append((index, verdict))
        return decided

    def _judge(self, index: int) -> Status | None:
        if self._tasks[index].join is Join.ALL:
            spoilt = index in self._spoilt or self._gates.is_spoilt(index)
            return Status.BLOCKED if spoilt else None
        passed_by = self._parents[index] and index not in self._reached
        return Status.SKIPPED if passed_by else None

    def _make_ready(self, index: int, now: float) -> None:
        self._status[index] = Status.READY
        task = self._tasks[index]
        self._queue.put(index, task.priority, task.weight, task.need.groups, now)
