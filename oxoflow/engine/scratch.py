"""Give a job a private working directory, and bring its outputs home (spec/oxoflow-format.md 5.8).

Owns the directories below `.oxo-flow/scratch/`. Runs nothing.
"""

from __future__ import annotations

import itertools
import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from oxoflow.engine.disk import trouble
from oxoflow.engine.rundir import RunDirectory, log_name

_numbers = itertools.count(1)


def make_scratch(directory: RunDirectory, job: str) -> Path:
    """A fresh, empty directory for one job; raises DiskTrouble."""
    place = directory.records / "scratch"
    path = place / f"{log_name(job)[:120]}-{int(time.time() * 1000)}-{next(_numbers)}"
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


def remove_scratch(scratch: Path) -> None:
    """Delete a job's directory with all that is left in it."""
    shutil.rmtree(scratch, ignore_errors=True)
