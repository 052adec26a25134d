"""Read and write JSON text: strictly, or mended where a program or a model wrote it.

JSON can spell what nobody can keep: numbers beyond any float, and halves of surrogate pairs, which
are no text. Owns what becomes of these; knows no shape of a value (that is `shapes`).
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

MAX_DEPTH = 100  # of a document; deeper nesting serves nobody and overflows naive readers
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

    No NaN, no number that is not finite. Nesting that overflows the parser is a ValueError too.
    """
    try:
        return json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError(f"the JSON is nested deeper than {MAX_DEPTH} levels") from None
    except json.JSONDecodeError:
        raise
    except ValueError as error:
        if "digits" in str(error):  # the interpreter's word about a limit of its own
            raise Unkeepable("a whole number has too many digits") from None
        raise


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
