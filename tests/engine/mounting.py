"""Mount file systems that nobody else sees and that end with this process, however it ends."""

import ctypes
import os
import subprocess
from pathlib import Path

CLONE_NEWNS = 0x0002_0000
MS_PRIVATE_BELOW = 0x0004_0000 | 0x4000  # MS_PRIVATE | MS_REC
_alone: set[int] = set()  # the process that has left the others' name space: this one


def leave_alone() -> None:
    """Keep our mounts to this thread and what it starts, from now on; raises PermissionError.

    There is no way back, and no need of one: what was mounted before stays as it is.
    """
    if os.getpid() in _alone:
        return
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(CLONE_NEWNS) or library.mount(None, b"/", None, MS_PRIVATE_BELOW, None):
        number = ctypes.get_errno()
        raise PermissionError(number, os.strerror(number))
    _alone.add(os.getpid())


def mount(*options: str | Path) -> bool:
    """Mount something for ourselves; False where that may not be done."""
    try:
        leave_alone()
    except PermissionError:
        return False
    return subprocess.run(["mount", *options], stderr=subprocess.DEVNULL).returncode == 0


def mount_memory(place: Path, size: str) -> bool:
    """Mount a file system of a size in memory; False where that may not be done."""
    return mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", place)
