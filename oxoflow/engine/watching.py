"""Look, now and then, at which files the processes of running jobs have open.

Owns the samples behind the findings of `undeclared`: a look misses what is opened and closed
between two, and never holds up a job.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from oxoflow.engine.process import ProcessTable, children_of

_PROCESSES = 200  # a look is bounded, whatever a job starts
_FILES = 256
_WRITING = os.O_WRONLY | os.O_RDWR


class Watcher:
    """Remembers, for each job, the files below `root` that it was seen to read and to write."""

    def __init__(self, table: ProcessTable, root: str) -> None:
        self._table = table
        self._prefix = f"{os.path.realpath(root)}/"
        self.read: dict[str, set[str]] = {}
        self.written: dict[str, set[str]] = {}

    def look(self) -> None:
        """Take one sample of every live job."""
        for child in self._table.live():
            for pid in _tree(child.pid):
                for path, writing in self._files(pid):
                    seen = self.written if writing else self.read
                    seen.setdefault(child.name, set()).add(path)

    def _files(self, pid: int) -> Iterator[tuple[str, bool]]:
        place = f"/proc/{pid}/fd"
        try:
            numbers = os.listdir(place)[:_FILES]
        except OSError:
            return
        for number in numbers:
            try:
                path = os.readlink(f"{place}/{number}")
                if path.startswith(self._prefix):
                    yield path[len(self._prefix) :], _is_writing(pid, number)
            except (OSError, ValueError):
                continue  # closed, or the process ended, while we looked


def _is_writing(pid: int, number: str) -> bool:
    with open(f"/proc/{pid}/fdinfo/{number}") as handle:
        for line in handle:
            if line.startswith("flags:"):
                return bool(int(line.split()[1], 8) & _WRITING)
    return False


def _tree(pid: int) -> Iterator[int]:
    waiting, seen = [pid], 0
    while waiting and seen < _PROCESSES:
        here = waiting.pop()
        seen += 1
        yield here
        waiting += children_of(here)
