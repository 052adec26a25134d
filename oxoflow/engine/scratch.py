"""Give a job a private working directory, and bring its outputs home (spec/oxoflow-format.md 5.8).

Owns the directories below `.oxo-flow/scratch/`. Runs nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from oxoflow.engine.disk import trouble
from oxoflow.engine.rundir import RunDirectory, log_name

_LONGEST = 100  # characters of a job's name
_numbers = itertools.count(1)


def make_scratch(directory: RunDirectory, job: str) -> Path:
    """A fresh, empty directory for one job; raises DiskTrouble."""
    name = f"{_stem(job)}-{int(time.time() * 1000)}-{next(_numbers)}"
    path = directory.records / "scratch" / name
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise trouble(path, error) from error
    return path


def bring_home(scratch: Path, root: Path, outputs: Iterable[str]) -> None:
    """Move the outputs that exist into the working directory; raises DiskTrouble."""
    for output in outputs:
        source = scratch / output
        if os.path.isabs(output) or not os.path.lexists(source):
            continue
        target = root / output
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_dir() and not target.is_symlink():
                shutil.rmtree(target)
            shutil.move(source, target)
        except OSError as error:
            raise trouble(target, error) from error


def forget_scratch(directory: RunDirectory, job: str) -> None:
    """Delete every directory of a job that succeeded, those kept of earlier failures too."""
    place, stem = directory.records / "scratch", _stem(job)
    with contextlib.suppress(FileNotFoundError):
        for entry in list(os.scandir(place)):
            if entry.name.rsplit("-", 2)[0] == stem:
                remove_scratch(Path(entry.path))


def _stem(job: str) -> str:
    """The part of a directory's name that tells the job; no two jobs share it."""
    name = log_name(job)
    if len(name) <= _LONGEST:
        return name
    return f"{name[:_LONGEST]}-{hashlib.sha256(job.encode()).hexdigest()[:12]}"


def remove_scratch(scratch: Path) -> None:
    """Delete a job's directory with all that is left in it."""
    shutil.rmtree(scratch, ignore_errors=True)
