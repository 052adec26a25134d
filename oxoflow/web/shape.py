"""Say in which of the two shapes errors of a path are written (design, section 10).

Pure: knows no request, no status and no Flask, so that the server itself can use it too.
"""

from __future__ import annotations

import json
from typing import Any

OXIFY_PREFIXES = ("/api/v1", "/health", "/livez", "/readyz", "/api-docs", "/swagger-ui")
_BELOW = tuple(f"{prefix}/" for prefix in OXIFY_PREFIXES)  # asked for every answer: in one call


def speaks_oxify(path: str) -> bool:
    """Whether errors below this path have the keys `error` and `message`."""
    return path in OXIFY_PREFIXES or path.startswith(_BELOW)


def error_body(path: str, error: str, detail: str | None, name: str) -> dict[str, Any]:
    """The body of an error; `name` is what OxiFY's shape calls it."""
    if speaks_oxify(path):
        return {"error": name, "message": f"{error}: {detail}" if detail else error}
    return {"error": error, "detail": detail}


def compact(value: Any) -> str:
    """JSON without blanks, keys in the order given."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
