"""Open the parts that a run's jobs work with, and close them in the right order.

Owns nothing but that order: records, process table, journal, logs, meter, job runner.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from oxoflow.engine.attempt import Commands
from oxoflow.engine.cages import Cages
from oxoflow.engine.disk import trouble
from oxoflow.engine.ending import JOB_MARKER, end_job
from oxoflow.engine.events import Event, EventWriter
from oxoflow.engine.jobrun import JobRunner
from oxoflow.engine.jobtools import JobTools
from oxoflow.engine.journal import Journal
from oxoflow.engine.linked import Linked
from oxoflow.engine.load import Loaded
from oxoflow.engine.logs import LogCopier
from oxoflow.engine.metering import Duty, Meter
from oxoflow.engine.narration import Narrator
from oxoflow.engine.options import RunOptions
from oxoflow.engine.outputs import ParentDirectories
from oxoflow.engine.placing import Backend
from oxoflow.engine.plan import Plan, Planner
from oxoflow.engine.preparing import Preparer
from oxoflow.engine.process import ProcessTable
from oxoflow.engine.provisioning import Provisioner, store_of
from oxoflow.engine.recorder import Recorder
from oxoflow.engine.references import ReferenceLocks
from oxoflow.engine.reporting import Reporter
from oxoflow.engine.reuse import Reuse, open_reuse
from oxoflow.engine.rundir import MARKER, RunDirectory
from oxoflow.engine.state import State
from oxoflow.engine.tasks import needs_work
from oxoflow.engine.watching import Watcher
from oxoflow.engine.wording import skip_reason
from oxoflow.environments.family import Site
from oxoflow.environments.shell import Shell
from oxoflow.environments.variables import defines_functions, encode, rule_variables
from oxoflow.errors import RunError

_JOBS_A_LINE = 200
_COPY_SECONDS = 0.2
_REAP_SECONDS = 1.0
_WATCH_SECONDS = 0.5


class Parts(Struct, frozen=True):
    """What is open while jobs run."""

    table: ProcessTable
    recorder: Recorder
    reporter: Reporter
    copier: LogCopier
    meter: Meter
    jobs: JobRunner
    watcher: Watcher

    def announce(self, run_id: str, loaded: Loaded, plan: Plan) -> None:
        """Say that the run begins."""
        workflow = loaded.workflow
        self.recorder.event(
            "run_started",
            run_id=run_id,
            workflow_name=workflow.name,
            jobs_total=len(plan.decisions),
        )
        for warning in workflow.warnings:
            self.recorder.event("warning", message=warning)

    def announce_jobs(self, plan: Plan, warnings: Sequence[str]) -> None:
        """Say what is going to happen."""
        for warning in warnings:
            self.recorder.event("warning", message=warning)
        lines = [[d.job.name, d.job.rule.name, d.verdict] for d in plan.decisions]
        for start in range(0, len(lines), _JOBS_A_LINE):
            self.recorder.event("jobs_planned", jobs=lines[start : start + _JOBS_A_LINE])
        now = time.time()
        reasons: dict[str, dict[str, str]] = {}
        skips = []
        for decision in plan.decisions:
            if not needs_work(decision):
                job, reason = decision.job, skip_reason(decision)
                data = reasons.get(reason) or reasons.setdefault(reason, {"reason": reason})
                skips.append(Event("rule_skipped", job.name, job.rule.name, data, now))
        self.recorder.events(skips)


class Basis(Struct, frozen=True):
    """What the parts are made from; `report` is called, from any thread, on trouble."""

    directory: RunDirectory
    options: RunOptions
    backend: Backend
    run_id: str
    state: State
    loaded: Loaded
    planner: Planner
    memory_mb: int
    stopping: threading.Event
    report: Callable[[RunError], None]

    @property
    def root(self) -> str:
        return str(self.directory.root)


def open_parts(stack: contextlib.ExitStack, basis: Basis) -> Parts:
    """Open everything; `stack` closes it."""
    recorder, copier = _open_records(stack, basis)
    table = ProcessTable()
    stack.callback(table.close)
    journal = Journal(basis.directory.started)
    stack.callback(journal.close)
    watcher = Watcher(table, basis.root)
    meter = _open_meter(stack, table, journal, copier, watcher, basis.report)
    reporter = Reporter(recorder, basis.run_id)
    tools = _open_tools(stack, basis, journal, reporter, copier, table, meter)
    return Parts(table, recorder, reporter, copier, meter, JobRunner(tools), watcher)


def _open_records(stack: contextlib.ExitStack, basis: Basis) -> tuple[Recorder, LogCopier]:
    """Open what remembers: the events, the log of the run, and the writer of both and the state."""
    events = EventWriter(basis.directory.events)
    stack.callback(events.close)
    copier = LogCopier(basis.directory.execution_log)
    stack.callback(copier.close)
    observe, mask = _observers(copier, basis.options.observe), basis.planner.renderer.mask
    recorder = Recorder(basis.state, events, basis.report, observe, mask)
    stack.callback(recorder.close)
    return recorder, copier


def _open_tools(
    stack: contextlib.ExitStack,
    basis: Basis,
    journal: Journal,
    reporter: Reporter,
    copier: LogCopier,
    table: ProcessTable,
    meter: Meter,
) -> JobTools:
    """Open what jobs are handed: how they are made ready, started, provided for and shared."""
    directory, options, planner = basis.directory, basis.options, basis.planner
    root, stopping = basis.root, basis.stopping
    launcher = _make_launcher(directory)
    variables = rule_variables(options.environ, directory.root, launcher, {MARKER: basis.run_id})
    site = _site(planner, variables, root, basis.memory_mb)
    linked = Linked(root, directory.records / "linked")
    store = store_of(options.environ.get("HOME"), directory.records)
    return JobTools(
        planner,
        journal,
        Preparer(basis.loaded.workflow, planner, site, options.timeout),
        Commands(directory, table, meter, encode(variables)),
        basis.backend,
        reporter,
        copier,
        options.retry,
        stopping,
        root,
        str(directory.logs),
        ParentDirectories(root),
        _open_provisioner(stack, options, store, directory, stopping),
        ReferenceLocks(store, planner.files, stopping),
        linked,
        _open_reuse(stack, options, planner, root, basis.run_id, linked),
        _open_cages(stack, options, basis.run_id),
    )


def _open_meter(
    stack: contextlib.ExitStack,
    table: ProcessTable,
    journal: Journal,
    copier: LogCopier,
    watcher: Watcher,
    report: Callable[[RunError], None],
) -> Meter:
    """Open the thread that looks at processes, and has what else is to be done now and then."""
    duties = (
        Duty(_COPY_SECONDS, copier.copy),
        Duty(_REAP_SECONDS, table.reap_orphans),
        Duty(_WATCH_SECONDS, watcher.look),
    )
    meter = Meter(table, journal.has_started, lambda child: end_job(table, child), report, duties)
    stack.callback(meter.close)
    return meter


def _site(planner: Planner, variables: Mapping[str, str], root: str, memory_mb: int) -> Site:
    return Site(
        Shell(variables["PATH"], defines_functions(variables)),
        root,
        read=planner.files.read,
        exists=os.path.exists,
        marks=(MARKER, JOB_MARKER),
        variables=variables.keys() - {MARKER},
        memory_mb=memory_mb,
    )


def _observers(
    copier: LogCopier, observe: Callable[[Event], None] | None
) -> Callable[[Event], None]:
    """Tell the run in its log, and to whoever watches."""
    narrator = Narrator()

    def tell(event: Event) -> None:
        line = narrator.line(event)
        if line:
            copier.say(line)
        if observe is not None:
            observe(event)

    return tell


def _open_reuse(
    stack: contextlib.ExitStack,
    options: RunOptions,
    planner: Planner,
    root: str,
    run_id: str,
    linked: Linked,
) -> Reuse | None:
    reuse = open_reuse(options.cache, planner, root, run_id, linked)
    if reuse is not None:
        stack.callback(reuse.close)
    return reuse


def _open_provisioner(
    stack: contextlib.ExitStack,
    options: RunOptions,
    store: Path,
    directory: RunDirectory,
    stopping: threading.Event,
) -> Provisioner | None:
    if options.skip_environments:
        return None
    provisioner = Provisioner(store, directory.records / "environments", stopping)
    stack.callback(provisioner.close)
    return provisioner


def _open_cages(stack: contextlib.ExitStack, options: RunOptions, run_id: str) -> Cages | None:
    if not options.enforce_memory:
        return None
    cages = Cages(run_id)
    stack.callback(cages.close)
    return cages


def _make_launcher(directory: RunDirectory) -> Path:
    """A directory that holds only the `oxoflow` command, for rules that call it."""
    place = directory.records / "bin"
    launcher = place / "oxoflow"
    text = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m oxoflow "$@"\n'
    try:
        if not launcher.exists() or launcher.read_text() != text:
            place.mkdir(exist_ok=True)
            draft = place / ".oxoflow.tmp"  # a killed runner leaves one, not many
            draft.write_text(text)
            draft.chmod(0o755)
            draft.rename(launcher)
    except OSError as error:
        raise trouble(launcher, error) from error
    return place
