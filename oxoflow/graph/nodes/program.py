"""Run one program of a graph to its end: watched, bounded in time and output, its tree ended.

Owns the waiting: exit, deadline, silence, too much output, or nobody wants the result any more.
The log of a node is the sum of what its programs wrote. Knows no runtime: argv comes from outside.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from oxoflow.engine.ending import JOB_MARKER, end_job
from oxoflow.engine.process import Child, ProcessTable, SpawnFailed
from oxoflow.engine.rundir import log_name
from oxoflow.graph.work import Context, NodeFailure, TimedOut

GRACE = 2.0  # seconds between TERM and KILL (4.9)
GLANCE = 0.25  # seconds between looks at the size of the output
MAX_OUTPUT = 1024 * 1024  # bytes of stdout that are a value
MAX_STDERR = 8 * 1024 * 1024
MAX_LOG = 16 * 1024 * 1024  # bytes of one node's log


class Finished(Struct, frozen=True):
    """What a program left behind."""

    code: int
    stdout: bytes
    stderr: bytes
    peak_bytes: int = 0  # of memory


def run_program(
    argv: Sequence[str],
    context: Context,
    directory: Path,
    variables: Mapping[str, str],
    stdin: int | None = None,
) -> Finished:
    """Run to the end; raise NodeFailure, TimedOut or Stopped, never leaving a process behind.

    `directory` is private to this run: the output files stand beside the working directory in it.
    """
    work = directory / "work"
    work.mkdir(exist_ok=True)
    outputs = (directory / "stdout", directory / "stderr")
    env = dict(context.desk.environment)
    env |= {name.encode(): value.encode() for name, value in variables.items()}
    env[JOB_MARKER.encode()] = context.at.encode()
    table = context.desk.processes
    with _opened(outputs) as (out, err):
        try:
            child = table.spawn(
                argv, cwd=work, env=env, stdin=stdin, stdout=out, stderr=err, token=context.at
            )
        except SpawnFailed as error:
            raise NodeFailure(error.message) from error
    try:
        _watch(table, child, context, outputs)
    except BaseException:
        _end(table, child)
        table.wait(child)
        raise
    finally:
        _keep_logs(context, outputs)
    ended = table.wait(child)
    if table.has_orphans():
        end_job(table, child)
    context.token.check()
    said = _read(outputs[0], MAX_OUTPUT), _tail(outputs[1], 64 * 1024)
    return Finished(ended.code, *said, round(ended.peak_mb * 1024 * 1024))


def _watch(table: ProcessTable, child: Child, context: Context, outputs: tuple[Path, Path]) -> None:
    """Return when the program has ended; raise when it shall not go on."""
    silent_since, seen = time.monotonic(), 0
    wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    ended = os.pidfd_open(child.pid)
    poller = select.poll()
    poller.register(wake, select.POLLIN)
    poller.register(ended, select.POLLIN)
    try:
        with context.token.calling(lambda: os.eventfd_write(wake, 1)):
            while True:
                left = context.token.remaining(GLANCE)
                ready = poller.poll(1000 * (GLANCE if left is None else left))
                if any(descriptor == ended for descriptor, _ in ready):
                    return
                context.token.check()
                sizes = [path.stat().st_size for path in outputs]
                _check_sizes(sizes)
                if sum(sizes) != seen:
                    silent_since, seen = time.monotonic(), sum(sizes)
                if context.idle is not None and time.monotonic() - silent_since > context.idle:
                    raise TimedOut(f"No output for {context.idle:g} s")
    finally:
        os.close(ended)
        os.close(wake)


def _check_sizes(sizes: Sequence[int]) -> None:
    if sizes[0] > MAX_OUTPUT:
        raise NodeFailure(f"wrote more than {MAX_OUTPUT} bytes to stdout", retry=False)
    if sizes[1] > MAX_STDERR:
        raise NodeFailure(f"wrote more than {MAX_STDERR} bytes to stderr", retry=False)


def _end(table: ProcessTable, child: Child) -> None:
    """TERM to the group, a grace, then KILL to the whole tree."""
    table.signal_group(child, signal.SIGTERM)
    descriptor = os.pidfd_open(child.pid)
    try:
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        poller.poll(1000 * GRACE)
    finally:
        os.close(descriptor)
    end_job(table, child)


@contextlib.contextmanager
def _opened(paths: tuple[Path, Path]) -> Iterator[tuple[int, int]]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
    descriptors = [os.open(path, flags, 0o600) for path in paths]
    try:
        yield descriptors[0], descriptors[1]
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _read(path: Path, most: int) -> bytes:
    with path.open("rb") as handle:
        content = handle.read(most + 1)
    _check_sizes((len(content), 0))
    return content


def _tail(path: Path, most: int) -> bytes:
    with path.open("rb") as handle:
        handle.seek(max(0, path.stat().st_size - most))
        return handle.read(most)


def _keep_logs(context: Context, outputs: tuple[Path, Path]) -> None:
    """Append what was written to the node's log files."""
    logs = context.desk.place("logs")
    for path, ending in zip(outputs, ("out", "err"), strict=True):
        content = path.read_bytes()[:MAX_LOG]
        kept = logs / f"{log_name(context.node_id)}.{ending}"
        if content and (not kept.exists() or kept.stat().st_size < MAX_LOG):
            with kept.open("ab") as handle:
                handle.write(content)
