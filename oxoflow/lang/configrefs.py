"""Fill `{config.key}` in texts, also where values refer to each other, in bounded space.

Owns the fixed point of spec/oxoflow-format.md 2.2: every value is settled once, what stands in a
cycle stays text, and values that multiply each other end in an error instead of in memory.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from oxoflow.errors import WorkflowError

REFERENCE = re.compile(r"\{config\.([\w-]+)\}")
NAMEABLE = re.compile(r"[\w-]+")  # the keys that a reference can name
MARK = "{config."
MAX_VALUE = 1024 * 1024  # characters of one filled text
MAX_TOTAL = 32 * MAX_VALUE  # of all values that refer to others, together


def sample_list_cure(key: str, *, late: bool = False) -> str | None:
    """Say why a list of samples or pairs, which composition sets, is not there (2.6).

    What a checkpoint finds, `late`, comes into none of them (3.2).
    """
    if late and (key == "pairs_list" or key.startswith("samples_")):
        return (
            "no list holds what a checkpoint finds: read the files of its samples by a glob, such "
            "as input = ['results/*.txt']"
        )
    if key == "pairs_list":
        return "no pair is known: declare [[pairs]], or see what pairs_pattern should match"
    if key.startswith("samples_"):
        return "no sample is known: declare [[sample_groups]], or see what sample_pattern matches"
    return None


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

    Raises WorkflowError when a value, or all of them together, grow too long.
    """
    settled = {key: text for key, text in values.items() if MARK not in text}
    if len(settled) == len(values):
        return settled
    waits = {
        key: {name for name in REFERENCE.findall(text) if name in values}
        for key, text in values.items()
        if key not in settled
    }
    room = MAX_TOTAL
    for key in _in_order(waits, settled):
        settled[key] = fill(values[key], settled)
        room = _less(room, key, settled[key])
    known = dict(settled)
    for key in waits:
        if key not in known:  # it stands in a cycle, or refers to one
            settled[key] = fill(values[key], known)
            room = _less(room, key, settled[key])
    return settled


def _in_order(waits: dict[str, set[str]], settled: Mapping[str, str]) -> Iterator[str]:
    """Give the waiting keys, each after those it waits for; what stands in a cycle is left out."""
    readers: dict[str, list[str]] = {}
    for key, names in waits.items():
        for name in names:
            readers.setdefault(name, []).append(key)
    ready = deque([*settled, *[key for key, names in waits.items() if not names]])
    while ready:
        done = ready.popleft()
        if done in waits:
            yield done
        for key in readers.get(done, ()):
            waits[key].discard(done)
            if not waits[key]:
                ready.append(key)


def _less(room: int, key: str, text: str) -> int:
    if len(text) > room:
        raise WorkflowError(
            f"the [config] values that refer to each other make more than {MAX_TOTAL} characters "
            f"together, at '{key}'; shorten them"
        )
    return room - len(text)
