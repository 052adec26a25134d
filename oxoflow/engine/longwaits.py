"""Say which job has waited long for threads, memory or slots, and who holds them (5.6).

Owns the words, and that each job is told of once. Starts and decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from oxoflow.engine.scheduler import Need, Scheduler

LONG_SECONDS = 60.0
_SHOWN = 5


class LongWaits:
    """Looks at one scheduler; `name` gives a task's job, `tell` takes the words."""

    def __init__(
        self, scheduler: Scheduler, name: Callable[[int], str], tell: Callable[[str], None]
    ) -> None:
        self._scheduler = scheduler
        self._name = name
        self._tell = tell
        self._told: set[int] = set()

    def look(self, now: float) -> None:
        """Tell of the task that is first in the queue and does not fit, if it has waited long."""
        held_up = self._scheduler.held_up()
        if held_up is None:
            return
        task, since = held_up
        if task in self._told or now - since < LONG_SECONDS:
            return
        self._told.add(task)
        holders = self._scheduler.holders()
        shown = [f"'{self._name(at)}' ({_needs(self._scheduler.need(at))})" for at in holders]
        more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
        self._tell(
            f"job '{self._name(task)}' has waited {now - since:.0f} s for "
            f"{_needs(self._scheduler.need(task))}; held by {', '.join(shown[:_SHOWN])}{more}"
        )


def _needs(need: Need) -> str:
    words = [f"{need.threads} thread{'s' * (need.threads != 1)}"]
    if need.memory_mb:
        words.append(f"{need.memory_mb} MB")
    if need.slots > 1:
        words.append(f"{need.slots} slots")
    return ", ".join([*words, *(f"{units} of '{name}'" for name, units in need.groups)])
