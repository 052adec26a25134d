"""Stand in for a directory: files given as a dict."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping


class Files:
    """A file view over a dict from path to content."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files

    def exists(self, path: str) -> bool:
        return path in self._files or any(p.startswith(f"{path}/") for p in self._files)

    def glob(self, pattern: str) -> list[str]:
        return sorted(fnmatch.filter(self._files, pattern))

    def read(self, path: str) -> bytes | None:
        return self._files.get(path)

    def size(self, path: str) -> int | None:
        return len(self._files[path]) if path in self._files else None

    def lines(self, path: str) -> int | None:
        return self._files[path].count(b"\n") if path in self._files else None
