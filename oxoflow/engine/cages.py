"""Hold jobs to the memory they declare: by control groups where we may make them, else by rlimit.

Owns the groups of one run and the words put before a command so that it enters its group before it
does anything (design 5, `--enforce-memory`). Which jobs are held is the caller's choice.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

_MB = 1_048_576


class _Version(Struct, frozen=True):
    """The file names of one version of control groups."""

    limit: str
    swap: str
    swap_adds: bool  # the swap file limits memory and swap together
    killed: str


_V1 = _Version("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", True, "memory.oom_control")
_V2 = _Version("memory.max", "memory.swap.max", False, "memory.events")


class Cage:
    """One command's limit of memory; use it once."""

    def __init__(self, megabytes: int, group: Path | None, version: _Version) -> None:
        self._megabytes = megabytes
        self._group = group
        self._version = version

    def argv(self, argv: Sequence[str]) -> tuple[str, ...]:
        """The arguments that run a command inside."""
        if self._group is None:
            enter = f"ulimit -v {self._megabytes * 1024}"
        else:
            enter = f"echo $$ >{shlex.quote(str(self._group / 'cgroup.procs'))}"
        return ("/bin/sh", "-c", f'{enter} && exec "$@"', "sh", *argv)

    def killed(self) -> bool:
        """True when the kernel ended something inside for want of memory."""
        if self._group is None:
            return False
        try:
            lines = (self._group / self._version.killed).read_text("ascii").splitlines()
        except OSError:
            return False
        return any(line.startswith("oom_kill ") and line.split()[1] != "0" for line in lines)

    def remove(self) -> None:
        """Delete the group; its processes must have ended, zombies take a moment."""
        for _ in range(50):
            if self._group is None:
                return
            try:
                self._group.rmdir()
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(0.01)
            else:
                return


class Cages:
    """The limits of one run's jobs; any thread may ask."""

    def __init__(self, run_id: str) -> None:
        self._version, parent = _find_parent()
        self._top: Path | None = None
        if parent is not None:
            top = parent / f"oxoflow-{run_id}"
            if _make_top(top):
                self._top = top

    @property
    def kind(self) -> str:
        """How memory is held, for people."""
        return "rlimit" if self._top is None else "cgroup"

    @contextlib.contextmanager
    def enter(self, token: str, megabytes: int) -> Iterator[Cage]:
        """A cage for one command."""
        group = None if self._top is None else self._top / token
        if group is not None and not _make(group, self._version, megabytes * _MB):
            group = None
        cage = Cage(megabytes, group, self._version)
        try:
            yield cage
        finally:
            cage.remove()

    def close(self) -> None:
        """Delete the run's group."""
        if self._top is not None:
            Cage(0, self._top, self._version).remove()


def remove_cages(run_id: str) -> None:
    """Delete the groups of a run that could not do so itself; its processes have ended."""
    version, parent = _find_parent()
    top = None if parent is None else parent / f"oxoflow-{os.path.basename(run_id)}"
    if top is None or not top.is_dir():
        return
    with contextlib.suppress(OSError):  # whoever else ends what that run left deletes them, too
        for group in [path for path in top.iterdir() if path.is_dir()]:
            Cage(0, group, version).remove()
    Cage(0, top, version).remove()


def _find_parent() -> tuple[_Version, Path | None]:
    """The group in which ours may be made: where this process is, in either version."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text("utf-8").splitlines()
        own = Path("/proc/self/cgroup").read_text("utf-8").splitlines()
    except OSError:
        return _V2, None
    paths = {fields[1]: fields[2] for fields in (line.split(":", 2) for line in own)}
    for line in mounts:
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        place = Path(before.split()[4])
        if kind == "cgroup" and "memory" in options.split(" ")[-1].split(","):
            return _V1, _existing(place, paths.get("memory"))
        if kind == "cgroup2" and _offers_memory(place, paths.get("")):
            return _V2, _existing(place, paths.get(""))
    return _V2, None


def _existing(place: Path, path: str | None) -> Path | None:
    if path is None:
        return None
    own = place / path.lstrip("/")
    return own if own.is_dir() else place  # inside a container the path may be the host's


def _offers_memory(place: Path, path: str | None) -> bool:
    own = _existing(place, path)
    try:
        return own is not None and "memory" in (own / "cgroup.subtree_control").read_text().split()
    except OSError:
        return False


def _make_top(top: Path) -> bool:
    try:
        top.mkdir(exist_ok=True)
    except OSError:
        return False
    with contextlib.suppress(OSError):  # version 1 has no such file
        (top / "cgroup.subtree_control").write_text("+memory")
    return os.access(top / "cgroup.procs", os.W_OK)


def _make(group: Path, version: _Version, limit: int) -> bool:
    try:
        group.mkdir(exist_ok=True)
        (group / version.limit).write_text(str(limit))
    except OSError:
        return False
    with contextlib.suppress(OSError):  # swap accounting may be switched off
        (group / version.swap).write_text(str(limit if version.swap_adds else 0))
    return True
