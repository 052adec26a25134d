"""Write small records that survive a crash as old or new, and name what the disk refuses.

Owns durable replacement, free-space questions and the words for failed disk operations. It knows
no layout: paths are given by the caller.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from oxoflow.errors import DiskTrouble

_CURES = {
    errno.ENOSPC: "free some space, then run again: finished jobs are kept",
    errno.EDQUOT: "free some of your quota, then run again: finished jobs are kept",
    errno.EROFS: "remount the file system writable, then run again",
    errno.EIO: "check the disk and the kernel's log, then run again",
    errno.ENOENT: "the directory was removed while in use; restore it, then run again",
    errno.ESTALE: "the network file system went away; mount it again, then run again",
    errno.ENOLCK: "mount this file system with locks, or run on another one",
    errno.EACCES: "give this account write access, then run again",
    errno.EPERM: "give this account write access, then run again",
}


def trouble(path: Path | str, error: OSError) -> DiskTrouble:
    """Describe a failed disk operation: the path, the system's words and what to do."""
    fact = os.strerror(error.errno) if error.errno else str(error)
    cure = _CURES.get(error.errno or 0, "run again once it is cured: finished jobs are kept")
    return DiskTrouble(f"'{path}' could not be written: {fact}; {cure}", detail=fact)


def replace_file(path: Path, content: bytes) -> None:
    """Put `content` at `path` by rename, on the disk before it returns; raises DiskTrouble."""
    draft = path.with_name(f".{path.name}.tmp")  # a killed writer leaves one, not many
    try:
        with draft.open("wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        draft.rename(path)
        sync(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):  # a disk that refused the one may refuse the other
            draft.unlink(missing_ok=True)
        raise trouble(path, error) from error


def sync(path: Path) -> None:
    """Bring a file to the disk; of a directory, the names in it, so that they survive a power cut.

    Raises DiskTrouble.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise trouble(path, error) from error


_PAGE = 4096


def free_megabytes(path: Path) -> int:
    """Space that this account may still use at `path`, in MiB; raises DiskTrouble."""
    try:
        figures = os.statvfs(path)
    except OSError as error:
        raise trouble(path, error) from error
    return figures.f_bavail * figures.f_frsize // 1_048_576


def is_full(path: Path | str) -> bool:
    """Say whether not even a page is left at `path`; False where nobody can tell."""
    try:
        figures = os.statvfs(path)
    except OSError:
        return False
    return figures.f_bavail * figures.f_frsize < _PAGE
