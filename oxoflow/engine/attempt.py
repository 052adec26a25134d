"""Run one command of a job: its log files, its process, its time limit, its measurements.

Owns the two log descriptors of a job and the one way in which commands and hooks are started.
What an exit means is decided elsewhere.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from oxoflow.engine.disk import trouble
from oxoflow.engine.ending import JOB_MARKER, end_job, outlast
from oxoflow.engine.logs import LogCopier
from oxoflow.engine.masking import Mask, MaskedStream
from oxoflow.engine.metering import Meter
from oxoflow.engine.process import Exit, ProcessTable
from oxoflow.engine.rundir import RunDirectory, log_name

_ARGUMENT_LIMIT = 120_000  # bytes; Linux refuses single arguments of 128 KiB
_TAIL = 2048
_SUBSTITUTION = ">("  # of bash: a process that writes on after the command


class JobLogs:
    """The stdout and stderr files of one job, open from its first attempt to its last."""

    def __init__(self, directory: str, copier: LogCopier, job: str, mask: Mask) -> None:
        self._mask = mask
        place = f"{directory}/{log_name(job)}"
        self._paths = (f"{place}.out", f"{place}.err")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        try:
            self.out = os.open(self._paths[0], flags, 0o644)
            self.err = os.open(self._paths[1], flags, 0o644)
        except OSError as error:
            raise trouble(directory, error) from error
        self._copier = copier
        self._ticket = copier.begin(job, *self._paths)
        self._attempt_began_at = 0
        self._out_began_at = 0

    @contextlib.contextmanager
    def writers(self) -> Iterator[tuple[int, int]]:
        """The descriptors for a command's stdout and stderr, until it has ended."""
        if not self._mask:
            yield self.out, self.err
            return
        out, err = MaskedStream(self.out, self._mask), MaskedStream(self.err, self._mask)
        try:
            yield out.writer, err.writer
        finally:
            out.finish()
            err.finish()

    def begin_attempt(self) -> None:
        """What `tail` gives starts here."""
        self._attempt_began_at = os.fstat(self.err).st_size
        self._out_began_at = os.fstat(self.out).st_size

    def note(self, text: str) -> None:
        """Add a line of our own to stderr."""
        try:
            os.write(self.err, f"{self._mask.text(text)}\n".encode("utf-8", "replace"))
        except OSError as error:
            raise trouble(self._paths[1], error) from error

    def tail(self) -> str:
        """The last of what this attempt wrote to stderr; of what it printed, if to there alone."""
        return _end_of(self._paths[1], self._attempt_began_at) or _end_of(
            self._paths[0], self._out_began_at
        )

    def says(self, text: str) -> bool:
        """True when this attempt has written a text already, not long ago."""
        return any(
            text in _end_of(path, began)
            for path, began in zip(
                self._paths, (self._out_began_at, self._attempt_began_at), strict=True
            )
        )

    def close(self) -> None:
        """Close both files and hand the rest over to the copier."""
        wrote = os.fstat(self.out).st_size + os.fstat(self.err).st_size > 0
        os.close(self.out)
        os.close(self.err)
        self._copier.finish(self._ticket, wrote)


def _end_of(path: str, began_at: int) -> str:
    """The end of a file, not from before `began_at`."""
    try:
        with open(path, "rb") as handle:
            size = os.fstat(handle.fileno()).st_size
            start = max(began_at, size - _TAIL)
            handle.seek(start)
            text = handle.read(_TAIL).decode("utf-8", "replace")
    except OSError:
        return ""
    return f"…\n{text}" if start > began_at else text


class Commands(Struct, frozen=True):
    """Start commands for jobs and wait for them; shared by all worker threads."""

    directory: RunDirectory
    table: ProcessTable
    meter: Meter
    variables: Mapping[bytes, bytes]

    def run(
        self,
        argv: Sequence[str],
        *,
        job: str,
        token: str,
        logs: JobLogs,
        cwd: str,
        variables: Mapping[str, str],
        timeout: float | None = None,
    ) -> Exit:
        """Run to the end; raises SpawnFailed. Nothing of a command that failed lives on."""
        if self.script_of(argv, job) is not None:
            with self.fitting(argv, job) as short:
                return self.run(
                    short,
                    job=job,
                    token=token,
                    logs=logs,
                    cwd=cwd,
                    variables=variables,
                    timeout=timeout,
                )
        env = {**self.variables, JOB_MARKER.encode(): os.fsencode(token)}
        for name, value in variables.items():
            env[os.fsencode(name)] = os.fsencode(value)
        with logs.writers() as (out, err):
            child = self.table.spawn(
                argv,
                cwd=cwd,
                env=env,
                stdout=out,
                stderr=err,
                token=token,
                timeout=timeout,
                name=job,
            )
            self.meter.job_started()
            ended = self.table.wait(child)
            writes_on = ended.signal is None and any(_SUBSTITUTION in word for word in argv)
            if writes_on and self.table.has_orphans() and not outlast(self.table, child):
                ended = replace(ended, timed_out=True)
            if (ended.code != 0 or ended.timed_out) and self.table.has_orphans():
                end_job(self.table, child)
        return ended

    def script_of(self, argv: Sequence[str], job: str) -> Path | None:
        """The file through which a shell text goes that is too long for an argument."""
        if len(argv[-1]) * 4 < _ARGUMENT_LIMIT or len(argv) != 3 or argv[1] != "-c":
            return None
        if len(argv[2].encode()) < _ARGUMENT_LIMIT:
            return None
        return self.directory.records / "scripts" / f"{log_name(job)}.sh"

    @contextlib.contextmanager
    def fitting(self, argv: Sequence[str], job: str) -> Iterator[Sequence[str]]:
        """Give arguments that the system takes; a text in a file, which may hold secrets, goes."""
        path = self.script_of(argv, job)
        if path is None:
            yield argv
            return
        try:
            path.parent.mkdir(exist_ok=True)
            path.touch(0o600)
            path.write_bytes(argv[2].encode())
        except OSError as error:
            path.unlink(missing_ok=True)
            raise trouble(path, error) from error
        try:
            yield (argv[0], str(path))
        finally:
            path.unlink(missing_ok=True)
