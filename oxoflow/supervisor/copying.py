"""Copy one regular file with its time and mode, following no link, and cheaply where possible."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

from oxoflow.workspace import open_regular

FICLONE = 0x40049409  # _IOW(0x94, 9, int): share the blocks of another file
CHUNK = 1 << 30


def copy(old: Path, name: str, target: Path, known: tuple[int, int] | None = None) -> bool:
    """Copy one regular file with its time, sharing blocks where possible; False when left out.

    `known` are the size and time it must have: those it had when it was verified.
    """
    descriptor = open_regular(old, name)
    if descriptor is None:
        return False
    try:
        facts = os.fstat(descriptor)
        if known not in (None, (facts.st_size, facts.st_mtime_ns)):
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)  # uploads stand as links until now
        with open(target, "xb") as handle:
            _share_or_copy(descriptor, handle.fileno(), facts.st_size)
            os.fchmod(handle.fileno(), stat.S_IMODE(facts.st_mode) | stat.S_IWUSR)
            os.utime(handle.fileno(), ns=(facts.st_atime_ns, facts.st_mtime_ns))
        return True
    finally:
        os.close(descriptor)


def _share_or_copy(source: int, target: int, size: int) -> None:
    try:
        fcntl.ioctl(target, FICLONE, source)
        return
    except OSError:  # another file system, or one without shared blocks
        pass
    done = 0
    while done < size:
        moved = os.sendfile(target, source, done, min(CHUNK, size - done))
        if not moved:
            raise OSError("a file became shorter while it was copied")
        done += moved
