"""Drive a program: start what may start, take what ends, decide what is passed by.

Owns the scheduler of one graph and the one thread that touches it; nodes run on other threads and
speak to it by posting. The driver of an execution and that of a sub-workflow are the same; what
differs (records, events, control) is behind `Reporter`. An ended node is committed before anything
that depends on it begins.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from msgspec import Struct

from oxoflow.engine.scheduler import Capacity, Join, Need, Scheduler, Status, Task
from oxoflow.errors import WorkflowError
from oxoflow.graph.attempts import Notes, run_node
from oxoflow.graph.compile import Program, Step, is_active
from oxoflow.graph.results import How, NodeResult, result_of
from oxoflow.graph.scope import Values
from oxoflow.graph.seat import NodeSeat
from oxoflow.graph.work import Context, Desk, Stopped, Token

MAX_THREADS = 4096  # nodes that run or wait at a time


class Reporter(Protocol):
    """Where a driver's news go; every method is called on the driver's thread."""

    def started(self, step: Step) -> None:
        """A node begins."""
        ...

    def ended(self, step: Step, result: NodeResult) -> None:
        """A node ended: note it, to be committed soon."""
        ...

    def commit(self) -> None:
        """Make what was noted last, and tell the world."""
        ...

    def retrying(self, step: Step, retry: int, most: int, seconds: float, reason: str) -> None:
        """A node failed and is tried again."""
        ...

    def failed_attempts(self, step: Step) -> int:
        """How many attempts of a node failed before this life."""
        ...

    def attempt_failed(self, step: Step, number: int) -> None:
        """An attempt failed; made to last before this returns. Called on the node's thread."""
        ...

    def look(self, driver: Driver) -> None:
        """A moment passed: see whether somebody outside wants something."""
        ...

    def settled(self, driver: Driver) -> None:
        """Paused, and nothing runs any more."""
        ...

    def waiting(self, only: bool) -> None:
        """Whether all that is left to do just now is to wait for somebody."""
        ...


class Ending(Struct, frozen=True):
    """How a program ended: `error` None is success."""

    error: str | None = None
    cancelled: bool = False


class Options(Struct, frozen=True):
    """How a program is driven."""

    slots: int = 4
    continue_on_error: bool = False
    look_seconds: float = 0.2
    cancel_seconds: float = 2.5  # how long to wait for threads after a cancel
    place: str = ""  # before every node id, for sub-workflows
    depth: int = 0


class Driver:
    """One run of one program; `run` is called once. `post` may be called from any thread."""

    def __init__(
        self,
        program: Program,
        values: Values,
        desk: Desk,
        reporter: Reporter,
        token: Token,
        options: Options,
    ) -> None:
        self._program = program
        self._values = values
        self._desk = desk
        self._reporter = reporter
        self.token = Token(token)
        self._options = options
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        capacity = Capacity(options.slots, options.slots, 0)
        task = Task(Need(threads=1), join=Join.ANY_ACTIVE)
        parents = [[link.source for link in step.incoming] for step in program.steps]
        self._scheduler = Scheduler([task] * len(program.steps), parents, capacity)
        self._seats: dict[int, NodeSeat] = {}
        self._error: str | None = None
        self._cancelled = False
        self._settled = False
        self._only_waits = False
        self._ends_reached = 0
        self._restored: frozenset[str] = frozenset()

    def post(self, work: Callable[[], None]) -> None:
        """Have something done on the driver's thread."""
        self._inbox.put(work)

    def restore(self, results: dict[str, NodeResult]) -> None:
        """Take over results of an earlier life, in the order of their completion."""
        self._restored = frozenset(results)
        numbers = {step.node.id: step.number for step in self._program.steps}
        for node_id, result in results.items():
            number = numbers.get(node_id)
            if number is not None and self._scheduler.status(number) is Status.READY:
                self._take(self._program.steps[number], result, known=True)

    def run(self) -> Ending:
        """Drive to the end."""
        pool = ThreadPoolExecutor(MAX_THREADS, "node")
        try:
            self._loop(pool)
        finally:
            self.token.cancel()
            pool.shutdown(wait=not self._seats, cancel_futures=True)
            self.token.close()
        if self._cancelled:
            return Ending("cancelled", cancelled=True)
        if self._error is None and not self._ends_reached:
            return Ending("no path reached End")
        return Ending(self._error)

    def _loop(self, pool: ThreadPoolExecutor) -> None:
        self._reporter.look(self)
        self._start(pool)
        deadline: float | None = None
        while self._seats or not self._scheduler.finished:
            self._turn()
            if self.token.cancelled:
                self._scheduler.stop()
                deadline = deadline or time.monotonic() + self._options.cancel_seconds
                if time.monotonic() > deadline:
                    return
            self._start(pool)

    def _turn(self) -> None:
        """Do what was posted, all of it before one commit."""
        try:
            self._inbox.get(timeout=self._options.look_seconds)()
            while True:
                self._inbox.get_nowait()()
        except queue.Empty:
            pass
        self._reporter.look(self)
        self._reporter.commit()

    def _start(self, pool: ThreadPoolExecutor) -> None:
        for number in self._scheduler.start(time.monotonic()):
            seat = self._seats.get(number)
            if seat is not None:
                seat.granted()
            else:
                self._begin(self._program.steps[number], pool)
        only = self._scheduler.running == 0 and bool(self._seats)
        if only is not self._only_waits:
            self._only_waits = only
            self._reporter.waiting(only)
        at_rest = self._scheduler.paused and not self._scheduler.running
        if at_rest and not self._settled and not self._scheduler.finished:
            self._settled = True
            self._reporter.settled(self)
        self._reporter.commit()

    def _begin(self, step: Step, pool: ThreadPoolExecutor) -> None:
        number = step.number
        token = Token(self.token)
        seat = NodeSeat(
            lambda: self.post(lambda: self._park(number)),
            lambda: self.post(lambda: self._unpark(number)),
            token,
        )
        self._seats[number] = seat
        self._reporter.started(step)
        context = Context(
            node_id=step.node.id,
            node_name=step.node.name,
            at=self._options.place + step.node.id,
            scope=self._values.seen_by(step.ancestors),
            token=token,
            seat=seat,
            desk=self._desk,
            depth=self._options.depth,
        )
        pool.submit(self._work, step, context)

    def _work(self, step: Step, context: Context) -> None:
        """On a thread of the pool: run the node and post how it ended."""
        result: NodeResult | None = None
        try:
            result = run_node(step.node, context, self._notes(step))
        except Stopped:
            result = None
        except Exception as error:  # the disk, for example: nobody else would hear of it
            now = time.time()
            result = result_of(step.node, How.FAILURE, now, now, error=str(error))
        finally:
            context.token.close()
            self.post(lambda: self._done(step, result))

    def _notes(self, step: Step) -> Notes:
        def retry(number: int, most: int, seconds: float, reason: str) -> None:
            self.post(lambda: self._reporter.retrying(step, number, most, seconds, reason))

        return Notes(
            self._reporter.failed_attempts(step),
            lambda number: self._reporter.attempt_failed(step, number),
            retry,
        )

    def _done(self, step: Step, result: NodeResult | None) -> None:
        del self._seats[step.number]
        second = self._stopping and result is not None and result.how is How.FAILURE
        if result is None or self._cancelled or second:
            # stopped: it keeps no entry, and its successors are not reached
            self._scheduler.finish(step.number, Status.FAILED, time.monotonic())
            return
        self._take(step, result, known=False)

    def _take(self, step: Step, result: NodeResult, known: bool) -> None:
        """Take a node's end into values, record and scheduler."""
        if result.how is not How.FAILURE:
            self._values.record(step.number, result.output, result.variables)
        if not known:
            self._reporter.ended(step, result)
        status, taken = Status.FAILED, frozenset[int]()
        if result.how is How.FAILURE:
            self._fail(f"Node '{step.node.name}' failed: {result.error}")
        else:
            try:
                taken = self._taken(step, result)
                status = Status.SUCCESS
            except WorkflowError as error:
                self._fail(f"Edge after node '{step.node.name}' failed: {error.message}", True)
        if status is Status.SUCCESS and step.number in self._program.ends:
            self._ends_reached += 1
        decided = self._scheduler.finish(step.number, status, time.monotonic(), taken)
        for number, verdict in decided:
            if verdict is Status.SKIPPED and not self._stopping:
                self._skip(self._program.steps[number])

    @property
    def _stopping(self) -> bool:
        return self._error is not None and not self._options.continue_on_error

    def _skip(self, step: Step) -> None:
        now = time.time()
        if step.node.id not in self._restored:
            self._reporter.ended(step, result_of(step.node, How.SKIPPED, now, now))

    def _taken(self, step: Step, result: NodeResult) -> frozenset[int]:
        """The successors whose edge is active, judged right after the source (4.2)."""
        scope = self._values.seen_by(step.ancestors | 1 << step.number)
        return frozenset(
            link.target for link in step.outgoing if is_active(link, result.output, scope.lookup)
        )

    def _fail(self, error: str, always: bool = False) -> None:
        if self._error is None:
            self._error = error
        if always or not self._options.continue_on_error:
            self._scheduler.stop()
            self.token.cancel()

    def _park(self, number: int) -> None:
        if self._scheduler.status(number) is Status.RUNNING:
            self._scheduler.park(number)

    def _unpark(self, number: int) -> None:
        if self._scheduler.status(number) is Status.PARKED:
            self._scheduler.unpark(number, time.monotonic())

    # What a reporter may do when it looks

    def pause(self) -> None:
        """Start nothing more until `resume`; what runs goes on to its end."""
        self._scheduler.paused = True

    def resume(self) -> None:
        """Start again."""
        self._scheduler.paused = False
        self._settled = False

    def cancel(self) -> None:
        """Stop everything; results that come later are not taken."""
        self._cancelled = True
        self._scheduler.stop()
        self.token.cancel()
