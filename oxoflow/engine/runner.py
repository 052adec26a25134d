"""Run a workflow in a directory, from the lock to the last event.

Owns the order of a run (design 2, 5): lock, end of a dead predecessor, run.json, plan, loop, end
record. The parts themselves are elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue

from msgspec import Struct
from msgspec.structs import asdict, replace

from oxoflow.engine.capacity import check_budget, find_capacity, host_warnings
from oxoflow.engine.checkpointfile import is_asked_for, write_checkpoint
from oxoflow.engine.control import Control, Interrupted
from oxoflow.engine.deciding import Decision, Verdict
from oxoflow.engine.driving import Crash, Driver
from oxoflow.engine.ending import Receipt, end_run, has_leftovers
from oxoflow.engine.events import timestamp
from oxoflow.engine.files import WorkFiles, absolute
from oxoflow.engine.hooks import hook_of, run_hook
from oxoflow.engine.identity import new_id
from oxoflow.engine.lastwords import last_event, tell_end
from oxoflow.engine.load import Loaded
from oxoflow.engine.masking import NO_MASK
from oxoflow.engine.narration import outcome_words
from oxoflow.engine.notices import find_notices
from oxoflow.engine.options import Counts, Outcome, RunOptions, add_counts
from oxoflow.engine.parts import Basis, Parts, open_parts
from oxoflow.engine.placing import Backend
from oxoflow.engine.plan import Plan, Planner, later
from oxoflow.engine.process import adopt_orphans, deny_inspection
from oxoflow.engine.records import Planned
from oxoflow.engine.recovery import clean_after, end_predecessor
from oxoflow.engine.reentry import Reentries
from oxoflow.engine.references import with_references
from oxoflow.engine.rounds import Spoilt, part_spoilt
from oxoflow.engine.rulerun import RuleRun, Setting
from oxoflow.engine.rundir import (
    RunDirectory,
    RunRecord,
    RunState,
    WorkdirLock,
    boot_id,
    identify,
)
from oxoflow.engine.scheduler import Capacity, Scheduler
from oxoflow.engine.state import State
from oxoflow.engine.tasks import Tasks, make_tasks, needs_work
from oxoflow.engine.tidying import tidy
from oxoflow.engine.undeclared import find_undeclared
from oxoflow.engine.watchdog import Watchdog
from oxoflow.errors import OxoflowError

_LAST_GRACE = 1.0  # for what jobs left running behind them


def run(load: Callable[[], Loaded], options: RunOptions, backend: Backend) -> Outcome:
    """Run what `load` gives, its jobs by `backend`, and return what came of it.

    Raises WorkdirLocked when another run is at work there, and any other OxoflowError when the run
    cannot begin or go on; these are in run.json and among the events as well.
    """
    directory = RunDirectory(absolute(options.workdir))
    directory.create()
    lock = WorkdirLock(directory.lock)
    lock.acquire()
    try:
        adopt_orphans()
        deny_inspection()
        end_predecessor(directory)
        return _Run(directory, options, backend).run(load)
    finally:
        lock.release()


class _Run:
    """One run; everything in it happens while the lock is held."""

    def __init__(self, directory: RunDirectory, options: RunOptions, backend: Backend) -> None:
        launch = options.launch
        me = identify(os.getpid())
        assert me is not None
        self._directory = directory
        self._options = options
        self._backend = backend
        self._begun = time.monotonic()
        self._started = time.time()
        self._words: SimpleQueue[object] = SimpleQueue()
        self._stopping = threading.Event()
        self._mask = NO_MASK  # until the workflow is known
        self._record = RunRecord(
            run_id=launch.run_id if launch else new_id(),
            nonce=launch.nonce if launch else None,
            pid=me.pid,
            start_time=me.start_time,
            boot_id=boot_id(),
            started_at=timestamp(time.time()),
            settings=options.settings,
        )
        self._control = Control(directory.control, self._record.run_id, self._words.put)
        self._watchdog = Watchdog(directory, self._record.run_id)

    def run(self, load: Callable[[], Loaded]) -> Outcome:
        """Record the run, carry it out, and record its end whatever comes."""
        with self._control.listening():  # from here on a signal cancels, and never leaves us lost
            self._directory.write_run(self._record)
            if self._options.launch is None:
                self._control.drop_stale()
            try:
                return self._carry_out(load)
            except Interrupted as wish:
                return self._end_unbegun(wish.exit_code)
            except BaseException as error:
                self._end_broken(error)
                raise

    def _carry_out(self, load: Callable[[], Loaded]) -> Outcome:
        directory, options = self._directory, self._options
        with contextlib.ExitStack() as stack:
            state = State(directory.state)
            stack.callback(state.close)
            stack.callback(self._watchdog.stop)
            clean_after(directory, state)
            reentries = Reentries(state, directory.root, options)
            with self._control.interruptible():
                loaded: Loaded | None = reentries.replay(load(), keep=True)
            rounds: list[_Round] = []
            while loaded is not None:
                with contextlib.ExitStack() as inner:
                    rounds.append(self._round(inner, state, loaded, rounds))
                    loaded = self._next(rounds[-1], reentries)
                    if loaded is None:
                        outcome = self._conclude(rounds, state)
        self._directory.started.unlink(missing_ok=True)  # every start has its end on record
        return outcome

    def _round(
        self,
        stack: contextlib.ExitStack,
        state: State,
        loaded: Loaded,
        rounds: Sequence[_Round],
    ) -> _Round:
        """Plan and run what no earlier round has run, or not yet with what came since."""
        if not self._options.plan.skip_references:
            loaded = with_references(loaded, WorkFiles(str(self._directory.root)))
        if is_asked_for(loaded.jobs):
            write_checkpoint(self._directory.root, state)
        agenda = self._plan(state, loaded, rounds)
        parts = open_parts(
            stack,
            Basis(
                self._directory,
                self._options,
                self._backend,
                self._record.run_id,
                state,
                loaded,
                agenda.planner,
                agenda.capacity.memory_mb,
                self._stopping,
                lambda error: self._words.put(Crash(error)),
            ),
        )
        if not rounds:
            parts.announce(self._record.run_id, loaded, agenda.plan)
        parts.announce_jobs(agenda.plan, self._warnings(agenda))
        return _Round(loaded, agenda.plan, parts, self._drive(agenda, parts))

    def _plan(self, state: State, loaded: Loaded, rounds: Sequence[_Round]) -> _Agenda:
        """Decide what is to be done, and have it on the disk before the first command."""
        known = rounds[-1].loaded.dag.index if rounds else {}
        failed = {job for each in rounds for job in each.rules.not_done}
        options = self._options
        capacity = find_capacity(loaded.workflow, options.limits)
        planner = Planner(loaded, state, self._directory.root, options.plan, capacity)
        self._mask = planner.renderer.mask
        # inputs may be large; once jobs have been run, what these came to must be told
        with contextlib.nullcontext() if rounds else self._control.interruptible():
            found = planner.plan()
        plan = later(found, planner, known, failed)
        waiting = [decision for decision in plan.decisions if needs_work(decision)]
        chosen, spoilt = part_spoilt(waiting, loaded.dag, failed)
        check_budget([decision.job for decision in chosen], options.limits)
        _mark_planned(state, waiting)
        if chosen:
            self._watchdog.start()
        earlier = state.records() if chosen else {}
        tasks = make_tasks(chosen, loaded.dag, capacity, earlier, planner.pipes)
        if known:  # jobs that were thought of as yet to run may be those that this run has done
            for item in tasks.items:
                item.ready = False
        return _Agenda(planner, capacity, plan, chosen, spoilt, tasks)

    def _warnings(self, agenda: _Agenda) -> tuple[str, ...]:
        """What may surprise whoever reads the plan."""
        planner, chosen = agenda.planner, agenda.chosen
        temporary = Path(self._options.environ.get("TMPDIR") or "/tmp")
        jobs = [decision.job for decision in chosen]
        about_host = host_warnings(jobs, self._directory.root, temporary)
        about_jobs = find_notices(chosen, planner.dag, planner.renderer)
        return (*planner.pipes.warnings, *agenda.tasks.warnings, *about_host, *about_jobs)

    def _drive(self, agenda: _Agenda, parts: Parts) -> RuleRun:
        """Run the jobs until none is left, or none may start any more."""
        scheduler = Scheduler(
            agenda.tasks.tasks, agenda.tasks.parents, agenda.capacity, now=time.monotonic()
        )
        rules = RuleRun(agenda.tasks, scheduler, agenda.capacity, parts, self._setting())
        for each in agenda.spoilt:
            rules.block(each.decision.job, each.cause)
        driver = Driver(scheduler, scheduler.width, rules.work, self._words)
        driver.run(rules, self._control)
        rules.abandon()
        if rules.error is not None:
            raise rules.error
        return rules

    def _next(self, done: _Round, reentries: Reentries) -> Loaded | None:
        """Give what finished checkpoints make of the workflow, if the run may go on."""
        if self._stopping.is_set():
            return None
        done.parts.recorder.flush()
        grown = reentries.grown(done.loaded, done.parts.jobs.tools.planner.renderer)
        if grown is not None:
            self._end_leftovers(done.parts)
        return grown

    def _setting(self) -> Setting:
        options = self._options
        return Setting(
            self._record.run_id,
            self._directory.root,
            options.keep_going,
            options.disk_reserve_mb,
            self._stopping,
            hurry=lambda: self._control.interrupts > 1,
        )

    def _conclude(self, rounds: Sequence[_Round], known: State) -> Outcome:
        """End what was left running, then write the end: run.json first, its event last."""
        parts, rules = rounds[-1].parts, rounds[-1].rules
        receipt = self._end_leftovers(parts) if rules.cancelled is None else rules.receipt
        counts = add_counts([each.counts() for each in rounds])
        failures = [failure for each in rounds for failure in each.rules.failures]
        required = {job for each in rounds for job in each.rules.required_failures}
        self._run_hook(rounds, counts)
        if rules.cancelled is not None:
            receipt = rules.receipt
        state, code, error = RunState.SUCCESS, 0, None
        if rules.cancelled is not None:
            state, code = RunState.CANCELLED, rules.cancelled
        elif counts.failed:
            state, code = RunState.FAILED, 1
            job, words = next(f for f in failures if f[0] in required)
            error = f"job '{job}' failed: {words}"
        parts.meter.close()
        parts.recorder.flush()
        if is_asked_for(rounds[-1].loaded.jobs):
            write_checkpoint(self._directory.root, known)
        if state is not RunState.CANCELLED:
            self._tell_undeclared(rounds, known)
        if state is RunState.SUCCESS:
            tidy(parts.jobs.tools.planner, known, parts.recorder.flush)
        outcome = Outcome(
            run_id=self._record.run_id,
            state=state,
            exit_code=code,
            counts=counts,
            failures=tuple(failures),
            blocked=tuple(job for each in rounds for job in each.rules.blocked),
            error=error,
            receipt=receipt,
            duration_secs=round(time.monotonic() - self._begun, 3),
        )
        parts.copier.say(f"{rounds[-1].loaded.workflow.name}: {outcome_words(outcome)}")
        parts.copier.copy()  # whoever sees the end of the run finds its log whole
        self._write_end(outcome)
        type, data = last_event(outcome)
        parts.recorder.event(type, **data)
        parts.recorder.flush()
        return outcome

    def _run_hook(self, rounds: Sequence[_Round], counts: Counts) -> None:
        """Run what the workflow wants done at the end of a run that nobody cancelled."""
        parts, rules = rounds[-1].parts, rounds[-1].rules
        hook = hook_of(rounds[0].loaded.workflow, counts)
        if hook is not None and rules.cancelled is None:
            self._watchdog.start()
            run_id = self._record.run_id
            run_hook(*hook, parts, counts, rules, self._control, self._words, run_id)
            self._end_leftovers(parts)

    def _tell_undeclared(self, rounds: Sequence[_Round], known: State) -> None:
        """Warn of what jobs made or read without declaring it."""
        if not any(each.rules.counts.succeeded for each in rounds):
            return
        parts, loaded = rounds[-1].parts, rounds[-1].loaded
        watchers = [each.parts.watcher for each in rounds]
        for finding in find_undeclared(
            str(self._directory.root),
            loaded.dag,
            parts.jobs.tools.planner.renderer,
            known.records(),
            self._started,
            {job: paths for watcher in watchers for job, paths in watcher.read.items()},
            {job: paths for watcher in watchers for job, paths in watcher.written.items()},
        ):
            message = parts.jobs.tools.preparer.mask.text(finding.message())
            parts.recorder.event("warning", rule=finding.rule, message=message)

    def _end_leftovers(self, parts: Parts) -> Receipt:
        if not has_leftovers(parts.table):
            return Receipt()
        receipt = end_run(parts.table, self._record.run_id, grace=_LAST_GRACE)
        parts.table.accept_more()  # the hook of the run is still to come
        names = ", ".join(sorted({process.name for process in receipt.ended}))
        parts.recorder.event(
            "warning", message=f"processes that jobs left running were ended: {names}"
        )
        return receipt

    def _write_end(self, outcome: Outcome) -> None:
        ended = outcome.receipt.ended if outcome.state is RunState.CANCELLED else ()
        self._directory.write_run(
            replace(
                self._record,
                state=outcome.state,
                exit_code=outcome.exit_code,
                finished_at=timestamp(time.time()),
                error=outcome.error,
                ended=tuple(asdict(process) for process in ended),
                left=outcome.receipt.left,
            )
        )

    def _end_broken(self, error: BaseException) -> None:
        """Record, as far as the disk lets us, that the run could not go on."""
        words = error.message if isinstance(error, OxoflowError) else f"internal error: {error!r}"
        words = self._mask.text(words)
        code = error.exit_code if isinstance(error, OxoflowError) else 1
        outcome = Outcome(self._record.run_id, RunState.FAILED, code, error=words)
        with contextlib.suppress(OxoflowError, OSError):
            self._write_end(outcome)
            tell_end(self._directory, outcome, words)

    def _end_unbegun(self, code: int) -> Outcome:
        """End a run that was cancelled before its first job could begin."""
        duration = round(time.monotonic() - self._begun, 3)
        run_id = self._record.run_id
        outcome = Outcome(run_id, RunState.CANCELLED, code, duration_secs=duration)
        self._write_end(outcome)
        tell_end(self._directory, outcome, outcome_words(outcome))
        return outcome


class _Agenda(Struct, frozen=True):
    """What one round is to do: the plan, and of it the decisions that need work, as tasks."""

    planner: Planner
    capacity: Capacity
    plan: Plan
    chosen: Sequence[Decision]
    spoilt: Sequence[Spoilt]
    tasks: Tasks


class _Round(Struct, frozen=True):
    """What was planned at once, and how it went."""

    loaded: Loaded
    plan: Plan
    parts: Parts
    rules: RuleRun

    def counts(self) -> Counts:
        skips = sum(1 for decision in self.plan.decisions if not needs_work(decision))
        return replace(self.rules.counts, skipped=self.rules.counts.skipped + skips)


def _mark_planned(state: State, chosen: Sequence[Decision]) -> None:
    """On the disk before the first command: what a power cut leaves is never taken for done."""
    moving = (Verdict.RUN, Verdict.CHECK)
    rows = [Planned(d.job.name, d.job.rule.name) for d in chosen if d.verdict in moving]
    if rows:
        state.mark_planned(rows)
