"""Guess what a misspelt name was meant to be, in linear time and for a bounded number of names.

Owns the likeness of two names: letters and pairs of letters in common. The aligned comparison of
`difflib` finds little more, and takes minutes on long names that all look alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from itertools import islice, pairwise

MOST_NAMES = 1000  # looked through for one guess, unless the caller wants more
_MOST_GUESSES = 20  # per examination: a text with more typing errors needs no more help
_LONGEST = 120  # characters of a name that are compared
_ALIKE = 0.55
_PACKED = frozenset(("gz", "bgz", "bz2", "xz", "zst"))
_KINDS = {"fastq": "fq", "fasta": "fa", "fna": "fa", "fas": "fa", "yml": "yaml", "jpeg": "jpg"}
ALIKE_PATHS = 0.66  # directories and endings make unrelated paths look alike
_SHARES = (0.6, 0.4)  # of letters and of pairs: two swapped letters of a short name break all pairs


class Guesser:
    """Guess for one examination of one workflow; after some guesses say nothing."""

    def __init__(self) -> None:
        self._left = _MOST_GUESSES

    def meant(self, name: str, known: Collection[str], form: str = "{}") -> str | None:
        """Return "did you mean …?" with the most likely name in `form`, or None."""
        near = self.near(name, known)
        return None if near is None else f"did you mean '{form.replace('{}', near)}'?"

    def spend(self) -> bool:
        """Take one of the guesses that are left; False when there is none."""
        self._left -= 1
        return self._left >= 0

    def near(self, name: str, known: Collection[str], *, least: float = _ALIKE) -> str | None:
        """Return the known name most like `name`, or None."""
        if self._left <= 0 or not known:
            return None
        self._left -= 1
        return most_alike(name, known, least=least)


def most_alike(
    name: str, known: Collection[str], most: int = MOST_NAMES, *, least: float = _ALIKE
) -> str | None:
    """Return the one of the first `most` known names that is most like `name`, if any is."""
    wanted = _features(name)
    best, found = least, None
    for each in islice(known, most):
        score = _likeness(wanted, _features(each)) if 2 * len(each) >= len(name) else 0.0
        if score > best:
            best, found = score, each
    return found


def _features(name: str) -> tuple[Counter[str], Counter[str]]:
    name = name[:_LONGEST].lower()
    return Counter(name), Counter(map("".join, pairwise(name)))


def _likeness(
    one: tuple[Counter[str], Counter[str]], two: tuple[Counter[str], Counter[str]]
) -> float:
    """Return from 0 to 1 how much of the letters, and of their neighbourhoods, two names share."""
    total = 0.0
    for share, left, right in zip(_SHARES, one, two, strict=True):
        size = left.total() + right.total()
        total += share * 2 * (left & right).total() / size if size else 0.0
    return total


def likely_file(path: str, there: Collection[str]) -> str | None:
    """Return the one of the files in a directory that is probably meant by a missing one of it."""
    wanted = path.rpartition("/")[2]
    names = {file.rpartition("/")[2]: file for file in there}
    same = next((name for name in names if _plain(name) == _plain(wanted)), None)
    near = same or most_alike(wanted, names, len(names), least=ALIKE_PATHS)
    return None if near is None else names[near]


def _plain(name: str) -> str:
    """Give a file name as if there were one spelling of each kind, and no compression."""
    parts = name.lower().replace("-", "_").split(".")
    return ".".join([_KINDS.get(part, part) for part in parts if part not in _PACKED])


def is_one_slip(name: str, known: str) -> bool:
    """Say whether one letter added, left out, changed or swapped with the next makes `known`."""
    if name == known or abs(len(name) - len(known)) > 1:
        return False
    at = next((at for at, (a, b) in enumerate(zip(name, known, strict=False)) if a != b), None)
    if at is None:  # one is the beginning of the other
        return True
    rest, other = name[at:], known[at:]
    swapped = rest[1::-1] + rest[2:]
    return other in (swapped, rest[1:]) or other[1:] in (rest, rest[1:])
