"""Sample the memory of running jobs and end those whose time is up.

Owns the rhythm of sampling: dense while a job is young, so that short jobs are seen, sparse later.
Exact figures at the end of a command come from `process`; here only the sum over a tree is found,
which the kernel does not keep.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from msgspec import Struct

from oxoflow.engine.ending import JOB_MARKER
from oxoflow.engine.process import Child, ProcessTable, children_of, own_children
from oxoflow.engine.trees import marked_with
from oxoflow.errors import RunError

TICK = 0.025
_REST = 0.2  # between looks when all jobs are old
_PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024


class Duty(Struct, eq=False):
    """Something to do every `period` seconds while jobs run, and once more at the end."""

    period: float
    perform: Callable[[], object]
    last: float = 0.0
    failed: bool = False


class Meter:
    """One thread that looks at live jobs, does its duties, and sleeps while nothing lives.

    `note` is told name, pid and start time of a command that lives long enough to be looked at;
    `expire` is called for one whose time is up; `report` takes what goes wrong in a duty, which is
    then not done again.
    """

    def __init__(
        self,
        table: ProcessTable,
        note: Callable[[str, int, int], None],
        expire: Callable[[Child], None],
        report: Callable[[RunError], None],
        duties: tuple[Duty, ...] = (),
    ) -> None:
        self._table = table
        self._note = note
        self._expire = expire
        self._report = report
        self._duties = duties
        self._wake = threading.Event()
        self._resting = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="meter", daemon=True)
        self._thread.start()

    def job_started(self) -> None:
        """A command was started: look soon."""
        if self._resting:
            self._wake.set()

    def close(self) -> None:
        """Stop looking; every duty is done once more."""
        self._closed = True
        self._wake.set()
        self._thread.join()
        self._perform(time.monotonic(), all_now=True)

    def _run(self) -> None:
        was_idle = False
        while not self._closed:
            self._wake.clear()
            self._resting = True  # before the look: whoever starts after it must wake us
            now = time.monotonic()
            live = self._table.live()
            due = [child for child in live if not self._is_over(child, now) and _is_due(child, now)]
            if due:
                self._measure(due, live, now)
            self._perform(now, all_now=not live and not was_idle)
            pause = _pause(live, time.monotonic())
            self._resting = pause is None or pause > TICK
            if self._resting or not self._wake.is_set():
                self._wake.wait(pause)
            was_idle = not live

    def _perform(self, now: float, all_now: bool = False) -> None:
        for duty in self._duties:
            if (all_now or now - duty.last >= duty.period) and not duty.failed:
                duty.last = now
                try:
                    duty.perform()
                except RunError as error:
                    duty.failed = True
                    self._report(error)

    def _is_over(self, child: Child, now: float) -> bool:
        """Say whether a command's time is just up, and have it ended."""
        if child.deadline is None or now < child.deadline or child.timed_out:
            return False
        child.timed_out = True
        self._expire(child)
        return True

    def _measure(self, due: list[Child], live: list[Child], now: float) -> None:
        detached = self._detached(live)
        for child in due:
            if not child.start_time:
                self._introduce(child)
            child.sampled = now
            roots = (child.pid, *detached.get(child.token, ()))
            child.peak_kb = max(child.peak_kb, sum(map(tree_kilobytes, roots)))

    def _detached(self, live: list[Child]) -> dict[str, list[int]]:
        """The processes that left the trees of commands and came to us, by whose they are."""
        found: dict[str, list[int]] = {}
        commands = self._table.strangers.union(child.pid for child in live)
        for pid in set(own_children()) - commands:
            token = marked_with(pid, JOB_MARKER)
            if token is not None:
                found.setdefault(token, []).append(pid)
        return found

    def _introduce(self, child: Child) -> None:
        self._table.identify(child)
        if child.start_time:
            try:
                self._note(child.name, child.pid, child.start_time)
            except RunError as error:
                self._report(error)


def _is_due(child: Child, now: float) -> bool:
    age = now - child.started
    return age >= TICK and now - child.sampled >= min(1.0, age / 10)


def _pause(live: list[Child], now: float) -> float | None:
    """Seconds until the next look; None is until a job starts."""
    if not live:
        return None
    youngest = now - max(child.started for child in live)
    pause = TICK if youngest < 1.0 else _REST
    deadlines = [c.deadline for c in live if c.deadline is not None and not c.timed_out]
    return max(0.001, min([pause, *(deadline - now for deadline in deadlines)]))


def tree_kilobytes(pid: int) -> int:
    """Resident memory of a process and everything below it; shared pages count for each."""
    total = 0
    waiting = [pid]
    while waiting:
        here = waiting.pop()
        total += _resident_kilobytes(here)
        waiting += children_of(here)
    return total


def _resident_kilobytes(pid: int) -> int:
    try:
        descriptor = os.open(f"/proc/{pid}/statm", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        fields = os.read(descriptor, 128).split()
    except OSError:
        return 0
    finally:
        os.close(descriptor)
    return int(fields[1]) * _PAGE_KB if len(fields) > 1 else 0
