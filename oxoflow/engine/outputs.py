"""Look after a job's declared outputs: what was there before, is all there now, what must go.

Owns snapshot, verification and clean-up (spec/oxoflow-format.md 5.7) and the places where outputs
may lie (5.15). Works on given paths below one root; records nothing.
"""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import stat
from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct

from oxoflow.engine.contents import list_contents
from oxoflow.engine.fifos import remove_pipe
from oxoflow.engine.files import DIRECTORY_SIZE
from oxoflow.engine.journal import Shape
from oxoflow.engine.matching import is_glob
from oxoflow.engine.records import OutputRecord

ASIDE = ".oxo-failed"


class Verified(Struct, frozen=True):
    """What verification found: the outputs that are there, and those that are not."""

    present: tuple[OutputRecord, ...]
    missing: tuple[str, ...]


def shapes_before(root: str, paths: Iterable[str]) -> dict[str, Shape]:
    """How each output looks that exists; unexpanded and remote ones are left out.

    A named pipe is what a dead run left in a file's place, and goes: who opens it waits forever.
    """
    found: dict[str, Shape] = {}
    for path in paths:
        if _is_file_name(path):
            shape = _shape(_full(root, path))
            if shape is not None and not (shape[1] == 0 and _was_pipe(_full(root, path))):
                found[path] = shape
    return found


def verify(root: str, job: str, paths: Iterable[str]) -> Verified:
    """Look for every declared, fully expanded output; a glob needs at least one match."""
    present, missing = [], []
    for path in paths:
        if not _is_file_name(path):
            continue
        try:
            status = os.stat(_full(root, path))
        except OSError:
            if not (is_glob(path) and glob.glob(_full(root, path), include_hidden=True)):
                missing.append(path)
            continue
        if stat.S_ISFIFO(status.st_mode):
            missing.append(path)
            continue
        present.append(_record(root, path, job, status))
    return Verified(tuple(present), tuple(missing))


def _record(root: str, path: str, job: str, status: os.stat_result) -> OutputRecord:
    if not stat.S_ISDIR(status.st_mode):
        return OutputRecord(path, job, status.st_size, status.st_mtime_ns)
    held = list_contents(_full(root, path))
    return OutputRecord(path, job, DIRECTORY_SIZE, status.st_mtime_ns, contents=held)


def clean_up(
    root: str,
    paths: Iterable[str],
    before: Mapping[str, Shape],
    kept: Collection[str] = (),
) -> tuple[str, ...]:
    """Undo what a failed job left: created outputs go, changed ones are set aside.

    Returns the outputs that were changed. Untouched and `kept` ones stay; so does a changed one
    when something stands where it would be set aside. Trouble with one path spares the others.
    """
    changed = []
    for path in paths:
        if not _is_file_name(path) or path in kept:
            continue
        full = _full(root, path)
        now = _shape(full)
        if now is None or now == before.get(path):
            continue
        with contextlib.suppress(OSError):
            if path not in before:
                delete(full)
            elif not os.path.lexists(full.rstrip("/") + ASIDE):
                os.rename(full.rstrip("/"), full.rstrip("/") + ASIDE)
                changed.append(path)
    return tuple(changed)


def delete(path: str) -> None:
    """Remove a file, a link or a whole directory."""
    if os.path.isdir(path) and not os.path.islink(path.rstrip("/")):
        shutil.rmtree(path)
    else:
        os.unlink(path.rstrip("/"))


def lies_inside(root: str, path: str) -> bool:
    """Say whether a path, its links followed, lies below the working directory."""
    return os.path.realpath(_full(root, path)).startswith(os.path.realpath(root) + "/")


def refused(root: str, path: str) -> str | None:
    """Why an output may not lie where it is declared; None when it may (5.15)."""
    if "://" in path or ("/.." not in path and path[:2] != ".." and path[:1] != "/"):
        return None
    full = os.path.realpath(_full(root, path))
    top = os.path.realpath(root)
    if full == top:
        return f"output '{path}' is the working directory itself; give a path inside it"
    if full.startswith(top + "/"):
        return None
    return f"output '{path}' lies outside the working directory; give a path inside it"


class ParentDirectories:
    """Make the directories that outputs need, each once; any thread may ask."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._made: set[str] = set()

    def make(self, paths: Iterable[str], below: str | None = None) -> None:
        """Make the parents of relative or absolute paths; raises OSError."""
        for path in paths:
            parent = path.rstrip("/").rpartition("/")[0]
            if parent and _is_file_name(parent):
                full = _full(below or self._root, parent)
                if full not in self._made or not os.path.isdir(full):
                    os.makedirs(full, exist_ok=True)
                    self._made.add(full)


def _is_file_name(path: str) -> bool:
    return "{" not in path and "://" not in path


def _full(root: str, path: str) -> str:
    return path if path[:1] == "/" else f"{root}/{path}"


def _was_pipe(full: str) -> bool:
    remove_pipe(full, only=True)
    return not os.path.lexists(full)


def _shape(full: str) -> Shape | None:
    try:
        status = os.lstat(full.rstrip("/"))
        if stat.S_ISLNK(status.st_mode) and os.path.exists(full):
            status = os.stat(full)
    except (OSError, ValueError):
        return None
    if stat.S_ISDIR(status.st_mode):
        return _directory_shape(full, status)
    return status.st_mtime_ns, status.st_size, status.st_ino


def _directory_shape(full: str, status: os.stat_result) -> Shape:
    """The newest time and the sum of sizes below a directory: what is written shows in one."""
    newest, size = status.st_mtime_ns, 0
    for place, directories, files in os.walk(full):
        for name in (*directories, *files):
            with contextlib.suppress(OSError):
                entry = os.lstat(os.path.join(place, name))
                newest = max(newest, entry.st_mtime_ns)
                size += entry.st_size
    return newest, size, status.st_ino
