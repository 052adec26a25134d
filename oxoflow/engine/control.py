"""Bring words from outside to the run: signals, and messages in `control/` (design 2).

Owns the signal handlers while a run lasts, and the reading of messages. What a word does to the
run is decided by whoever takes it from the queue.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

from msgspec import Struct

from oxoflow.engine.rundir import ControlMessage, read_control

POLL_SECONDS = 0.2
_EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


class Cancel(Struct, frozen=True):
    """End the run; `exit_code` is what the process then returns."""

    exit_code: int


class Interrupted(BaseException):
    """The run is to end, and nothing has begun that would have to be ended first."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


class LookNow(Struct, frozen=True):
    """A message may have arrived."""


class Control:
    """The words for one run. Signals are taken only while `listening`, in the main thread."""

    def __init__(self, directory: Path, run_id: str, put: Callable[[Cancel | LookNow], None]):
        self._directory = directory
        self._run_id = run_id
        self._put = put
        self._seen: set[str] = set()
        self._next_look = 0.0
        self.interrupts = 0
        self._may_raise = False  # main thread only

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Handle signals; without effect in a thread that may not."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1]
        if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # with nohup we outlive a terminal
            numbers.append(signal.SIGHUP)
        former = {number: signal.signal(number, self._on_signal) for number in numbers}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Meanwhile a wish to end the run raises Interrupted, in the middle of whatever it is."""
        self._may_raise = True
        try:
            yield
        finally:
            self._may_raise = False

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGUSR1:
            self._put(LookNow())
            if self._may_raise and self._is_cancelled():
                self._interrupt(signal.SIGTERM)
            return
        self.interrupts += 1
        self._put(Cancel(_EXIT_CODES[signal.Signals(number)]))
        if self._may_raise:
            self._interrupt(number)

    def _interrupt(self, number: int) -> NoReturn:
        self._may_raise = False  # what ends the run then is not to be interrupted
        raise Interrupted(_EXIT_CODES[signal.Signals(number)])

    def _is_cancelled(self) -> bool:
        return any(message.type == "cancel" for message in read_control(self._directory))

    def drop_stale(self) -> None:
        """Forget messages to an earlier run in this directory."""
        for message in read_control(self._directory):
            if message.body.get("run_id") != self._run_id:
                self._remove(message)

    def messages(self, *, now: bool = False) -> list[ControlMessage]:
        """New messages in order; looks at most every POLL_SECONDS unless told to."""
        if not now and time.monotonic() < self._next_look:
            return []
        self._next_look = time.monotonic() + POLL_SECONDS
        found = read_control(self._directory, self._seen)
        for message in found:
            self._seen.add(message.name)
            self._remove(message)
        return found

    def _remove(self, message: ControlMessage) -> None:
        with contextlib.suppress(OSError):
            (self._directory / message.name).unlink()
