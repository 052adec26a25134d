"""Drive a scheduler with worker threads until nothing is left, or until somebody says stop.

Owns the main loop: one queue of completions and words from outside, drained fully before more is
started; no polling but the bounded look at `control/`. What a task does is a function passed in, so
that rules and OxiFY nodes are driven alike.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from oxoflow.engine.control import POLL_SECONDS, Cancel, Control, LookNow
from oxoflow.engine.rundir import ControlMessage
from oxoflow.engine.scheduler import Scheduler

_SHORT_SECONDS = 0.02  # tasks shorter than this are handed out ahead,
_AHEAD = 4  # so many for each slot,
_GATHER_SECONDS = 0.005  # and their ends may wait so long for company
End = TypeVar("End")


class Crash(Struct, frozen=True):
    """Something went wrong that is no failure of a task; `task` if it was worked on."""

    error: BaseException
    task: int | None = None


class Handler(Protocol[End]):  # type: ignore[misc]
    """What the owner of a run does with what the loop brings. All in the loop's thread."""

    def ended(self, end: End) -> None:
        """A task came to its end; tell the scheduler."""

    def cancel(self, exit_code: int) -> None:
        """Somebody wants the run to end."""

    def message(self, message: ControlMessage) -> None:
        """A message arrived in `control/`."""

    def broke(self, error: BaseException, task: int | None) -> None:
        """Records cannot be kept, or a worker has a fault: the run cannot go on."""

    def may_start(self) -> bool:
        """False while nothing new may start although there is room in the pools."""


class Driver(Generic[End]):
    """One run's loop. `run` blocks; others put words and crashes into `queue`, from any thread."""

    def __init__(
        self,
        scheduler: Scheduler,
        slots: int,
        work: Callable[[int], End],
        queue: SimpleQueue[object],
    ) -> None:
        self._scheduler = scheduler
        self._slots = slots
        self._work = work
        self._queue = queue
        self._tasks: SimpleQueue[int | None] = SimpleQueue()
        self._open = threading.Event()  # closed: tasks that lie ready are not to be begun
        self._hungry = threading.Event()  # few tasks lie ready: time to hand out more
        self._pace = 1.0  # seconds that a task takes, the last ones counting most

    def run(self, handler: Handler[End], control: Control) -> None:
        """Start what may start and handle what ends, until the scheduler is finished."""
        scheduler = self._scheduler
        workers: list[threading.Thread] = []
        try:
            while not scheduler.finished:
                self._start_tasks(handler)
                while len(workers) < min(scheduler.running, self._slots):
                    name = f"job_{len(workers)}"
                    workers.append(threading.Thread(target=self._perform_tasks, name=name))
                    workers[-1].start()
                if not scheduler.running and scheduler.stuck():
                    raise RuntimeError(f"tasks {scheduler.stuck()[:5]} can never start")
                self._handle_next(handler, control)
        except BaseException:
            with contextlib.suppress(Empty):
                while True:  # what lies ready is not to be begun
                    self._tasks.get_nowait()
            raise
        finally:
            self._open.set()
            for _ in workers:
                self._tasks.put(None)
            for worker in workers:
                worker.join()

    def _start_tasks(self, handler: Handler[End]) -> None:
        if not handler.may_start() and not self._scheduler.stopped:
            self._open.clear()
            return
        self._open.set()  # once stopped, what lies ready must come back unbegun
        self._scheduler.ahead = _AHEAD * self._slots if self._pace < _SHORT_SECONDS else 0
        for task in self._scheduler.start(time.monotonic()):
            self._tasks.put(task)

    def _perform_tasks(self) -> None:
        """Do tasks until there are none, in a thread for each slot."""
        while (task := self._tasks.get()) is not None:
            if self._tasks.qsize() <= self._slots and not self._hungry.is_set():
                self._hungry.set()
            self._open.wait()
            begun = time.monotonic()
            try:
                self._queue.put(self._work(task))
            except BaseException as error:
                self._queue.put(Crash(error, task))
            self._pace = 0.9 * self._pace + 0.1 * (time.monotonic() - begun)

    def _let_gather(self) -> None:
        """While enough lies ready, let more ends come: one wake-up for several costs less."""
        if self._tasks.qsize() > self._slots:
            self._hungry.clear()
            if self._tasks.qsize() > self._slots:
                self._hungry.wait(_GATHER_SECONDS)

    def _handle_next(self, handler: Handler[End], control: Control) -> None:
        """Wait for something to happen, then handle all that has."""
        look = False
        try:
            item = self._queue.get(timeout=POLL_SECONDS)
            self._let_gather()
            while True:
                if isinstance(item, Cancel):
                    handler.cancel(item.exit_code)
                elif isinstance(item, LookNow):
                    look = True
                elif isinstance(item, Crash):
                    handler.broke(item.error, item.task)
                else:
                    handler.ended(item)  # type: ignore[arg-type]
                item = self._queue.get_nowait()
        except Empty:
            pass
        for message in control.messages(now=look):
            handler.message(message)
