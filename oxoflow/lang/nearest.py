"""Guess what a misspelt name was meant to be, without ever becoming slow.

Owns the budget: only so many guesses per examination, each among only so many names.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection
from itertools import islice

_MOST_GUESSES = 20
_MOST_NAMES = 2000
_LONGEST = 200


class Guesser:
    """Guess for one examination of one workflow; after some guesses it gives none."""

    def __init__(self) -> None:
        self._left = _MOST_GUESSES

    def meant(self, name: str, known: Collection[str], form: str = "{}") -> str | None:
        """Give "did you mean …?" with the nearest name in `form`, or None."""
        if self._left <= 0 or not known:
            return None
        self._left -= 1
        names = list(islice(known, _MOST_NAMES))
        near = difflib.get_close_matches(name[:_LONGEST], names, n=1)
        return f"did you mean '{form.replace('{}', near[0])}'?" if near else None
