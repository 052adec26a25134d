"""Write instants as the database and the API show them: RFC 3339 UTC with milliseconds."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def instant(seconds: float | None = None) -> str:
    """The text of a moment given in seconds since 1970; of now when none is given."""
    moment = datetime.fromtimestamp(time.time() if seconds is None else seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def seconds_of(text: str) -> float:
    """The seconds since 1970 of a text that `instant` wrote."""
    return datetime.fromisoformat(text).timestamp()
