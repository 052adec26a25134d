"""Estimate how long a run still takes, from what its jobs took now and in earlier runs.

Owns the range shown to people. With work W left, p slots and a longest chain C, no schedule is
faster than max(C, W/p), and none that keeps its slots busy is slower than W/p + C (1 - 1/p). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from oxoflow.engine.dag import Dag


class Estimator:
    """What is known about durations, by job and by rule. Used by one thread."""

    def __init__(self, dag: Dag, past: Mapping[str, float], slots: int) -> None:
        self._dag = dag
        self._left: set[int] = set()
        self._past = past
        self._slots = max(1, slots)
        self._started: dict[int, float] = {}
        self._rules: dict[str, tuple[float, int]] = {}
        for name, seconds in past.items():
            at = dag.index.get(name)
            if at is not None:
                self._learn(dag.jobs[at].rule.name, seconds)

    def planned(self, jobs: Iterable[str]) -> None:
        """These jobs may run."""
        self._left.update(self._dag.index[job] for job in jobs if job in self._dag.index)

    def started(self, job: str, now: float) -> None:
        """A job began."""
        if job in self._dag.index:
            self._started[self._dag.index[job]] = now

    def ended(self, job: str, seconds: float | None) -> None:
        """A job is over; `seconds` when it ran to a good end."""
        at = self._dag.index.get(job)
        if at is None:
            return
        self._left.discard(at)
        self._started.pop(at, None)
        if seconds is not None:
            self._learn(self._dag.jobs[at].rule.name, seconds)

    def remaining(self, now: float) -> tuple[float, float] | None:
        """Give the least and most seconds left; None while nothing is known."""
        if not self._rules or not self._left:
            return None
        work = 0.0
        chains: dict[int, float] = {}
        longest = 0.0
        before: dict[int, float] = {}  # of a tuple of parents, which many jobs may have
        for at in self._dag.order:
            if at in self._left:
                rest = self._rest(at, now)
                work += rest
                above = self._dag.parents[at]
                if id(above) not in before:
                    before[id(above)] = max((chains.get(up, 0.0) for up in above), default=0.0)
                chains[at] = rest + before[id(above)]
                longest = max(longest, chains[at])
        share = work / self._slots
        return max(longest, share), share + longest * (1 - 1 / self._slots)

    def _rest(self, at: int, now: float) -> float:
        job = self._dag.jobs[at]
        expected = self._past.get(job.name)
        if expected is None:
            total, count = self._rules.get(job.rule.name) or self._overall()
            expected = total / count
        begun = self._started.get(at)
        return expected if begun is None else max(expected - (now - begun), 0.0)

    def _overall(self) -> tuple[float, int]:
        sums = self._rules.values()
        return sum(total for total, _ in sums), sum(count for _, count in sums)

    def _learn(self, rule: str, seconds: float) -> None:
        total, count = self._rules.get(rule, (0.0, 0))
        self._rules[rule] = (total + seconds, count + 1)
