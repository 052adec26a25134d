"""Carry jobs that pipes join to their end together: all succeed, or none does (5.8).

Owns the common life of one group: their pipes, one thread for each command, and what the end of one
means for the others. What each job does by itself is `joblife`'s.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Sequence
from queue import Empty, SimpleQueue

from msgspec import Struct, field
from msgspec.structs import replace

from oxoflow.engine.ending import end_job
from oxoflow.engine.failures import BEFORE_SPAWN
from oxoflow.engine.fifos import Fifo, make_pipes, show_pipes
from oxoflow.engine.joblife import JobEnd, JobLife
from oxoflow.engine.jobtools import JobTools
from oxoflow.engine.pipes import Pipe
from oxoflow.engine.reporting import Failure, Usage
from oxoflow.engine.scheduler import Status

_TICK = 0.05  # seconds between two looks at ends that somebody may wait for
_BROKEN_PIPE = 128 + signal.SIGPIPE


class PipeLife(Struct):
    """The jobs of one group under way; `lives` in the order of their pipes."""

    tools: JobTools
    lives: Sequence[JobLife]
    pipes: Sequence[Pipe]

    def run(self) -> JobEnd:
        """Live until all are done, or have failed as often as they may."""
        for life in self.lives:
            failure = life.prepare()
            if failure is not None:
                return self._fail(life, failure)
        while True:
            attempt = _Attempt(self)
            failed = attempt.run() or self._check()
            if failed is None:
                return self._record()
            life, failure = failed
            allowed = 1 + max(self.tools.retry, life.decision.job.rule.retries)
            stop = life.usage.attempt >= allowed or not failure.may_retry
            if stop or self.tools.stopping.is_set():
                return self._fail(life, failure)
            for each in self.lives:
                each.tell_retry(failure if each is life else _dragged(life))
            if self.tools.stopping.wait(life.prepared.retry_delay):
                return self._fail(life, failure)

    def _check(self) -> tuple[JobLife, Failure] | None:
        """Nothing is recorded before all of it was verified."""
        for life in self.lives:
            failure = life.check()
            if failure is not None:
                return life, failure
        return None

    def _record(self) -> JobEnd:
        first, *others = [life.record() for life in self.lives]
        return replace(first, others=tuple(others))

    def _fail(self, blamed: JobLife, failure: Failure) -> JobEnd:
        others = tuple(self._drag(life, blamed) for life in self.lives if life is not blamed)
        return replace(blamed.fail(failure), others=others)

    def _drag(self, life: JobLife, blamed: JobLife) -> JobEnd:
        """Fail a job for what another one did, perhaps before it was begun itself."""
        failure = _dragged(blamed)
        if life.begun:
            return life.fail(failure)
        index, interrupted = life.decision.index, self.tools.stopping.is_set()
        self.tools.reporter.failed(life.decision.job, Usage(), failure, None, "")
        return JobEnd(index, Status.FAILED, failure.error, interrupted=interrupted)


def dragged_words(blamed: str) -> str:
    """Why a job failed that did nothing wrong itself."""
    return f"a pipe joins it to job '{blamed}', which failed"


def _dragged(blamed: JobLife) -> Failure:
    return Failure(BEFORE_SPAWN, dragged_words(blamed.decision.job.name))


class _Attempt(Struct):
    """One attempt of all jobs at once; the thread that calls `run` owns it."""

    group: PipeLife
    _fifos: dict[str, Fifo] = field(default_factory=dict)
    _ends: SimpleQueue[tuple[JobLife, Failure | BaseException | None]] = field(
        default_factory=SimpleQueue
    )
    _running: list[JobLife] = field(default_factory=list)
    _done: set[int] = field(default_factory=set)  # the jobs that succeeded
    _failed: tuple[JobLife, Failure] | None = None

    def run(self) -> tuple[JobLife, Failure] | None:
        """Start all and wait for all; gives the first that failed, and why."""
        group = self.group
        try:
            self._fifos = make_pipes([self._full(pipe) for pipe in group.pipes])
        except OSError as error:
            words = f"the pipe '{error.filename}' could not be made: {error.strerror}"
            return group.lives[0], Failure(BEFORE_SPAWN, words)
        try:
            self._show()
            self._start()
            self._wait()
        finally:
            for fifo in self._fifos.values():
                fifo.close()
        return self._failed

    def _show(self) -> None:
        """Let jobs with a private directory see their pipes there."""
        for life in self.group.lives:
            if life.scratch is not None:
                at = life.decision.index
                paths = [p.path for p in self.group.pipes if at in (p.writer, p.reader)]
                show_pipes(life.scratch, self.group.tools.root, paths)

    def _start(self) -> None:
        for life in self.group.lives:
            name = f"pipe-{life.decision.job.name}"
            threading.Thread(target=self._live, args=(life,), name=name, daemon=True).start()
            self._running.append(life)

    def _live(self, life: JobLife) -> None:
        """Run one command, in a thread of its own."""
        try:
            self._ends.put((life, life.attempt()))
        except BaseException as error:
            self._ends.put((life, error))

    def _wait(self) -> None:
        """Wait for every command, ending those that are left once one has failed."""
        broken: BaseException | None = None
        while self._running:
            with contextlib.suppress(Empty):
                life, found = self._ends.get(timeout=_TICK)
                self._running.remove(life)
                if isinstance(found, BaseException):
                    broken = broken or found
                else:
                    self._ended(life, found)
            if broken is not None or self._failed is not None:
                self._end_others()
            for fifo in self._fifos.values():
                fifo.wake()
        if broken is not None:
            raise broken

    def _ended(self, life: JobLife, failure: Failure | None) -> None:
        at = life.decision.index
        if failure is not None and self._had_enough(life, failure):
            life.logs.note("oxoflow: whoever read its pipe was done before all was written")
            failure = None
        for pipe in self.group.pipes:
            fifo = self._fifos[self._full(pipe)]
            if pipe.reader == at:
                fifo.end_reading()
            if pipe.writer == at and failure is None:
                wrong = fifo.end_writing()
                if wrong is not None:
                    words = f"the command succeeded, but with the pipe '{pipe.path}' it {wrong}"
                    life.logs.note(f"oxoflow: {words}")
                    failure = Failure(BEFORE_SPAWN, words)
        if failure is None:
            self._done.add(at)
        elif self._failed is None:
            self._failed = life, failure

    def _had_enough(self, life: JobLife, failure: Failure) -> bool:
        """True when all that a command failed in is that nobody wanted more of it."""
        readers = [p.reader for p in self.group.pipes if p.writer == life.decision.index]
        no_files = not life.decision.outputs
        gone = bool(readers) and self._done.issuperset(readers)
        return failure.code == _BROKEN_PIPE and no_files and gone

    def _end_others(self) -> None:
        table = self.group.tools.commands.table
        names = {life.decision.job.name for life in self._running}
        for child in table.live():
            if child.name in names:
                end_job(table, child)

    def _full(self, pipe: Pipe) -> str:
        return os.path.join(self.group.tools.root, pipe.path)
