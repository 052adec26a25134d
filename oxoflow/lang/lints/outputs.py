"""Know which paths the rules of a workflow make, exactly or by a pattern.

Owns the answer to "does any rule make this path?" for `lint`: written out, below a written
directory, or by an output with wildcards (spec/oxoflow-format.md 4.1, steps 1, 2 and 4a).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

DEEPEST = 40  # directories of one path that count
MOST_STEPS = 500_000  # comparisons with patterns; past them a path counts as made

_WILDCARD = re.compile(r"\{[^{}]*\}")


class Outputs:
    """The outputs of all rules, with the rules that write each."""

    def __init__(self, writers: Mapping[str, tuple[str, ...]], others: Iterable[str]) -> None:
        self.writers = writers
        paths = [*writers, *others]
        self._exact = frozenset(paths)
        self._directories = frozenset(_directories(paths))
        self._patterns = [tuple(_WILDCARD.split(path)) for path in paths if "{" in path]
        self._left = MOST_STEPS

    def make(self, path: str) -> bool:
        """Return whether some rule makes `path`, or something below it."""
        if path in self._exact or path.rstrip("/") in self._directories:
            return True
        self._left -= len(self._patterns)
        return self._left < 0 or any(_fits(path, pieces) for pieces in self._patterns)


def _fits(path: str, pieces: tuple[str, ...]) -> bool:
    """Return whether a path can be cut into these pieces with something between each two."""
    if not path.startswith(pieces[0]) or not path.endswith(pieces[-1]):
        return False
    at, end = len(pieces[0]), len(path) - len(pieces[-1])
    for piece in pieces[1:-1]:
        at = path.find(piece, at + 1, end)
        if at < 0:
            return False
        at += len(piece)
    return at < end


def _directories(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        for _ in range(DEEPEST):
            path = path.rpartition("/")[0]
            if not path:
                break
            yield path
