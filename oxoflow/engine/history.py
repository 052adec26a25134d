"""Read what a working directory's records say about the files that its jobs made and read.

Owns the content of recorded outputs: known from the run, or read now when the file is still the one
that was verified. Writes nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from msgspec import Struct

from oxoflow.engine.events import timestamp
from oxoflow.engine.files import DIRECTORY_SIZE, RECORDS, WorkFiles
from oxoflow.engine.matching import bare
from oxoflow.engine.records import Detail, FileHash, OutputRecord, Record
from oxoflow.engine.state import State

_DEPTH = 6  # directories below which a tree of runs is searched


class Made(Struct, frozen=True):
    """How one job made its outputs: everything the records hold about it.

    `inputs` are paths with the digests they had; `origin` is set when the result was taken from
    another run.
    """

    workdir: str
    job: str
    rule: str
    run: str | None
    command: str | None
    started_at: str | None
    finished_at: str | None
    environment: Mapping[str, Any] | None
    origin: Mapping[str, Any] | None
    parts: Mapping[str, Any]

    @property
    def inputs(self) -> dict[str, str]:
        found = self.parts.get("input")
        return dict(found) if isinstance(found, dict) else {}


class History:
    """The records of one directory, read once. `close` it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._state = State.view(root / RECORDS / "state.sqlite")
        self.records: dict[str, Record] = self._state.records()
        self.outputs: dict[str, OutputRecord] = self._state.outputs()
        self._files: dict[str, FileHash] = self._state.files()
        self._reader = WorkFiles(str(root), lambda: self._files)

    def close(self) -> None:
        self._state.close()

    @cached_property
    def by_job(self) -> dict[str, list[OutputRecord]]:
        """The recorded outputs of each job, by path."""
        found: dict[str, list[OutputRecord]] = {}
        for path in sorted(self.outputs):
            found.setdefault(self.outputs[path].job, []).append(self.outputs[path])
        return found

    @cached_property
    def by_key(self) -> dict[str, str]:
        """The job whose last verified result has a key."""
        return {record.key: job for job, record in self.records.items() if record.key}

    def in_order(self) -> list[Record]:
        """The jobs with a result, in the order in which they began: makers before readers."""
        done = [record for record in self.records.values() if record.status == "done"]
        return sorted(done, key=lambda r: (r.started_at or r.finished_at or 0.0, r.job))

    def made(self, job: str) -> Made:
        """What is known about how a job's result came to be."""
        record, detail = self.records[job], self._state.detail(job)
        return Made(
            str(self.root),
            job,
            record.rule,
            detail.run,
            detail.command,
            _time(record.started_at),
            _time(record.finished_at),
            _object(detail.environment),
            _object(detail.origin),
            _object(detail.parts) or {},
        )

    def detail(self, job: str) -> Detail:
        return self._state.detail(job)

    def content(self, output: OutputRecord) -> str | None:
        """The sha256 of an output as it was verified; None when nobody knows it any more."""
        known = self._files.get(output.path)
        if known and (known.size, known.mtime_ns) == (output.size, output.mtime_ns):
            return known.sha256
        if output.checksum and output.checksum.startswith("sha256:"):
            return output.checksum.removeprefix("sha256:")
        status = self._reader.status(output.path)
        if status is None or (status.st_mtime_ns != output.mtime_ns):
            return None
        if output.size not in (-1, status.st_size):
            return None
        return self._reader.digest(output.path, status)

    def with_content(self, digest: str, size: int) -> list[OutputRecord]:
        """The recorded outputs, and files in those, with this content, newest first."""
        found = [
            output
            for output in self.outputs.values()
            if output.size in (size, -1) and self.content(output) == digest
        ]
        for known in self._files.values():
            holder = self._holder(known.path) if known.sha256 == digest else None
            if holder is not None:
                found.append(OutputRecord(known.path, holder.job, known.size, known.mtime_ns))
        return sorted(found, key=lambda output: -output.mtime_ns)

    def moved(self, status: os.stat_result) -> list[OutputRecord]:
        """The outputs that were as large and as old as a file, and whose content nobody knows."""
        return [
            output
            for output in self.outputs.values()
            if (output.size, output.mtime_ns) == (status.st_size, status.st_mtime_ns)
            and self.content(output) is None
        ]

    def in_directory(self, path: str, size: int) -> OutputRecord | None:
        """A file of a recorded directory, known by its name and size; None when it held no such."""
        holder = self._holder(path)
        listing = self._state.contents(holder.path) if holder is not None else None
        if holder is None or listing is None:
            return None
        inside = os.path.relpath(path, bare(holder.path))
        same = json.loads(listing).get(inside) == size
        return OutputRecord(path, holder.job, size, holder.mtime_ns) if same else None

    def _holder(self, path: str) -> OutputRecord | None:
        """The recorded directory that a file lies in, if no job made the file by itself."""
        if path in self.outputs:
            return None
        above = path.rpartition("/")[0]
        while above and above not in self._directories:
            above = above.rpartition("/")[0]
        return self._directories.get(above)

    @cached_property
    def _directories(self) -> dict[str, OutputRecord]:
        found = self.outputs.values()
        return {bare(output.path): output for output in found if output.size == DIRECTORY_SIZE}

    def readers(self, digest: str) -> list[str]:
        """The jobs that read a content."""
        found = []
        for record in self.in_order():
            parts = self._state.detail(record.job).parts
            if parts and digest in parts and digest in self.made(record.job).inputs.values():
                found.append(record.job)
        return found


def find_histories(place: Path) -> Iterator[Path]:
    """Yield the run directories at or below a place, without looking into run directories."""
    waiting = [(place, 0)]
    while waiting:
        folder, depth = waiting.pop()
        if (folder / RECORDS / "state.sqlite").is_file():
            yield folder
        elif depth < _DEPTH:
            try:
                below = sorted(entry.path for entry in os.scandir(folder) if entry.is_dir())
            except OSError:
                continue
            waiting += [(Path(path), depth + 1) for path in reversed(below)]


def enclosing(file: Path) -> Path | None:
    """The nearest directory above a file that holds records."""
    for folder in Path(os.path.abspath(file)).parents:
        if (folder / RECORDS / "state.sqlite").is_file():
            return folder
    return None


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else timestamp(seconds)


def _object(text: str | None) -> dict[str, Any] | None:
    if not text:
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
