"""Read and write JSON text: strictly, or mended where a program or a model wrote it.

JSON can spell what nobody can keep: numbers beyond any float, halves of surrogate pairs, which are
no text, and values so deep that writing them overflows the stack. Owns what becomes of these; knows
no shape of a value (that is `shapes`).
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

MAX_DEPTH = 100  # of a document; deeper nesting serves nobody and overflows naive readers
MAX_NESTING = 500  # of a value; the interpreter's own limit, less what stands on the stack already
_TOO_DEEP = f"the JSON is nested deeper than {MAX_NESTING} levels"
_HALF = re.compile(r"\\u[dD][89a-fA-F]")  # may be a pair, and then it is fine


class Unkeepable(ValueError):
    """A text that is JSON and spells something that cannot be kept."""


def parse_json(content: str | bytes) -> Any:
    """The value of a JSON text, strictly; raise ValueError with the reason."""
    text = _decoded(content)
    value = read_json(text)
    if _HALF.search(text) and not _is_whole(value):
        raise Unkeepable("half of a surrogate pair (\\ud800 to \\udfff) is no text")
    return value


def parse_mended(content: str | bytes) -> Any:
    """Like `parse_json`, but half a character is replaced by a sign that stands for one."""
    text = _decoded(content)
    value = read_json(text)
    return mended(value) if _HALF.search(text) else value


def read_json(text: str) -> Any:
    """The value of a JSON text in which halves of characters may stand; raises ValueError.

    No NaN, no number that is not finite, no nesting beyond MAX_NESTING.
    """
    try:
        value = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    except json.JSONDecodeError:
        raise
    except ValueError as error:
        if "digits" in str(error):  # the interpreter's word about a limit of its own
            raise Unkeepable("a whole number has too many digits") from None
        raise
    if text.count("[") + text.count("{") > MAX_NESTING and is_too_deep(value):
        raise ValueError(_TOO_DEEP)
    return value


def is_too_deep(value: Any) -> bool:
    """Whether lists and objects stand in each other beyond what can be kept."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_NESTING):
        level = [
            each
            for item in level
            for each in (item.values() if isinstance(item, dict) else item)
            if isinstance(each, dict | list)
        ]
        if not level:
            return False
    return True


def mended(value: Any) -> Any:
    """A JSON value without halves of characters: two that fit together become one."""
    if _is_whole(value):
        return value
    text = compact(value).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return json.loads(text)


def compact(value: Any) -> str:
    """JSON text without blanks, characters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Unkeepable(f"{text[:40]} is too large a number")
    return number


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def _decoded(content: str | bytes) -> str:
    try:
        return content if isinstance(content, str) else content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("the text is not UTF-8") from None


def _is_whole(value: Any) -> bool:
    try:
        compact(value).encode()
    except UnicodeEncodeError:
        return False
    return True
