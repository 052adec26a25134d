"""Read JSON values of a given shape, noting every misfit with its path instead of stopping.

Owns the small readers (text, number, listing, record …) and their combination; knows no record of
the graph. A reader returns `BAD` after it has noted a problem; a record with a bad field is bad.
"""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Callable
from datetime import datetime
from enum import Enum
from typing import Any

from msgspec import Struct

from oxoflow.graph.jsontext import MAX_DEPTH


class _Bad(Enum):
    BAD = "bad"


BAD = _Bad.BAD


class Problem(Struct, frozen=True):
    """A misfit: where, what, and under which code of the validation table (spec section 3)."""

    path: str
    message: str
    code: str = "InvalidField"

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


Problems = list[Problem]
Reader = Callable[[Any, str, Problems], Any]
REQUIRED = object()


class Field(Struct, frozen=True):
    """One key of a JSON object and the attribute that takes its value."""

    key: str
    read: Reader
    default: Any = REQUIRED
    attribute: str = ""  # when it differs from the key
    additive: bool = False  # our own key: written only when it is set

    @property
    def name(self) -> str:
        """The attribute of the record."""
        return self.attribute or self.key


def word_of(value: Any) -> str:
    """Name a JSON value's type as a person would."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    for kind, word in (
        (int, "an integer"), (float, "a number"), (str, "a string"), (list, "a list"),
        (dict, "an object"),
    ):  # fmt: skip
        if isinstance(value, kind):
            return word
    return type(value).__name__


def _misfit(path: str, expected: str, value: Any, problems: Problems) -> _Bad:
    problems.append(Problem(path, f"expected {expected}, found {word_of(value)}"))
    return BAD


def text(value: Any, path: str, problems: Problems) -> Any:
    """A string."""
    return value if isinstance(value, str) else _misfit(path, "a string", value, problems)


def label(value: Any, path: str, problems: Problems) -> Any:
    """A name: 1 to 255 characters after trimming."""
    if not isinstance(value, str):
        return _misfit(path, "a string", value, problems)
    if not 1 <= len(value.strip()) <= 255:
        problems.append(Problem(path, "must have 1 to 255 characters besides blanks"))
        return BAD
    return value.strip()


def identifier(value: Any, path: str, problems: Problems) -> Any:
    """A UUID; it comes back in lower case with hyphens."""
    if not isinstance(value, str):
        return _misfit(path, "a UUID", value, problems)
    if not re.fullmatch(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", value):
        problems.append(Problem(path, f"expected a UUID, found '{value[:60]}'"))
        return BAD
    return str(uuid.UUID(value))


def moment(value: Any, path: str, problems: Problems) -> Any:
    """An RFC 3339 timestamp, kept as it was written."""
    if not isinstance(value, str):
        return _misfit(path, "a timestamp", value, problems)
    try:
        datetime.fromisoformat(value)
    except ValueError:
        problems.append(Problem(path, f"expected a timestamp, found '{value[:60]}'"))
        return BAD
    return value


def boolean(value: Any, path: str, problems: Problems) -> Any:
    """`true` or `false`."""
    return value if isinstance(value, bool) else _misfit(path, "a boolean", value, problems)


def anything(value: Any, path: str, problems: Problems) -> Any:
    """Any JSON value."""
    return value


def integer(low: int, high: int = 2**53) -> Reader:
    """A whole number in a range."""

    def read(value: Any, path: str, problems: Problems) -> Any:
        if not isinstance(value, int) or isinstance(value, bool):
            return _misfit(path, "an integer", value, problems)
        return _ranged(value, low, high, path, problems)

    return read


def number(low: float, high: float) -> Reader:
    """A finite number in a range."""

    def read(value: Any, path: str, problems: Problems) -> Any:
        if not isinstance(value, int | float) or isinstance(value, bool):
            return _misfit(path, "a number", value, problems)
        ranged = _ranged(value, low, high, path, problems)
        return BAD if ranged is BAD else float(value)

    return read


def _ranged(value: float, low: float, high: float, path: str, problems: Problems) -> Any:
    if low <= value <= high:
        return value
    problems.append(Problem(path, f"must be {low} to {high}, found {value:.6g}"))
    return BAD


def choice(kinds: type[Enum]) -> Reader:
    """One of the wire strings of an Enum."""

    def read(value: Any, path: str, problems: Problems) -> Any:
        for kind in kinds:
            if value == kind.value:
                return kind
        known = ", ".join(str(kind.value) for kind in kinds)
        shown = f"'{value[:60]}'" if isinstance(value, str) else word_of(value)
        problems.append(Problem(path, f"expected one of {known}, found {shown}"))
        return BAD

    return read


def optional(reader: Reader) -> Reader:
    """`null`, or what `reader` takes."""

    def read(value: Any, path: str, problems: Problems) -> Any:
        return None if value is None else reader(value, path, problems)

    return read


def listing(reader: Reader, most: int = 100_000) -> Reader:
    """A list; it becomes a tuple."""

    def read(value: Any, path: str, problems: Problems) -> Any:
        if not isinstance(value, list):
            return _misfit(path, "a list", value, problems)
        if len(value) > most:
            problems.append(Problem(path, f"has {len(value)} items, at most {most} are taken"))
            return BAD
        items = [reader(item, f"{path}[{at}]", problems) for at, item in enumerate(value)]
        return BAD if any(item is BAD for item in items) else tuple(items)

    return read


def mapping(reader: Reader) -> Reader:
    """An object with free keys."""

    def read(value: Any, path: str, problems: Problems) -> Any:
        if not isinstance(value, dict):
            return _misfit(path, "an object", value, problems)
        items = {key: reader(item, f"{path}.{key}", problems) for key, item in value.items()}
        return BAD if any(item is BAD for item in items.values()) else items

    return read


def point(value: Any, path: str, problems: Problems) -> Any:
    """A position: two numbers."""
    read = number(-1e9, 1e9)
    if not isinstance(value, list) or len(value) != 2:
        problems.append(Problem(path, "expected a list of two numbers"))
        return BAD
    x, y = (read(item, f"{path}[{at}]", problems) for at, item in enumerate(value))
    return BAD if BAD in (x, y) else (x, y)


def record(make: Callable[..., Any], fields: tuple[Field, ...]) -> Reader:
    """An object with known keys; a missing or null optional key takes its default."""

    def read(value: Any, path: str, problems: Problems) -> Any:
        if not isinstance(value, dict):
            return _misfit(path, "an object", value, problems)
        found: dict[str, Any] = {}
        for entry in fields:
            inner = f"{path}.{entry.key}"
            given = value.get(entry.key)
            if given is None and entry.default is not REQUIRED:
                found[entry.name] = entry.default
            elif entry.key not in value:
                problems.append(Problem(inner, "is missing"))
                found[entry.name] = BAD
            else:
                found[entry.name] = entry.read(given, inner, problems)
        return BAD if any(item is BAD for item in found.values()) else make(**found)

    return read


def check_json(value: Any, path: str, problems: Problems) -> bool:
    """Whether a value is JSON that we keep: finite numbers, whole characters, bounded depth."""
    todo: list[tuple[Any, int]] = [(value, 0)]
    while todo:
        item, depth = todo.pop()
        if depth > MAX_DEPTH:
            problems.append(Problem(path, f"is nested deeper than {MAX_DEPTH} levels"))
            return False
        if isinstance(item, dict):
            todo += [(each, depth + 1) for pair in item.items() for each in pair]
        elif isinstance(item, list):
            todo += [(each, depth + 1) for each in item]
        elif isinstance(item, float) and not math.isfinite(item):
            problems.append(Problem(path, "holds a number that is not finite"))
            return False
        elif isinstance(item, str) and not _whole(item):
            problems.append(Problem(path, "holds half of a surrogate pair (\\ud800 to \\udfff)"))
            return False
    return True


def _whole(item: str) -> bool:
    if item.isascii():
        return True
    try:
        item.encode()
    except UnicodeEncodeError:
        return False
    return True
