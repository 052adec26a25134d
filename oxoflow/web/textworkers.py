"""Keep a few processes that do the verbs on workflow texts, and end one that takes too long.

Owns the processes and the time each may take. So a hostile text holds neither the interpreter nor
the memory of the server, and, once a process has loaded, a request thread for a few seconds at
most (design, section 7).
"""

from __future__ import annotations

import json
import logging
import os
import queue
import select
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oxoflow.errors import Unavailable, WorkflowError
from oxoflow.limits import DEFAULT, Limits
from oxoflow.settings import limit_variables
from oxoflow.web.frames import LENGTH, frame, unpacked

PROCESSES = 2
SECONDS = 5.0  # for one text
LOADING = 60.0  # seconds until a process that was started is ready; no text's time
PATIENCE = 2.0  # seconds to wait for a free process
MOST_DONE = 2000  # texts after which a process is replaced, so that no leak lasts
ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "oxoflow.web.textworker")

log = logging.getLogger("oxoflow.web")


class _Stopped(Exception):
    """The process took too long, or died."""


class _Worker:
    """One process; used by one thread at a time."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._process: subprocess.Popen[bytes] | None = None
        self._done = 0

    def do(self, verb: str, asked: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Have one verb done; raises _Stopped, and is usable again afterwards."""
        if self._process is not None and self._process.poll() is not None:
            self.stop()  # it died while nobody used it
        try:
            process = self._process or self._start()
            found = _exchange(process, frame({"verb": verb, "asked": asked}), seconds)
        except (OSError, _Stopped):
            self.stop()
            raise _Stopped() from None
        self._done += 1
        if self._done >= MOST_DONE:
            self.stop()
        return found

    def _start(self) -> subprocess.Popen[bytes]:
        # An environment of its own: of the server's settings only the limits of a text are in it.
        environ = {"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)}
        environ.update(self._variables)
        process = subprocess.Popen(
            COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/", env=environ, bufsize=0
        )
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
        self._process, self._done = process, 0
        _receive(process, time.monotonic() + LOADING)  # it says that it is ready
        return process

    def stop(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _exchange(process: subprocess.Popen[bytes], request: bytes, seconds: float) -> dict[str, Any]:
    """Send one frame and read one, all within `seconds`."""
    assert process.stdin is not None
    until = time.monotonic() + seconds
    sink = process.stdin.fileno()
    unsent = memoryview(request)
    while unsent:
        _wait(sink, select.POLLOUT, until)
        unsent = unsent[os.write(sink, unsent) :]
    return _receive(process, until)


def _receive(process: subprocess.Popen[bytes], until: float) -> dict[str, Any]:
    """Read one frame; raises _Stopped when it is not there by then."""
    assert process.stdout is not None
    source = process.stdout.fileno()
    received = bytearray()
    wanted = LENGTH.size
    while len(received) < wanted:
        _wait(source, select.POLLIN, until)
        data = os.read(source, 1 << 20)
        if not data:
            raise _Stopped()
        received += data
        if wanted == LENGTH.size and len(received) >= wanted:
            wanted += LENGTH.unpack_from(received)[0]
    found: dict[str, Any] = json.loads(received[LENGTH.size :])
    return found


def _wait(descriptor: int, event: int, until: float) -> None:
    poller = select.poll()
    poller.register(descriptor, event)
    left = until - time.monotonic()
    if left <= 0 or not poller.poll(left * 1000):
        raise _Stopped()


class TextWorkers:
    """All processes; started when first needed, callable from any thread."""

    def __init__(
        self,
        processes: int = PROCESSES,
        seconds: float = SECONDS,
        patience: float = PATIENCE,
        limits: Limits = DEFAULT,
    ) -> None:
        self._seconds = seconds
        self._patience = patience
        self._workers = [_Worker(limit_variables(limits)) for _ in range(processes)]
        self._free: queue.LifoQueue[_Worker] = queue.LifoQueue()
        for worker in self._workers:
            self._free.put(worker)
        self._stopped = threading.Event()

    def __call__(self, verb: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Have a verb done; raises WorkflowError, or Unavailable when all processes are busy."""
        try:
            worker = self._free.get(timeout=self._patience)
        except queue.Empty:
            raise Unavailable(
                "Too many workflow texts at a time", "try again soon", retry_after=2
            ) from None
        try:
            if self._stopped.is_set():
                raise Unavailable("The server is stopping", retry_after=10)
            found = worker.do(verb, asked, self._seconds)
        except _Stopped:
            log.warning("%s of a workflow text was stopped after %g s", verb, self._seconds)
            raise WorkflowError(
                f"this took longer than {self._seconds:g} s and was stopped: "
                "make the workflow smaller, or use the command line"
            ) from None
        finally:
            self._free.put(worker)
        return unpacked(found)

    def stop(self) -> None:
        """End the processes; those who wait are refused."""
        self._stopped.set()
        for worker in self._workers:
            worker.stop()
