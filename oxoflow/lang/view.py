"""Name the narrow window through which the language looks at files: exists, glob, read, count.

Owns the protocol and the view that sees nothing; reading a real directory is not done in `lang`.
"""

from __future__ import annotations

from typing import Protocol


class FileView(Protocol):
    """Files below some root, by relative path with forward slashes."""

    def exists(self, path: str) -> bool:
        """Say whether a file or directory stands at `path`."""
        ...

    def glob(self, pattern: str) -> list[str]:
        """Give the matching paths, sorted, hidden files included, relative to the root."""
        ...

    def read(self, path: str) -> bytes | None:
        """Give the content of a file, or None where there is none."""
        ...

    def size(self, path: str) -> int | None:
        """Give the size of a file in bytes, or None where there is none."""
        ...

    def lines(self, path: str) -> int | None:
        """Count the lines of a file, unpacked when it is gzipped, or None where there is none."""
        ...


class _Nothing:
    """A view without files, for callers that may not learn what is on the disk."""

    def exists(self, path: str) -> bool:
        return False

    def glob(self, pattern: str) -> list[str]:
        return []

    def read(self, path: str) -> bytes | None:
        return None

    def size(self, path: str) -> int | None:
        return None

    def lines(self, path: str) -> int | None:
        return None


NOTHING: FileView = _Nothing()
