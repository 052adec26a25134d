"""Copy files without copying their content where the file system can share it.

Owns the order of preference: a reflink, a hard link where it is safe and allowed, a plain copy.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil

_FICLONE = 0x40049409  # ioctl that makes one file share another's blocks


def clone(source: str, target: str) -> None:
    """Copy a file with its mode and times, by reflink if possible; raises OSError."""
    if not _reflink(source, target):
        shutil.copyfile(source, target)
    shutil.copystat(source, target)


def share(source: str, target: str, *, link: bool) -> str:
    """Give a file a second place that nobody's edit spoils for the other; says how it was done.

    A hard link is one file in two places, so it is made only with `link`, of a file that is
    read-only, and never for root, whom permissions do not stop. Raises OSError.
    """
    if _reflink(source, target):
        shutil.copystat(source, target)
        return "reflink"
    if link and os.geteuid() != 0:
        with contextlib.suppress(OSError):
            os.link(source, target)
            return "hard link"
    shutil.copyfile(source, target)
    shutil.copystat(source, target)
    return "copy"


def _reflink(source: str, target: str) -> bool:
    with open(source, "rb") as reader:
        made = False
        try:
            with open(target, "xb") as writer:
                made = True
                fcntl.ioctl(writer.fileno(), _FICLONE, reader.fileno())
        except FileExistsError:
            raise
        except OSError:
            if made:
                os.unlink(target)
            return False
    return True
