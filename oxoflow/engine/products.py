"""Settle what a successful job made: learn its content, count its checksums, protect it.

Owns `checksum`, `protected_output` and `benchmark` (spec/oxoflow-format.md 1.8) after the outputs
were verified. Raises DiskTrouble when a benchmark cannot be written.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from oxoflow.engine.disk import trouble
from oxoflow.engine.files import DIRECTORY_SIZE, WorkFiles
from oxoflow.engine.records import OutputRecord
from oxoflow.engine.reporting import Usage
from oxoflow.lang.model import Rule

_LEARNED_AT_ONCE = 64 * 1_048_576  # bytes; larger ones are read when somebody asks
_WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


class Wishes(Protocol):
    """What a job asks for its outputs (see `preparing.Prepared`)."""

    @property
    def protected(self) -> tuple[str, ...]: ...

    @property
    def benchmark(self) -> str | None: ...


def settle(
    files: WorkFiles,
    rule: Rule,
    wishes: Wishes,
    usage: Usage,
    present: tuple[OutputRecord, ...],
) -> tuple[OutputRecord, ...]:
    """Learn, count and protect what was made, and write down what it took."""
    if rule.checksum:
        present = with_checksums(files, present, rule.checksum)
    learn(files, present)
    if wishes.protected:
        protect(files, present, wishes.protected)
    if wishes.benchmark is not None:
        wall = usage.last.wall_secs if usage.last is not None else 0.0
        place = Path(files.full(wishes.benchmark))
        write_benchmark(place, wall, usage.peak_mb, usage.cpu_secs)
    return present


def learn(files: WorkFiles, outputs: Iterable[OutputRecord]) -> None:
    """Remember the content of outputs, so that they are known again wherever they are moved."""
    for output in outputs:
        if output.size != DIRECTORY_SIZE and output.size <= _LEARNED_AT_ONCE:
            files.digest(output.path)


def with_checksums(
    files: WorkFiles, outputs: Iterable[OutputRecord], kind: str
) -> tuple[OutputRecord, ...]:
    """Give the records with a checksum each; a directory's is that of its listing and files."""
    return tuple(replace(output, checksum=_checksum(files, output, kind)) for output in outputs)


def _checksum(files: WorkFiles, output: OutputRecord, kind: str) -> str | None:
    if kind == "sha256" or output.size == DIRECTORY_SIZE:
        return f"sha256:{files.digest(output.path)}"
    try:
        with open(files.full(output.path), "rb") as handle:
            return f"md5:{hashlib.file_digest(handle, 'md5').hexdigest()}"
    except OSError as error:
        raise trouble(files.full(output.path), error) from error


def protect(files: WorkFiles, outputs: Iterable[OutputRecord], paths: Collection[str]) -> None:
    """Take the write permission from protected outputs, in directories from every file."""
    for output in outputs:
        if output.path in paths:
            full = files.full(output.path)
            _make_read_only(full)
            for folder, _, names in os.walk(full):
                for name in names:
                    _make_read_only(os.path.join(folder, name))


def is_protected(full: str) -> bool:
    """True for a file that was made read-only, or a directory with such a file in it."""
    try:
        status = os.stat(full)
        if not stat.S_ISDIR(status.st_mode):
            return not status.st_mode & _WRITABLE
        with os.scandir(full) as found:
            entries = [entry.stat(follow_symlinks=False) for entry in found]
    except OSError:
        return False
    return any(stat.S_ISREG(each.st_mode) and not each.st_mode & _WRITABLE for each in entries)


def _make_read_only(full: str) -> None:
    with contextlib.suppress(OSError):  # a file of somebody else: it is his to protect
        status = os.lstat(full)
        if stat.S_ISREG(status.st_mode):
            os.chmod(full, stat.S_IMODE(status.st_mode) & ~_WRITABLE)


def write_benchmark(path: Path, wall_s: float, peak_mb: float, cpu_s: float) -> None:
    """Write what a job used, as a table of one row."""
    text = f"wall_s\tpeak_mb\tcpu_s\n{wall_s:.3f}\t{peak_mb:.1f}\t{cpu_s:.3f}\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    except OSError as error:
        raise trouble(path, error) from error
