"""Copy what jobs print into `execution.log`, line by line, while they run (design 5).

Owns the reading positions in the jobs' log files and the one descriptor of `execution.log`, which
holds the run's own lines as well. Jobs write their files themselves; nothing here is between a job
and its output.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from msgspec import Struct, field

from oxoflow.engine.disk import trouble

OURS = "oxoflow: "  # before each line of the run's own
_PIECE = 1_048_576
_ENDLESS = 65_536  # a line longer than this is copied in pieces


class _Stream(Struct, eq=False):
    """One log file of a job: how far it was copied, and the start of an unfinished line."""

    path: str
    prefix: bytes
    offset: int = 0
    rest: bytes = b""


class _Source(Struct, eq=False):
    """Both streams of one attempt."""

    streams: tuple[_Stream, _Stream]
    finished: bool = False


class LogCopier(Struct):
    """`copy` and `close` belong to one thread; jobs are announced from any."""

    path: Path
    _sources: dict[int, _Source] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _said: list[str] = field(default_factory=list)
    _descriptor: int = -1
    _next: int = 0

    def __post_init__(self) -> None:
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = os.open(self.path, flags, 0o644)
        except OSError as error:
            raise trouble(self.path, error) from error

    def begin(self, job: str, out: str, err: str) -> int:
        """A job starts to write these files; returns the ticket for `finish`."""
        prefix = f"[{job}] ".encode()
        with self._lock:
            self._next += 1
            self._sources[self._next] = _Source((_Stream(out, prefix), _Stream(err, prefix)))
            return self._next

    def finish(self, ticket: int, wrote_anything: bool) -> None:
        """The job has ended: copy what is left at the next occasion, and forget it."""
        with self._lock:
            if wrote_anything:
                self._sources[ticket].finished = True
            else:
                del self._sources[ticket]

    def say(self, text: str) -> None:
        """Write a line of the run's own, after all that has been written by jobs by now."""
        with self._lock:
            self._said.append(text)

    def copy(self) -> None:
        """Append every job's new whole lines; raises DiskTrouble."""
        with self._lock:
            sources = list(self._sources.items())
            said, self._said = self._said, []
        for ticket, source in sources:
            finished = source.finished  # before reading: what comes later was there then
            for stream in source.streams:
                self._advance(stream, finished)
            if finished:
                with self._lock:
                    del self._sources[ticket]
        self._write("".join(f"{OURS}{text}\n" for text in said).encode("utf-8", "replace"))

    def close(self) -> None:
        """Copy the rest and close."""
        try:
            self.copy()
        finally:
            os.close(self._descriptor)

    def _advance(self, stream: _Stream, finished: bool) -> None:
        try:
            descriptor = os.open(stream.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return  # the job's own business: it may have removed its log
        try:
            while piece := os.pread(descriptor, _PIECE, stream.offset):
                stream.offset += len(piece)
                self._append(stream, piece)
        finally:
            os.close(descriptor)
        if finished and stream.rest:
            self._append(stream, b"\n")

    def _append(self, stream: _Stream, piece: bytes) -> None:
        lines = (stream.rest + piece).split(b"\n")
        stream.rest = lines.pop()
        if len(stream.rest) > _ENDLESS:
            lines.append(stream.rest)
            stream.rest = b""
        if not lines:
            return
        self._write(b"".join(stream.prefix + line + b"\n" for line in lines))

    def _write(self, text: bytes) -> None:
        try:
            while text:
                text = text[os.write(self._descriptor, text) :]
        except OSError as error:
            raise trouble(self.path, error) from error
