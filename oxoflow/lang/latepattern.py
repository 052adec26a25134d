"""Compile a regular expression when it is first used, not when its module is loaded.

For patterns that most commands never need: compiling them would be a good part of a start.
"""

from __future__ import annotations

import re
from typing import Any, cast


class _Late:
    """Stands for a pattern; what was asked for once is answered like a plain attribute."""

    def __init__(self, text: str, flags: int) -> None:
        self._text = text
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        found = getattr(re.compile(self._text, self._flags), name)
        setattr(self, name, found)
        return found


def late(text: str, flags: int = 0) -> re.Pattern[str]:
    """Give a pattern that is compiled at its first use; `re` remembers what it compiled."""
    return cast("re.Pattern[str]", _Late(text, flags))
