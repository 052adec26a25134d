"""Name the narrow window through which the language looks at files: exists, glob, read.

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


class _Nothing:
    """A view without files, for callers that may not learn what is on the disk."""

    def exists(self, path: str) -> bool:
        return False

    def glob(self, pattern: str) -> list[str]:
        return []

    def read(self, path: str) -> bytes | None:
        return None


NOTHING: FileView = _Nothing()
