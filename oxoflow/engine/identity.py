"""Tell one process from a later one with the same number: pid, kernel start time and boot id.

Reads `/proc` and nothing else; signals nobody.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path

from msgspec import Struct


class ProcessStat(Struct, frozen=True):
    """The part of `/proc/PID/stat` that we use; times in clock ticks, memory in pages."""

    pid: int
    name: str
    state: str
    parent: int
    group: int
    session: int
    start_time: int
    resident_pages: int


class ProcessIdentity(Struct, frozen=True):
    """A process that cannot be confused with another: a pid alone is used again by the kernel."""

    pid: int
    start_time: int
    boot_id: str

    def alive(self) -> bool:
        """True while exactly this process runs; a zombie counts as ended."""
        if self.boot_id != boot_id():
            return False
        stat = read_stat(self.pid)
        return stat is not None and stat.start_time == self.start_time and stat.state not in "ZX"


@functools.cache
def boot_id() -> str:
    """The kernel's name for this boot; empty where it has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def new_id() -> str:
    """A random UUID (version 4); the standard module would add a tenth to the start of a run."""
    raw = bytearray(os.urandom(16))
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def read_stat(pid: int) -> ProcessStat | None:
    """What the kernel says about a process, zombies included; None when there is none."""
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        text = os.read(descriptor, 1024)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    # The name may hold blanks and brackets: the last closing bracket ends it.
    head, _, tail = text.rpartition(b")")
    fields = tail.split()
    if len(fields) < 22:
        return None
    return ProcessStat(
        pid=pid,
        name=head.partition(b"(")[2].decode("utf-8", "replace"),
        state=fields[0].decode("ascii"),
        parent=int(fields[1]),
        group=int(fields[2]),
        session=int(fields[3]),
        start_time=int(fields[19]),
        resident_pages=int(fields[21]),
    )


def identify(pid: int) -> ProcessIdentity | None:
    """The identity of a live process; None when it is gone."""
    stat = read_stat(pid)
    return None if stat is None else ProcessIdentity(pid, stat.start_time, boot_id())


def all_processes() -> dict[int, ProcessStat]:
    """One look at every process that this account can see."""
    found: dict[int, ProcessStat] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            stat = read_stat(int(name))
            if stat is not None:
                found[stat.pid] = stat
    return found
