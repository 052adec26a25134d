"""Take the verified results of one run over into the directory of another.

Owns what a result is made of: files, the links among them, directories, and what a glob of a
finished job matches. The old directory is only read, and no link out of it is followed; a link
that leads elsewhere is made again as it is. Runs without the server, with the rights of the rules.
"""

from __future__ import annotations

import contextlib
import glob
import os
from pathlib import Path, PurePosixPath

from oxoflow.engine.records import OutputRecord
from oxoflow.engine.state import State
from oxoflow.supervisor.copying import copy
from oxoflow.workspace import EXECUTION_LOG, RECORDS, WORKFLOW_FILE

STATE = f"{RECORDS}/state.sqlite"
_OURS = (RECORDS, WORKFLOW_FILE, EXECUTION_LOG)


def take_results(old: Path, new: Path) -> None:
    """Copy the verified outputs of a run and its state; what was changed since is left out."""
    for name in (STATE, f"{STATE}-wal"):  # the log is there when the old runner was killed
        (new / name).unlink(missing_ok=True)
        copy(old, name, new / name)
    if not (new / STATE).exists():
        return
    state = State(new / STATE)
    try:
        outputs, globs = state.outputs(), state.output_globs()
    finally:
        state.close()
    taking = _Taking(old, new)
    for output in outputs.values():
        taking.take_output(output)
    for pattern in globs:
        taking.take_matches(pattern)


class _Taking:
    """Copies what is named from one run directory to another, each name once."""

    def __init__(self, old: Path, new: Path) -> None:
        self._old = old
        self._new = new
        self._taken: set[str] = set()

    def take_output(self, output: OutputRecord) -> None:
        """Take an output that is as it was verified."""
        name = _inside(output.path)
        if name is None:
            return
        with contextlib.suppress(OSError):  # it is gone, and its job will run again
            facts = os.stat(self._old / name)
            if output.size < 0 or (facts.st_size, facts.st_mtime_ns) == (
                output.size,
                output.mtime_ns,
            ):
                self._take(name)

    def take_matches(self, pattern: str) -> None:
        """Take what a glob matches."""
        if _inside(pattern) is None:
            return
        for found in glob.glob(pattern, root_dir=self._old, recursive=True, include_hidden=True):
            name = _inside(found)
            if name is not None:
                self._take(name)

    def _take(self, name: str) -> None:
        """Take a file, a directory with all that is in it, or a link and what it leads to."""
        link = self._first_link(name)
        if link is None and os.path.isdir(self._old / name):
            self._take_tree(name)
        else:
            self._take_entry(link or name)

    def _take_entry(self, name: str) -> None:
        if name in self._taken:
            return
        self._taken.add(name)
        if os.path.islink(self._old / name):
            self._take_link(name)
        else:
            copy(self._old, name, self._new / name)

    def _first_link(self, name: str) -> str | None:
        """Give the topmost part of a path that is a link; None when there is none."""
        for above in (*reversed(PurePosixPath(name).parents), PurePosixPath(name)):
            if os.path.islink(self._old / above) and above.parts:
                return str(above)
        return None

    def _take_tree(self, name: str) -> None:
        if name in self._taken:
            return
        self._taken.add(name)
        for folder, folders, names in os.walk(self._old / name):
            inside = os.path.relpath(folder, self._old)
            (self._new / inside).mkdir(parents=True, exist_ok=True)
            links = (each for each in folders if os.path.islink(os.path.join(folder, each)))
            for each in (*names, *links):
                self._take_entry(os.path.join(inside, each))

    def _take_link(self, name: str) -> None:
        """Make a link again; one into the old run leads to the same place in the new one."""
        where = os.readlink(self._old / name)
        target = self._new / name
        for top in (str(self._old), os.path.realpath(self._old)):
            if where.startswith(f"{top}/"):
                led_to = where.removeprefix(f"{top}/")
                where = str(self._new / led_to)
                break
        else:
            led_to = os.path.join(os.path.dirname(name), where)
        target.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(target):
            return
        os.symlink(where, target)
        below = _inside(led_to)
        if below is not None and os.path.lexists(self._old / below):
            self._take(below)


def _inside(path: str) -> str | None:
    """Give a path as below the run directory; None when it leads out, or to what is ours."""
    name = os.path.normpath(path)
    first = name.partition("/")[0]
    if "\0" in name or name.startswith("/") or first in (".", "..", *_OURS):
        return None
    return name
