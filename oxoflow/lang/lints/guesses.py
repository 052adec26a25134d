"""Guess what a misspelt name was meant to be, in linear time.

Owns the likeness of two names: letters and pairs of letters in common. The aligned comparison of
`difflib` finds little more, and takes minutes on long names that all look alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from itertools import islice, pairwise

from oxoflow.lang.nearest import Guesser

MOST_GUESSES = 20  # per lint: a text with more typing errors needs no more help
MOST_NAMES = 1000  # names looked through for one guess
LONGEST = 120  # characters of a name that are compared
ALIKE = 0.65


class Guesses(Guesser):
    """Guess a limited number of times; after that say nothing."""

    def __init__(self) -> None:
        super().__init__()
        self._rest = MOST_GUESSES

    def meant(self, name: str, known: Collection[str], form: str = "{}") -> str | None:
        """Return "did you mean …?" with the most likely name in `form`, or None."""
        near = self.near(name, known)
        return None if near is None else f"did you mean '{form.replace('{}', near)}'?"

    def near(self, name: str, known: Collection[str]) -> str | None:
        """Return the known name most like `name`, None when none is like it."""
        if self._rest <= 0 or not known:
            return None
        self._rest -= 1
        wanted = _features(name)
        best, found = ALIKE, None
        for each in islice(known, MOST_NAMES):
            score = _likeness(wanted, _features(each)) if 2 * len(each) >= len(name) else 0.0
            if score > best:
                best, found = score, each
        return found


def _features(name: str) -> tuple[Counter[str], Counter[str]]:
    name = name[:LONGEST].lower()
    return Counter(name), Counter(map("".join, pairwise(name)))


def _likeness(
    one: tuple[Counter[str], Counter[str]], two: tuple[Counter[str], Counter[str]]
) -> float:
    """Return from 0 to 1 how much of the letters, and of their neighbourhoods, two names share."""
    total = 0.0
    for left, right in zip(one, two, strict=True):
        size = left.total() + right.total()
        total += 2 * (left & right).total() / size if size else 0.0
    return total / 2
