"""Run one execution in its directory, from lock to last record: the runner of the graph side.

Owns the order of things: lock, `run.json`, leftovers of an earlier life, journal, driver, the end
of every process, last event, final record. It is started like a rule runner and speaks the same
protocol (design 2), so that the supervisor treats both alike. Knows no HTTP and no database.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from oxoflow.engine.ending import Receipt, end_dead_run, end_run, has_leftovers
from oxoflow.engine.events import Event, EventWriter, read_events, timestamp
from oxoflow.engine.identity import ProcessIdentity, identify
from oxoflow.engine.masking import Mask
from oxoflow.engine.process import adopt_orphans, deny_inspection
from oxoflow.engine.rundir import MARKER, RunDirectory, RunRecord, RunState, WorkdirLock
from oxoflow.environments.variables import encode, rule_variables
from oxoflow.errors import OxoflowError, UsageError
from oxoflow.graph.compile import Program, compile_graph
from oxoflow.graph.desk import ExecutionDesk
from oxoflow.graph.driver import Driver, Ending, Options
from oxoflow.graph.hiding import LONGEST, MOST, SAID_BACK, SHORTEST, mask_of
from oxoflow.graph.journal import NAME, Journal, read_journal
from oxoflow.graph.model import Graph
from oxoflow.graph.reporting import Reporting
from oxoflow.graph.scope import Values
from oxoflow.graph.supplies import Supplies
from oxoflow.graph.work import Token

SECRETS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY")
ADDRESSES = ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "OLLAMA_BASE_URL", "LLAMACPP_BASE_URL")
GRACE = 2.0  # seconds between TERM and KILL at a cancel (4.9)
CODES = {RunState.SUCCESS: 0, RunState.FAILED: 1, RunState.CANCELLED: 143}


class Job(Struct, frozen=True):
    """What is to be executed, where, and for whom."""

    execution_id: str
    graph: Graph
    supplies: Supplies
    root: Path
    nonce: str | None = None  # set when a server started us
    library: Path | None = None  # where relative sub-workflows are, without a server
    on_event: Callable[[Event], None] | None = None

    @property
    def attended(self) -> bool:
        """Whether a server reads our events and answers our questions."""
        return self.nonce is not None


def execute(job: Job, caller: Mapping[str, str]) -> RunRecord:
    """Run to the end and return the final record; raises WorkdirLocked, UsageError, DiskTrouble.

    `caller` is the environment: keys and addresses of models are taken from it, and what is left
    of it is what programs of the graph see. An execution that was begun here before goes on.
    """
    directory = RunDirectory(job.root)
    directory.create()
    lock = WorkdirLock(directory.lock)
    lock.acquire()
    try:
        return _Life(job, directory, caller).live()
    finally:
        lock.release()


class _Life:
    """One life of an execution: from taking its lock to giving it back."""

    def __init__(self, job: Job, directory: RunDirectory, caller: Mapping[str, str]) -> None:
        self._job = job
        self._directory = directory
        before = directory.read_run()
        if before is not None and before.state is not RunState.RUNNING:
            raise UsageError(
                f"the execution in '{job.root}' has ended ({before.state.value}); "
                "take another directory to execute again"
            )
        self._before = before
        self._record = self._begin(before)
        adopt_orphans()
        if job.attended:
            deny_inspection()
        if before is not None:
            end_dead_run(job.execution_id, (), directory.logs)
        keys = [key for name in SECRETS if len(key := caller.get(name, "").strip()) >= SHORTEST]
        self._memory = read_journal(directory.records / NAME)
        self._journal = Journal(directory.records / NAME, mask_of(keys), self._memory.results)
        self._hidden = (*keys, *self._memory.secrets)
        self._events = EventWriter(directory.events)
        self._receipt: Receipt | None = None
        self._signal = signal.SIGTERM
        program = compile_graph(job.graph)
        desk = ExecutionDesk(
            job.execution_id,
            directory,
            job.supplies,
            self._journal,
            self._memory,
            self._tell,
            self._hide,
            attended=job.attended,
            environment=_environment(job, caller),
            settings={name: caller[name] for name in (*SECRETS, *ADDRESSES) if name in caller},
            library=job.library,
        )
        self._desk = desk
        if before is not None:
            desk.clear_scratch()
        self._reporting = Reporting(
            program, self._events, self._journal, self._memory, desk.asking,
            directory.control, self._end_processes, mask_of(self._hidden, SAID_BACK), job.on_event,
        )  # fmt: skip
        self._program = program
        self._driver = self._new_driver(program, desk)

    def _begin(self, before: RunRecord | None) -> RunRecord:
        """Write who runs here: the first act under the lock."""
        me = identify(os.getpid()) or ProcessIdentity(os.getpid(), 0, "")
        record = RunRecord(
            run_id=self._job.execution_id,
            nonce=self._job.nonce,
            pid=me.pid,
            start_time=me.start_time,
            boot_id=me.boot_id,
            started_at=before.started_at if before else timestamp(time.time()),
            settings={"slots": self._job.supplies.limits.slots},
        )
        self._directory.write_run(record)
        return record

    def _new_driver(self, program: Program, desk: ExecutionDesk) -> Driver:
        nodes = [step.node for step in program.steps]
        values = Values(
            self._job.supplies.variables, (node.id for node in nodes), (node.name for node in nodes)
        )
        options = Options(
            slots=self._job.supplies.limits.slots,
            continue_on_error=self._job.supplies.continue_on_error,
        )
        return Driver(program, values, desk, self._reporting, Token(), options)

    def live(self) -> RunRecord:
        """Drive, end what is left, and write how it went."""
        started = time.monotonic()
        self._tell_begin()
        ending: Ending
        with self._signals():
            try:
                self._driver.restore(self._memory.results)
                self._tell_missed()
                ending = self._driver.run()
            except OxoflowError as error:  # a record could not be written: say so, if that works
                ending = Ending(error.message)
        if self._receipt is None and has_leftovers(self._desk.processes):
            self._end_processes("")
        return self._finish(ending, time.monotonic() - started)

    def _finish(self, ending: Ending, seconds: float) -> RunRecord:
        state = RunState.SUCCESS if ending.error is None else RunState.FAILED
        if ending.cancelled:
            state = RunState.CANCELLED
        code = CODES[state] if state is not RunState.CANCELLED else 128 + self._signal
        receipt = self._receipt or Receipt()
        record = replace(
            self._record, state=state, exit_code=code, finished_at=timestamp(time.time()),
            error=None if ending.error is None else self._reporting.mask.text(ending.error),
            ended=tuple({"pid": e.pid, "name": e.name, "signal": e.signal} for e in receipt.ended),
            left=receipt.left,
        )  # fmt: skip
        self._reporting.commit()
        self._directory.write_run(record)
        data: dict[str, Any] = {
            "status": state.value,
            "node_results_count": self._reporting.count,
            "duration_secs": round(seconds, 3),
        }
        if state is RunState.FAILED:
            data |= {"exit_code": code, "error": (record.error or "")[:4000]}
        if state is RunState.CANCELLED:
            data |= {"ended": list(record.ended)[:50], "left": record.left}
        self._tell(Event(LAST[state], data=data))
        self._reporting.commit()
        self._events.close()
        self._journal.close()
        return record

    def _tell(self, event: Event) -> None:
        self._reporting.tell(event)

    def _hide(self, secrets: Sequence[str]) -> Mask:
        """Tell these to nobody from now on; the mask for all that is hidden."""
        self._hidden = (*self._hidden, *(secret[:LONGEST] for secret in secrets))[:MOST]
        mask = mask_of(self._hidden, SAID_BACK)
        if secrets:
            self._reporting.mask = mask
        return mask

    def _tell_begin(self) -> None:
        total = len(self._program.steps)
        if self._before is None:
            data = {"workflow_name": self._job.graph.metadata.name, "jobs_total": total}
            self._tell(Event("run_started", data=data))
        else:
            data = {"status": "Running", "reason": "the runner had died", "jobs_total": total}
            self._tell(Event("run_resumed", data=data))

    def _tell_missed(self) -> None:
        """Tell of nodes whose end was recorded, but not told, when the last life ended."""
        if self._before is None or not self._memory.results:
            return
        told = {event.job for event in _all_events(self._directory.events) if event.type in ENDS}
        steps = {step.node.id: step for step in self._program.steps}
        for node_id, result in self._memory.results.items():
            if node_id in steps and node_id not in told:
                self._reporting.tell_again(steps[node_id], result)

    def _cancel(self) -> None:
        self._driver.cancel()
        self._end_processes("")

    def _end_processes(self, by: str) -> None:
        self._receipt = end_run(self._desk.processes, self._job.execution_id, GRACE, GRACE + 1.5)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """TERM and INT cancel, USR1 looks now; only where signals can be caught."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        driver, reporting = self._driver, self._reporting

        def cancel(number: int, _: object) -> None:
            self._signal = signal.Signals(number)
            driver.post(self._cancel)

        def look(_: int, __: object) -> None:
            reporting.poked = True
            driver.post(lambda: None)

        handlers = {signal.SIGTERM: cancel, signal.SIGINT: cancel, signal.SIGUSR1: look}
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


LAST = {
    RunState.SUCCESS: "run_completed",
    RunState.FAILED: "run_failed",
    RunState.CANCELLED: "run_cancelled",
}
ENDS = frozenset({"node.completed", "node.failed", "node.skipped"})


def _environment(job: Job, caller: Mapping[str, str]) -> dict[bytes, bytes]:
    """What programs of the graph see: no key, no setting of ours, our marker."""
    kept = {name: value for name, value in caller.items() if name not in SECRETS}
    marker = {MARKER: job.execution_id}
    return encode(rule_variables(kept, job.root, None, marker))


def _all_events(path: Path) -> Iterator[Any]:
    offset = 0
    while True:
        events, end = read_events(path, offset)
        yield from events
        if end == offset:
            return
        offset = end
