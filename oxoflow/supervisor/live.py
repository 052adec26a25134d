"""Follow one run that is not over: whether its runner lives, and what its event file says next.

Owns the descriptors of one run. Believes the kernel about the process and nobody about the file;
stores nothing.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from msgspec import Struct

from oxoflow.db.runs import Run
from oxoflow.engine.events import LINE_LIMIT, EventLine, read_events
from oxoflow.engine.rundir import RunDirectory, RunRecord, lock_holder
from oxoflow.errors import DiskTrouble
from oxoflow.supervisor import signals
from oxoflow.supervisor.launch import RUNNER_LOG
from oxoflow.supervisor.settle import Evidence
from oxoflow.workspace import RECORDS, directory_below, open_regular, tail

EVENTS = f"{RECORDS}/events.jsonl"
MOUTHFUL = 256 * 1024  # bytes of events taken at a time, so that one run cannot hold up the others
LARGEST_FILE = (
    128 * 1024 * 1024
)  # bytes of events that are followed; a run of 200,000 jobs has less


class Live(Struct):
    """A started run: `process` is set when it is our own child, None when it was adopted."""

    run: Run
    directory: Path
    process: subprocess.Popen[bytes] | None
    offset: int
    watch: int | None = None  # becomes readable when the runner ends
    retry_at: float = 0.0  # after trouble with the database or the disk: not before this moment
    full: bool = False  # its event file is longer than is followed
    most: int = 0  # threads that it was admitted with; it may hold fewer meanwhile
    asked: int | None = None  # threads that it was told to keep to, and has not yet come down to

    def ended(self) -> bool:
        """Whether the runner is gone; reaps it when it is our child."""
        if self.process is not None:
            return self.process.poll() is not None
        identity = self.run.identity
        return identity is None or not identity.alive()

    def read(self) -> tuple[list[EventLine], int]:
        """The next events and the offset behind them; nothing and the old offset at the end.

        Every file is opened anew and nothing is followed out of the directory: a rule may have put
        anything in its place.
        """
        descriptor = open_regular(self.directory, EVENTS)
        if descriptor is None:
            return [], self.offset
        try:
            size = os.fstat(descriptor).st_size
            if size <= self.offset:
                return [], self.offset
            path = Path(f"/proc/self/fd/{descriptor}")
            lines, offset = read_events(path, self.offset, MOUTHFUL)
            if offset == self.offset and size - offset >= MOUTHFUL:  # one line longer than that
                lines, offset = read_events(path, self.offset, 2 * LINE_LIMIT)
            return lines, offset
        finally:
            os.close(descriptor)

    def evidence(self) -> Evidence:
        """What is left of a runner that has ended."""
        locked = False
        record: RunRecord | None = None
        try:
            with directory_below(self.directory, RECORDS) as records:
                holder = lock_holder(records / "lock")
                locked = holder is not None
            record = self._record()
        except (OSError, DiskTrouble):
            pass
        return Evidence(
            exit_code=None if self.process is None else self.process.returncode,
            record=record,
            last_words=self._last_words(),
            locked=locked,
            marked=signals.count_marked(self.run.id) if self.run.cancel_requested_at else 0,
        )

    def _last_words(self) -> str:
        if not self.directory.is_dir():
            return "the run's directory was removed while it ran; submit the workflow again"
        return tail(self.directory, RUNNER_LOG, 20) or ""

    def _record(self) -> RunRecord | None:
        descriptor = open_regular(self.directory, f"{RECORDS}/run.json")
        if descriptor is None:  # a FIFO or a link, or nothing
            return None
        os.close(descriptor)
        return RunDirectory(self.directory).read_run()

    def close(self) -> None:
        """Forget the run; a child that still lives goes on without us."""
        if self.watch is not None:
            os.close(self.watch)
            self.watch = None
        if self.process is not None and self.process.returncode is None:
            self.process.returncode = 0  # so that Popen does not complain: leaving it is intended
