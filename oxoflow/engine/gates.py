"""Let many tasks wait together for the same many others, their edges counted once.

Owns which tasks stand behind one gate: those that were given one and the same tuple of
predecessors. For a sorter a gate is a node of its own, numbered from -1 downwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

MANY = 8  # predecessors from which on a gate is worth it


class _Gate(Struct):
    """What is waited for, and whether one of these failed or was blocked."""

    above: tuple[int, ...]
    spoilt: bool = False


class Gates:
    """The gates among the tasks of one scheduler."""

    def __init__(self) -> None:
        self._gates: list[_Gate] = []
        self._below: dict[int, list[_Gate]] = {}  # of a task that is waited for
        self._above: dict[int, int] = {}  # of a task that waits

    def open(
        self, parents: Sequence[Sequence[int]], first: int, may_share: Callable[[int], bool]
    ) -> None:
        """Put new tasks, numbered from `first`, behind gates, as far as they `may_share` one."""
        alike: dict[int, list[int]] = {}
        for index, group in enumerate(parents, first):
            if len(group) >= MANY and may_share(index):
                alike.setdefault(id(group), []).append(index)
        for waiting in alike.values():
            if len(waiting) > 1:
                gate = _Gate(tuple(dict.fromkeys(parents[waiting[0] - first])))
                self._above.update(dict.fromkeys(waiting, len(self._gates)))
                self._gates.append(gate)
                for above in gate.above:
                    self._below.setdefault(above, []).append(gate)

    def above(self, index: int) -> tuple[int, ...] | None:
        """Give what a task waits for behind its gate; None for a task that has none."""
        number = self._above.get(index)
        return None if number is None else self._gates[number].above

    def node(self, index: int) -> int | None:
        """Give the node of a task's gate."""
        number = self._above.get(index)
        return None if number is None else ~number

    def nodes(self) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Yield the node of each gate with what it waits for."""
        for number, gate in enumerate(self._gates):
            yield ~number, gate.above

    def spoil(self, index: int) -> None:
        """A task failed or was blocked: nothing behind its gates will run."""
        for gate in self._below.get(index, ()):
            gate.spoilt = True

    def is_spoilt(self, index: int) -> bool:
        """Say whether a task stands behind a gate that nothing passes."""
        number = self._above.get(index)
        return number is not None and self._gates[number].spoilt
