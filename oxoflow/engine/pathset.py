"""Ask how one path lies to many others: among them, below one of them, or above one. Pure."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable

from msgspec import Struct

from oxoflow.engine.matching import bare, glob_pattern, is_glob


class Paths:
    """Paths and globs, ready to be asked how one path lies to them."""

    def __init__(self, paths: Iterable[str]) -> None:
        tidied = {bare(path) for path in paths}
        globs = {path for path in tidied if is_glob(path)}
        self._plain = tidied - globs
        self._sorted = sorted(self._plain)
        self._globs = [found for path in globs if (found := _Glob.of(path))]

    def names(self, path: str) -> bool:
        """Say whether a path is among these, by name or as one that a glob matches."""
        return path in self._plain or any(glob.pattern.match(path) for glob in self._globs)

    def holds(self, path: str) -> bool:
        """Say whether a path is among these, or has any of them below it."""
        if self.names(path) or any(glob.literal.startswith(f"{path}/") for glob in self._globs):
            return True
        at = bisect_left(self._sorted, f"{path}/")
        return at < len(self._sorted) and self._sorted[at].startswith(f"{path}/")

    def cuts(self, path: str) -> bool:
        """Say whether a path lies below one of these, or has one of them below it."""
        above = (path[:at] for at, letter in enumerate(path) if letter == "/")
        if "." in self._plain or any(place in self._plain for place in above):
            return True
        return self.holds(path) and not self.names(path)

    def touches(self, path: str) -> bool:
        """Say whether a path is among these, below one of them or above one."""
        return self.names(path) or self.cuts(path)


class _Glob(Struct, frozen=True):
    """A glob, and what stands before its first special character."""

    pattern: re.Pattern[str]
    literal: str

    @classmethod
    def of(cls, path: str) -> _Glob | None:
        pattern = glob_pattern(path)
        literal = re.split(r"[*?\[]", path, maxsplit=1)[0]
        return None if pattern is None else cls(pattern, literal)
