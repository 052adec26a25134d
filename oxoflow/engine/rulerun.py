"""Run the jobs of a plan: hand them to the scheduler, count their ends, stop when it is time.

Owns the failure policy of a run (spec/oxoflow-format.md 5.7) and what words from outside do to it.
Everything here happens in the thread of the main loop, except `work`, which only reads.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from oxoflow.engine.capacity import demand
from oxoflow.engine.disk import free_megabytes
from oxoflow.engine.ending import Receipt, end_run
from oxoflow.engine.joblife import JobEnd
from oxoflow.engine.longwaits import LongWaits
from oxoflow.engine.options import Counts
from oxoflow.engine.parts import Parts
from oxoflow.engine.render import declared_memory
from oxoflow.engine.rundir import ControlMessage
from oxoflow.engine.scheduler import Capacity, Scheduler, Status
from oxoflow.engine.tasks import Tasks
from oxoflow.errors import DiskTrouble
from oxoflow.lang.model import Job

_DISK_LOOK_SECONDS = 1.0


class Setting(Struct, frozen=True):
    """What a rule run is told about the run around it."""

    run_id: str
    root: Path
    keep_going: bool
    disk_reserve_mb: int
    stopping: threading.Event
    hurry: Callable[[], bool]


class RuleRun:
    """The handler of the main loop for rules."""

    def __init__(
        self,
        tasks: Tasks,
        scheduler: Scheduler,
        capacity: Capacity,
        parts: Parts,
        setting: Setting,
    ) -> None:
        self._items = tasks.items
        self._task_of = {d.index: at for at, item in enumerate(tasks.items) for d in item.decisions}
        self._parents = tasks.parents
        self._scheduler = scheduler
        self._capacity = capacity
        self._jobs = parts.jobs
        self._table = parts.table
        self._reporter = parts.reporter
        self._setting = setting
        self._waits = LongWaits(
            scheduler,
            lambda task: tasks.items[task].decision.job.name,
            lambda words: parts.recorder.event("warning", message=words),
        )
        self._user_paused = False
        self._share: int | None = None  # slots that are to be kept to, until that is told
        self._disk_low = False
        self._next_disk_look = 0.0
        self._tally: Counter[str] = Counter()
        self.failures: list[tuple[str, str]] = []
        self.required_failures: list[str] = []
        self.blocked: list[str] = []
        self.cancelled: int | None = None  # the exit code
        self.error: BaseException | None = None
        self.receipt = Receipt()

    @property
    def counts(self) -> Counts:
        """How many jobs ended how."""
        return Counts(**self._tally)

    @property
    def not_done(self) -> list[str]:
        """The jobs that failed, and those that could not run for it."""
        return [*(job for job, _ in self.failures), *self.blocked]

    def abandon(self) -> None:
        """The loop is over: jobs that were to go on never will."""
        self._tally["interrupted"] += self._jobs.abandon()

    def work(self, task: int) -> JobEnd:
        """Run one job, in a worker thread."""
        item = self._items[task]
        if item.others:
            return self._jobs.run_together(item)
        decision = item.decision
        first = decision if item.ready else None
        return self._jobs.run(decision.index, first, item.memory_mb, item.problem)

    def ended(self, end: JobEnd) -> None:
        task = self._task_of[end.index]
        now = time.monotonic()
        job = self._items[task].decision.job
        if end.grow_mb is not None and self._setting.stopping.is_set():
            end = replace(end, interrupted=True)
        elif end.grow_mb is not None:
            self._grow(task, job, end.grow_mb)
            return
        if end.others:
            job = self._count_together(task, end)
        else:
            self._count(job, end, job.rule.required)
        for blocked, _ in self._scheduler.finish(task, end.status, now):
            if not end.interrupted:
                self._block(blocked)
        self._tell_share()
        required = job.rule.required and not end.interrupted
        if end.status is Status.FAILED and required and not self._setting.keep_going:
            self._stop()

    def _grow(self, task: int, job: Job, wanted_mb: int) -> None:
        """Let a job wait for more memory, for as much as there is."""
        declared = declared_memory(job.rule) or 0
        had = self._items[task].memory_mb or declared
        granted = min(wanted_mb, max(declared, self._capacity.memory_mb))
        wanted = demand(job, self._capacity, wanted_mb)
        if wanted.warning is not None and had < granted < wanted_mb:
            self._reporter.recorder.event("warning", job=job.name, message=wanted.warning)
        self._items[task].memory_mb = granted
        self._scheduler.requeue(task, wanted.need, time.monotonic())

    def cancel(self, exit_code: int) -> None:
        if self.cancelled is None:
            self.cancelled = exit_code
            self._reporter.recorder.event("run_cancelling", exit_code=exit_code)
            self._stop()

    def message(self, message: ControlMessage) -> None:
        if message.type == "cancel":
            self.cancel(143)
        elif message.type == "pause" and not self._user_paused:
            self._user_paused = True
            self._reporter.recorder.event("run_paused")
        elif message.type == "resume" and self._user_paused:
            self._user_paused = False
            self._reporter.recorder.event("run_resumed")
        elif message.type == "share":
            self._take_share(message.body.get("slots"))

    def _take_share(self, slots: object) -> None:
        """Use so many slots from now on, out of those the run was started with."""
        if type(slots) is int and slots > 0:
            self._share = slots
            self._scheduler.withheld = max(0, self._capacity.slots - slots)
            self._tell_share()

    def _tell_share(self) -> None:
        """Say that no more slots than wanted are held; the rest may be used by others."""
        if self._share is not None and self._scheduler.taken <= self._share:
            self._reporter.recorder.event("run_share", slots=self._share)
            self._share = None

    def broke(self, error: BaseException, task: int | None) -> None:
        if self.error is None:
            self.error = error
        if task is not None:
            self._scheduler.finish(task, Status.FAILED, time.monotonic())
        self._stop()

    def may_start(self) -> bool:
        self._waits.look(time.monotonic())
        try:
            return not self._user_paused and self._has_room()
        except DiskTrouble as error:  # what runs must be ended before the run can say so
            self.broke(error, None)
            return False

    def _has_room(self) -> bool:
        """Hold everything back while the disk is nearly full, and say so once."""
        reserve, now = self._setting.disk_reserve_mb, time.monotonic()
        if reserve <= 0 or now < self._next_disk_look:
            return not self._disk_low
        self._next_disk_look = now + _DISK_LOOK_SECONDS
        free = free_megabytes(self._setting.root)
        if (free < reserve) is not self._disk_low:
            self._disk_low = free < reserve
            words = (
                f"only {free} MB free, the reserve is {reserve} MB: nothing new starts until "
                "there is room"
                if self._disk_low
                else f"{free} MB free: the run goes on"
            )
            self._reporter.recorder.event("warning", message=words)
        return not self._disk_low

    def _count_together(self, task: int, end: JobEnd) -> Job:
        """Count jobs that pipes join, which fail for what the first did; gives the first."""
        jobs = {decision.index: decision.job for decision in self._items[task].decisions}
        for each in (end, *end.others):
            self._count(jobs[each.index], each, jobs[end.index].rule.required)
        return jobs[end.index]

    def _count(self, job: Job, end: JobEnd, required: bool) -> None:
        if end.status is Status.SUCCESS:
            self._tally["succeeded"] += 1
        elif end.status is Status.SKIPPED:
            self._tally["skipped"] += 1
        elif end.interrupted:
            self._tally["interrupted"] += end.begun
        else:
            self.failures.append((job.name, end.error or ""))
            self._tally["failed" if required else "non_required_failed"] += 1
            if required:
                self.required_failures.append(job.name)

    def _block(self, task: int) -> None:
        parents = self._jobs.tools.planner.dag.parents
        for decision in self._items[task].decisions:
            self.block(decision.job, self._cause(task, parents[decision.index]))

    def _cause(self, task: int, parents: Sequence[int]) -> str:
        """Name what spoilt a task; of jobs that run together, one that is above this very job."""
        spoilt = (Status.FAILED, Status.BLOCKED)
        above = next(at for at in self._parents[task] if self._scheduler.status(at) in spoilt)
        first, *others = self._items[above].decisions
        return next((each for each in others if each.index in parents), first).job.name

    def block(self, job: Job, cause: str) -> None:
        """Give a job up for what became of one above it."""
        self.blocked.append(job.name)
        self._tally["blocked"] += 1
        self._reporter.blocked(job, f"blocked by failed dependency '{cause}'")

    def _stop(self) -> None:
        """Start nothing more, and end what runs; the loop goes on until all have reported."""
        if self._setting.stopping.is_set():
            return
        self._setting.stopping.set()
        self._scheduler.stop()
        if self._scheduler.running:
            setting = self._setting
            self.receipt = end_run(self._table, setting.run_id, hurry=setting.hurry)
