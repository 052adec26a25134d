"""Write values as compact JSON, for the records that a run makes by the thousand."""

from __future__ import annotations

import json
from typing import Any

import msgspec

_encode_any = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def to_json(value: Any) -> str:
    """Give a value as JSON text; what is no Unicode in a file's name stays as it is in the text."""
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:  # a lone surrogate stands for a byte that is not UTF-8
        return _encode_any(value)
