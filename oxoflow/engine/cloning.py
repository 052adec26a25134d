"""Copy files without copying their content where the file system can share it.

Owns the order of preference: a reflink, a hard link where the caller allows it, a plain copy.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil

_FICLONE = 0x40049409  # ioctl that makes one file share another's blocks
_PIECE = 1_048_576


def clone(source: str, target: str) -> None:
    """Copy a file with its mode and times, by reflink if possible; raises OSError."""
    if not _reflink(source, target):
        shutil.copyfile(source, target)
    shutil.copystat(source, target)


def share(source: str, target: str, *, link: bool) -> tuple[str, str]:
    """Give a file a second place; says how it was done, and the sha256 of what stands there.

    A hard link is one file in two places, so it is made only with `link`, of a file that is
    read-only, and never for root, whom permissions do not stop. Raises OSError.
    """
    if _reflink(source, target):
        shutil.copystat(source, target)
        return "reflink", _sha256(target)
    if link and os.geteuid() != 0:
        with contextlib.suppress(OSError):
            os.link(source, target)
            return "hard link", _sha256(target)
    digest = _copy(source, target)
    shutil.copystat(source, target)
    return "copy", digest


def _copy(source: str, target: str) -> str:
    """Copy and count in one pass."""
    summary = hashlib.sha256()
    with open(source, "rb") as reader, open(target, "xb", buffering=0) as writer:
        while piece := reader.read(_PIECE):
            summary.update(piece)
            while piece:
                piece = piece[writer.write(piece) :]
    return summary.hexdigest()


def _sha256(path: str) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


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
