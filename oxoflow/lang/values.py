"""Turn values into the text an author expects, and durations and memory sizes into numbers.

Owns spec/oxoflow-format.md 1.4 (text forms) and 1.10 (units). Knows no table and no rule.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from oxoflow.lang.latepattern import late

_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION_PART = late(r"(\d{1,12}(?:\.\d{1,6})?)([smhdSMHD])", re.ASCII)
_DURATION = late(r"(?:\d{1,12}(?:\.\d{1,6})?[smhdSMHD])+", re.ASCII)
_CLOCK = late(r"(?:(\d{1,6})-)?(\d{1,6}):(\d{1,2}):(\d{1,2})", re.ASCII)
_PLAIN_SECONDS = late(r"\d{1,12}(?:\.\d{1,6})?", re.ASCII)
_MEMORY = late(r"(\d{1,15}(?:\.\d{1,6})?)\s*([TGMK]?)(?:i?B)?", re.ASCII | re.IGNORECASE)
_UNIT_MB = {
    "T": Decimal(1024 * 1024),
    "G": Decimal(1024),
    "M": Decimal(1),
    "": Decimal(1),
    "K": Decimal(1) / 1024,
}
_BARE_KEY = late(r"[A-Za-z0-9_-]+", re.ASCII)
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def config_text(value: Any) -> str:
    """Give the text of a value: a string verbatim, all else as TOML text (1.4).

    Wherever a value stands, in `[[values]]`, a `scatter`, `params` or a list of `[config]`, it has
    this text: 1.0 is `1.0`, so a file that one of them names is the one that another names.
    """
    if type(value) is str:
        return value
    return toml_text(value)


def command_text(value: Any) -> str:
    """Give the text of a value inside a command: arrays become words (1.4, since 0.13.0)."""
    if type(value) is list:
        return " ".join([config_text(item) for item in value])
    return config_text(value)


def plain_float(value: float) -> str:
    """Give the shortest exact decimal of a finite float, never with an exponent."""
    text = repr(value)
    if "e" not in text:
        return text
    plain = format(Decimal(text), "f")
    return plain if "." in plain else plain + ".0"


def toml_text(value: Any) -> str:
    """Write a value as it may stand right of `=` in a TOML file."""
    if type(value) is int:
        return str(value)
    if type(value) is list:
        return "[" + ", ".join(map(toml_text, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, float):
        return plain_float(value) if math.isfinite(value) else str(value)
    if isinstance(value, tuple):
        return toml_text(list(value))
    if isinstance(value, Mapping):
        pairs = [f"{_key(key)} = {toml_text(item)}" for key, item in value.items()]
        return "{ " + ", ".join(pairs) + " }" if pairs else "{}"
    if hasattr(value, "isoformat"):
        return str(value.isoformat()).replace("+00:00", "Z")
    return str(value)


def parse_duration(text: str, *, plain: bool = False) -> float:
    """Give the seconds of `90s`, `1h30m`, `24:00:00` or `1-12:00:00` (1.10, S18).

    With `plain`, a bare number counts as seconds (command line flags). Raises ValueError.
    """
    text = text.strip()
    if _DURATION.fullmatch(text):
        parts = _DURATION_PART.findall(text)
        return sum(float(number) * _UNIT_SECONDS[unit.lower()] for number, unit in parts)
    clock = _CLOCK.fullmatch(text)
    if clock:
        days, hours, minutes, seconds = [int(part or 0) for part in clock.groups()]
        return float(days * 86400 + hours * 3600 + minutes * 60 + seconds)
    if plain and _PLAIN_SECONDS.fullmatch(text):
        return float(text)
    raise ValueError(
        f"{text[:40]!r} is not a duration; write a number with s, m, h or d, such as '30m', "
        "'1h30m' or '24:00:00'"
    )


@lru_cache(maxsize=1024)
def parse_memory(text: str) -> int:
    """Give whole megabytes of `8G`, `8GB`, `1.5G`, `500` (MB) or `2T` (1.10). Raises ValueError."""
    match = _MEMORY.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            f"{text[:40]!r} is not a memory size; write a number with K, M, G or T, such as '8G' "
            "or '500M'"
        )
    megabytes = int(Decimal(match[1]) * _UNIT_MB[match[2].upper()])
    if megabytes < 1:
        raise ValueError(f"{text[:40]!r} is less than one megabyte; write at least '1M'")
    return megabytes


def _quoted(text: str) -> str:
    out = []
    for char in text:
        if char in _ESCAPES:
            out.append(_ESCAPES[char])
        elif char < " " or char == "\x7f":
            out.append(f"\\u{ord(char):04X}")
        else:
            out.append(char)
    return '"' + "".join(out) + '"'


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _quoted(key)
