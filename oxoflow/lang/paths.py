"""Join paths as text: forward slashes, no disk, and no way out of the root unnoticed."""

from __future__ import annotations

import posixpath


def beside(directory: str, path: str) -> str:
    """Give `path` as seen from the root, when it was written by a file in `directory`."""
    return posixpath.normpath(posixpath.join(directory, path))


def leaves_root(path: str) -> bool:
    """Say whether a normalised path is absolute or climbs above the root."""
    return path.startswith("/") or path == ".." or path.startswith("../")


def parent(path: str) -> str:
    """Give the directory part, empty for a bare name."""
    return posixpath.dirname(path)


def stem(path: str) -> str:
    """Give the file name without its last suffix."""
    return posixpath.splitext(posixpath.basename(path))[0]


def suffix(path: str) -> str:
    """Give the last suffix in lower case, with its dot; empty without one."""
    return posixpath.splitext(path)[1].lower()
