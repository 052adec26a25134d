"""Note every start of a command before it happens, so that a dead runner leaves no unknown job.

Owns `.oxo-flow/started`: one JSON line before a command starts (which outputs were there) and one
after it (its process). Lines are in the kernel's hands before the command is, so a killed runner
loses none; a power cut may lose some, and then the plan's durable mark still keeps the job from
being taken for done.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from oxoflow.engine.disk import trouble
from oxoflow.engine.identity import ProcessIdentity
from oxoflow.engine.jsontext import to_json

# What an output looked like: modification time in ns, size, inode.
Shape = tuple[int, int, int]


class Start(Struct, frozen=True):
    """The last recorded start of a job, at `at` seconds since the epoch.

    `before` are the outputs that existed then; outputs may include a scratch directory.
    """

    job: str
    outputs: tuple[str, ...]
    before: Mapping[str, Shape]
    at: float
    process: ProcessIdentity | None = None


class Journal:
    """Append starts; any thread may, each line is one write."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = os.open(path, flags, 0o644)
        except OSError as error:
            raise trouble(path, error) from error

    def will_start(
        self, job: str, outputs: tuple[str, ...], before: Mapping[str, Shape], at: float
    ) -> None:
        """Note that a job's command is about to start; raises DiskTrouble."""
        self._append([job, at, outputs, before])

    def has_started(self, job: str, pid: int, start_time: int) -> None:
        """Note the process of the command."""
        self._append([job, pid, start_time])

    def close(self) -> None:
        """Close the file; what stands in it stays until the next run."""
        os.close(self._descriptor)

    def _append(self, entry: list[object]) -> None:
        try:
            os.write(self._descriptor, f"{to_json(entry)}\n".encode("utf-8", "surrogatepass"))
        except OSError as error:
            raise trouble(self._path, error) from error


def read_journal(path: Path, boot: str) -> dict[str, Start]:
    """The last start of each job that stands in a journal written during boot `boot`."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise trouble(path, error) from error
    found: dict[str, Start] = {}
    for line in lines:
        try:
            job, *rest = json.loads(line)
            if len(rest) == 2:
                pid, start_time = map(int, rest)
                found[job] = replace(found[job], process=ProcessIdentity(pid, start_time, boot))
            else:
                at, outputs, before = rest
                shapes = {str(output): _shape(shape) for output, shape in before.items()}
                found[job] = Start(str(job), tuple(map(str, outputs)), shapes, float(at))
        except (ValueError, TypeError, KeyError, AttributeError):
            continue  # a torn or foreign line says nothing
    return found


def _shape(value: object) -> Shape:
    if not isinstance(value, list):
        raise TypeError(value)
    first, second, third = value
    return int(first), int(second), int(third)
