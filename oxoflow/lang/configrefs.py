"""Fill `{config.key}` in texts, also where values refer to each other, in bounded space.

Owns the fixed point of spec/oxoflow-format.md 2.2: every value is settled once, what stands in a
cycle stays text, and values that multiply each other end in an error instead of in memory.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping

from oxoflow.errors import WorkflowError

REFERENCE = re.compile(r"\{config\.([\w-]+)\}")
MARK = "{config."
MAX_VALUE = 1024 * 1024  # characters of one filled text


def keys_in(texts: Iterable[str]) -> list[str]:
    """Give the keys that the texts name in braces, each once, in order."""
    found: dict[str, None] = {}
    for text in texts:
        if MARK in text:
            found.update(dict.fromkeys(REFERENCE.findall(text)))
    return list(found)


def fill(text: str, values: Mapping[str, str]) -> str:
    """Replace the known references of a text once. Raises WorkflowError when it grows too long."""
    if MARK not in text:
        return text
    pieces, start, size = [], 0, len(text)
    for match in REFERENCE.finditer(text):
        value = values.get(match[1])
        if value is not None:
            size += len(value)
            if size > MAX_VALUE:
                raise WorkflowError(
                    f"'{{config.{match[1]}}}' makes a text of more than {MAX_VALUE} characters; "
                    "shorten the [config] values that refer to each other"
                )
            pieces += [text[start : match.start()], value]
            start = match.end()
    return "".join([*pieces, text[start:]])


def settle(values: Mapping[str, str]) -> dict[str, str]:
    """Give every value with its references filled, however deep; cycles keep their braces.

    Raises WorkflowError when a value grows too long.
    """
    settled = {key: text for key, text in values.items() if MARK not in text}
    if len(settled) == len(values):
        return settled
    waits = {
        key: {name for name in REFERENCE.findall(text) if name in values}
        for key, text in values.items()
        if key not in settled
    }
    readers: dict[str, list[str]] = {}
    for key, names in waits.items():
        for name in names:
            readers.setdefault(name, []).append(key)
    ready = deque([*settled, *[key for key, names in waits.items() if not names]])
    while ready:
        done = ready.popleft()
        if done not in settled:
            settled[done] = fill(values[done], settled)
        for key in readers.get(done, ()):
            waits[key].discard(done)
            if not waits[key]:
                ready.append(key)
    for key in waits:
        if key not in settled:
            settled[key] = fill(values[key], {k: v for k, v in settled.items() if k not in waits})
    return settled
