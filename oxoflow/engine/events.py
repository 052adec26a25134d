"""Append a run's events to `events.jsonl`, one JSON line each, and read them back (design 6).

Owns the line format, the numbering and the cut of a torn last line. One thread writes; whoever
reads trusts nothing: lines that are no event are left out.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from oxoflow.engine.disk import trouble
from oxoflow.engine.jsontext import to_json

LINE_LIMIT = 1_048_576  # bytes; a longer line is no event of ours
_TAIL = 65_536


class Event(Struct, frozen=True):
    """Something that happened in a run; `job` and `rule` are None when it is about neither."""

    type: str
    job: str | None = None
    rule: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    time: float = field(default_factory=time.time)  # seconds since the epoch


class EventLine(Struct, frozen=True):
    """One event as read from a file: `time` is RFC 3339 text, `end` the offset behind the line."""

    seq: int
    time: str
    type: str
    job: str | None
    rule: str | None
    data: Mapping[str, Any]
    end: int


@functools.lru_cache(maxsize=4)
def _whole_second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def timestamp(seconds: float) -> str:
    """RFC 3339 in UTC with milliseconds: `2026-05-26T08:02:40.010Z`."""
    milliseconds = int(seconds * 1000)
    return f"{_whole_second(milliseconds // 1000)}.{milliseconds % 1000:03d}Z"


class EventWriter:
    """The one writer of an event file; numbering goes on where the file ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = os.open(path, flags, 0o644)
            self._seq = _cut_torn_line(self._descriptor)
        except OSError as error:
            raise trouble(path, error) from error

    @property
    def last_seq(self) -> int:
        """The number of the newest event in the file; 0 when it is empty."""
        return self._seq

    def emit(self, type: str, job: str | None = None, rule: str | None = None, **data: Any) -> str:
        """Append one event now and return its line."""
        return self.write((Event(type, job, rule, data),))

    def write(self, events: Iterable[Event]) -> str:
        """Append several events at once and return their lines; raises DiskTrouble."""
        lines = []
        data: Mapping[str, Any] | None = None
        at: float | None = None
        for event in events:
            if event.data is not data:  # thousands may share one: why they are skipped
                data = event.data
                shown = to_json(data)
            if event.time != at:
                at = event.time
                when = timestamp(at)
            self._seq += 1
            job = to_json(event.job)
            rule = job if event.rule == event.job else to_json(event.rule)
            lines.append(
                f'{{"seq":{self._seq},"time":"{when}","type":"{event.type}",'
                f'"job":{job},"rule":{rule},"data":{shown}}}\n'
            )
        text = "".join(lines)
        self._append(text.encode("utf-8", "replace"))
        return text

    def _append(self, content: bytes) -> None:
        whole = os.fstat(self._descriptor).st_size
        try:
            while content:
                content = content[os.write(self._descriptor, content) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, whole)  # no half line for the next one to join
            raise trouble(self._path, error) from error

    def sync(self) -> None:
        """Put what was written on the disk."""
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise trouble(self._path, error) from error

    def close(self) -> None:
        """Close the file; the writer cannot be used afterwards."""
        os.close(self._descriptor)


def read_events(
    path: Path, offset: int = 0, max_bytes: int = 16 * 1_048_576
) -> tuple[list[EventLine], int]:
    """The events behind `offset`, and the offset to go on from; a torn last line waits for its end.

    Lines longer than LINE_LIMIT and lines that are no event are passed over.
    """
    try:
        with path.open("rb") as handle:
            handle.seek(offset)
            content = handle.read(max_bytes)
    except FileNotFoundError:
        return [], offset
    found = []
    start = 0
    while (end := content.find(b"\n", start)) >= 0:
        if end - start <= LINE_LIMIT:
            event = _parse(content[start:end], offset + end + 1)
            if event is not None:
                found.append(event)
        start = end + 1
    if start == 0 and len(content) == max_bytes and max_bytes > LINE_LIMIT:
        start = len(content)  # one endless line: step over it
    return found, offset + start


def _parse(line: bytes, end: int) -> EventLine | None:
    try:
        body = json.loads(line)
        event = EventLine(
            seq=body["seq"],
            time=body["time"],
            type=body["type"],
            job=body["job"],
            rule=body["rule"],
            data=body["data"],
            end=end,
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    well_typed = (
        type(event.seq) is int
        and isinstance(event.time, str)
        and isinstance(event.type, str)
        and isinstance(event.job, str | None)
        and isinstance(event.rule, str | None)
        and isinstance(event.data, dict)
    )
    return event if well_typed else None


def _cut_torn_line(descriptor: int) -> int:
    """Drop what stands behind the last newline; the number of the newest event, or 0."""
    size = os.fstat(descriptor).st_size
    span = _TAIL
    while True:
        start = max(0, size - span)
        content = os.pread(descriptor, size - start, start)
        whole = content.rfind(b"\n") + 1
        for line in reversed(content[:whole].splitlines()[0 if start == 0 else 1 :]):
            event = _parse(line, 0)
            if event is not None:
                os.ftruncate(descriptor, start + whole)
                return event.seq
        if start == 0:
            os.ftruncate(descriptor, whole)
            return 0
        span *= 8
