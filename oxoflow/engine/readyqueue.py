"""Keep ready tasks in the order in which they should start.

Owns that order and nothing else; the scheduler knows pools and states. Declared priority comes
first, higher before lower; then the longer path of work behind the task; then first come, first
served. Every `ageing_seconds` of waiting raise a task by one point, at most to the highest priority
declared, so that nothing waits for ever behind a stream of favourites.

A task that waits for a unit of a named group lets tasks pass that want none of its groups; those
that want one stay behind it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping

from msgspec import Struct

Groups = tuple[tuple[str, int], ...]
_Entry = tuple[float, float, int, int]  # points and weight (both negated), arrival, index
_NO_LANES_BUT_PLAIN = frozenset([()])  # the one lane, of tasks that want no group


class _Waiting(Struct, frozen=True):
    """A ready task: what orders it, and since when it waits."""

    priority: int
    weight: float
    groups: Groups
    since: float
    arrival: int


class ReadyQueue:
    """One heap for each set of groups wanted, so that a choice costs no walk over all tasks."""

    def __init__(self, ageing_seconds: float) -> None:
        self._ageing = ageing_seconds
        self._lanes: dict[tuple[str, ...], list[_Entry]] = {}
        self._waiting: dict[int, _Waiting] = {}
        self._first: int | None = None
        self._arrivals = 0
        self._tick = 0
        self._lowest: int | None = None
        self._highest = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def declare(self, priorities: Iterable[int]) -> None:
        """Learn the range of priorities, the ceiling of ageing."""
        for priority in priorities:
            if self._lowest is None:
                self._lowest = self._highest = priority
            self._lowest = min(self._lowest, priority)
            self._highest = max(self._highest, priority)

    def put(self, index: int, priority: int, weight: float, groups: Groups, now: float) -> None:
        """Add a task behind its equals."""
        self._arrivals += 1
        self._waiting[index] = _Waiting(priority, weight, groups, now, self._arrivals)
        self._push(index, now)

    def drop(self, index: int) -> None:
        """Take a task out; its entry in a heap is passed over later."""
        del self._waiting[index]
        if self._first == index:
            self._first = None

    @property
    def kept(self) -> tuple[int, float] | None:
        """The task that was first and did not fit, and since when it is ready."""
        return None if self._first is None else (self._first, self._waiting[self._first].since)

    def keep_first(self, index: int) -> None:
        """Nobody overtakes this task any more: it was first and did not fit."""
        self._first = index

    def first(self, now: float, free_groups: Mapping[str, int]) -> int | None:
        """The next task whose groups have units, left in the queue; None when there is none."""
        if self._first is not None:
            return self._first
        self._age(now)
        if self._lanes.keys() == _NO_LANES_BUT_PLAIN:
            plain = self._lanes[()]
            return plain[0][3] if self._trim(plain) else None
        heads = [(heap[0], lane) for lane, heap in self._lanes.items() if self._trim(heap)]
        claimed: set[str] = set()
        for head, lane in sorted(heads):
            wanted = self._waiting[head[3]].groups
            if claimed.isdisjoint(lane) and all(n <= free_groups[name] for name, n in wanted):
                return head[3]
            claimed.update(lane)
        return None

    def _push(self, index: int, now: float) -> None:
        waiting = self._waiting[index]
        points = waiting.priority
        if self._highest != self._lowest:
            points = min(self._highest, points + int((now - waiting.since) / self._ageing))
        lane = tuple(sorted([name for name, _ in waiting.groups])) if waiting.groups else ()
        entry = (-points, -waiting.weight, waiting.arrival, index)
        heapq.heappush(self._lanes.setdefault(lane, []), entry)

    def _trim(self, heap: list[_Entry]) -> bool:
        """Remove the entries of tasks that left or came anew; False when none remains."""
        while heap:
            entry = heap[0]
            known = self._waiting.get(entry[3])
            if known is not None and known.arrival == entry[2]:
                return True
            heapq.heappop(heap)
        return False

    def _age(self, now: float) -> None:
        tick = int(now / self._ageing)
        if tick == self._tick or self._highest == self._lowest:
            return
        self._tick = tick
        self._lanes.clear()
        for index in self._waiting:
            self._push(index, now)
