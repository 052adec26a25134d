"""Make the named pipes between jobs, and see to it that no end waits for one that is gone (5.8).

Owns the FIFOs of one group for one attempt. Both ends of each are held open here from the start: so
no job waits for another to open it, a writer may open it several times like a file, and what it
wrote before the reader came is kept. The writer's end is given up when the writing job succeeded,
and only then does the reader see the end of the data: a reader never takes half a stream for all.
The reader's end is given up when the reading job has ended: then a writer is told by SIGPIPE.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from oxoflow.engine.disk import trouble

_ROOM = 1_048_576  # bytes between writer and reader; the kernel may allow less
_IN_MODIFY, _IN_CLOSE_WRITE = 0x2, 0x8
_EVENTS = 4096


class Fifo:
    """One named pipe; used by one thread."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._watch = -1
        self._writer = -1
        self._written = False
        self._writer_gone = False
        self._reader_gone = False
        remove_pipe(path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.mkfifo(path, 0o600)
        self._inode = os.lstat(path).st_ino
        self._reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._writer = self._open(os.O_WRONLY)
        with contextlib.suppress(OSError):  # not more room than this account may have
            fcntl.fcntl(self._writer, fcntl.F_SETPIPE_SZ, _ROOM)
        self._watch = _watch_writing(path)

    def end_writing(self) -> str | None:
        """The writing job succeeded; says what is wrong with what it did, if anything."""
        self._writer_gone = True
        try:
            whole = os.lstat(self._path).st_ino == self._inode
        except OSError:
            whole = False
        opened = self._was_written()
        os.close(self._writer)
        self._writer = -1
        if not whole:
            return "replaced it by something else: a program that does so cannot write to a pipe"
        return None if opened else "never wrote to it"

    def end_reading(self) -> None:
        """The reading job has ended: nobody takes what is still written."""
        if not self._reader_gone:
            self._reader_gone = True
            os.close(self._reader)
            self._reader = -1

    def wake(self) -> None:
        """Let go on who waits for an end that is gone: it was opened once too often, or late."""
        if self._writer_gone and not self._reader_gone:
            os.close(self._open(os.O_WRONLY))
        elif self._reader_gone and not self._writer_gone:
            os.close(self._open(os.O_RDONLY))

    def close(self) -> None:
        """Give up both ends and remove the pipe, or the file that took its place."""
        for descriptor in (self._reader, self._writer, self._watch):
            if descriptor >= 0:
                os.close(descriptor)
        self._reader = self._writer = self._watch = -1
        with contextlib.suppress(IsADirectoryError):
            remove_pipe(self._path)

    def _open(self, way: int) -> int:
        """Open it again by what we hold: its path may be somebody else's by now."""
        held = self._reader if self._reader >= 0 else self._writer
        return os.open(f"/proc/self/fd/{held}", way | os.O_NONBLOCK | os.O_CLOEXEC)

    def _was_written(self) -> bool:
        """True when somebody but us opened it for writing; without a watch we cannot tell."""
        if self._watch < 0:
            return True
        try:
            return bool(os.read(self._watch, _EVENTS))
        except BlockingIOError:
            return False


def make_pipes(paths: Sequence[str]) -> dict[str, Fifo]:
    """Make FIFOs at absolute paths; raises OSError, and then none is left."""
    made: dict[str, Fifo] = {}
    for path in paths:
        try:
            made[path] = Fifo(path)
        except OSError:
            for fifo in made.values():
                fifo.close()
            remove_pipe(path, only=True)
            raise
    return made


def remove_pipe(path: str, *, only: bool = False) -> None:
    """Remove what stands where a pipe is to be; with `only`, nothing but a pipe."""
    with contextlib.suppress(FileNotFoundError):
        if not only or stat.S_ISFIFO(os.lstat(path).st_mode):
            os.unlink(path)


def show_pipes(place: Path, root: str, paths: Sequence[str]) -> None:
    """Link pipes into a job's private directory; raises DiskTrouble."""
    for path in paths:
        target, source = place / path, f"{root}/{path}"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if os.path.realpath(target) == os.path.realpath(source):
                continue
            remove_pipe(str(target))
            os.symlink(source, target)
        except OSError as error:
            raise trouble(target, error) from error


def _watch_writing(path: str) -> int:
    """An inotify descriptor that becomes readable when the pipe is written; -1 where none is."""
    library = ctypes.CDLL(None, use_errno=True)
    descriptor = int(library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
    if descriptor < 0:
        return -1
    mask = _IN_MODIFY | _IN_CLOSE_WRITE
    if library.inotify_add_watch(descriptor, os.fsencode(path), mask) < 0:
        os.close(descriptor)
        return -1
    return descriptor
