"""Find the processes that belong to a job or a run, whatever they did to get away.

Owns the ways to recognise one: parent links, session, the marker in its environment, a job's log
that it holds open for writing. Looks only; ends nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from oxoflow.engine.identity import ProcessStat

ENDED = frozenset("ZX")


def descendants(
    roots: Iterable[int], processes: Mapping[int, ProcessStat]
) -> dict[int, ProcessStat]:
    """Everything below `roots`, the roots themselves not included, parents before children."""
    children: dict[int, list[ProcessStat]] = {}
    for stat in processes.values():
        children.setdefault(stat.parent, []).append(stat)
    found: dict[int, ProcessStat] = {}
    waiting = list(roots)
    while waiting:
        for stat in children.get(waiting.pop(), ()):
            if stat.pid not in found:
                found[stat.pid] = stat
                waiting.append(stat.pid)
    return found


def job_members(
    leader: int, token: bytes, processes: Mapping[int, ProcessStat], adopter: int
) -> dict[int, ProcessStat]:
    """The processes of one job: its session, marked orphans that came to `adopter`, all below."""
    roots = {stat.pid for stat in processes.values() if leader in (stat.pid, stat.session)}
    for stat in processes.values():
        if stat.parent == adopter and stat.pid not in roots and carries(stat.pid, token):
            roots.add(stat.pid)
    members = {pid: processes[pid] for pid in roots}
    members |= descendants(roots, processes)
    return {pid: stat for pid, stat in members.items() if stat.state not in ENDED}


def carries(pid: int, entry: bytes) -> bool:
    """True when `NAME=value` stands in the environment with which a process was started."""
    return entry in _environment(pid)


def marked_with(pid: int, name: str) -> str | None:
    """The value that a variable had in the environment with which a process was started."""
    start = f"{name}=".encode()
    for entry in _environment(pid):
        if entry.startswith(start):
            return os.fsdecode(entry[len(start) :])
    return None


def _environment(pid: int) -> list[bytes]:
    try:
        with open(f"/proc/{pid}/environ", "rb") as handle:
            return handle.read().split(b"\0")
    except OSError:
        return []


def writes_below(pid: int, directory: Path) -> bool:
    """True when a process has a file below `directory` open for writing."""
    prefix = f"{directory}/"
    try:
        for number in os.listdir(f"/proc/{pid}/fd"):
            if os.readlink(f"/proc/{pid}/fd/{number}").startswith(prefix):
                with open(f"/proc/{pid}/fdinfo/{number}", "rb") as handle:
                    if _is_writable(handle.read()):
                        return True
    except OSError:
        return False
    return False


def works_below(pid: int, directory: Path) -> bool:
    """True when a process has `directory`, or one below it, as its working directory."""
    try:
        place = os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return False
    return place == str(directory) or place.startswith(f"{directory}/")


def _is_writable(info: bytes) -> bool:
    for line in info.splitlines():
        name, _, value = line.partition(b":")
        if name == b"flags":
            return int(value, 8) & (os.O_WRONLY | os.O_RDWR) != 0
    return False
