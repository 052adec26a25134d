"""Put a runner's command inside whatever keeps it from what is not its user's.

Nothing yet: the command comes back as it is, and README and `/api/system` say so. Isolation will be
added here and nowhere else (design, section 8).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

KIND = "none"  # what `/api/system` says


def wrap(argv: Sequence[str], directory: Path) -> list[str]:
    """The command to start for a runner that may write in `directory` only."""
    return list(argv)
