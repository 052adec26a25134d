"""Fill a job's private directory with what its command may see there (shadow, 5.8).

Owns the three forms: `minimal` links the inputs, `shallow` everything at the top, `full` copies the
working directory. Outputs are never in it beforehand: what is there afterwards was made there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from oxoflow.engine.cloning import clone
from oxoflow.engine.disk import trouble
from oxoflow.engine.files import RECORDS

_OURS = frozenset({RECORDS, "execution.log"})


def fill_shadow(
    form: str, root: str, place: Path, inputs: Iterable[str], outputs: Iterable[str]
) -> None:
    """Make `place` look like the working directory for one job; raises DiskTrouble."""
    kept_out = {os.path.normpath(path) for path in outputs}
    try:
        if form == "minimal":
            _link_inputs(root, place, inputs)
        else:
            copy = _copy if form == "full" else os.symlink
            _fill(root, str(place), "", kept_out, copy, deep=form == "full")
    except OSError as error:
        raise trouble(place, error) from error


def _link_inputs(root: str, place: Path, inputs: Iterable[str]) -> None:
    for path in inputs:
        source = f"{root}/{path}"
        if path.startswith("/") or ".." in path.split("/") or not os.path.lexists(source):
            continue
        target = place / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(target):
            os.symlink(source.rstrip("/"), target)


def _fill(
    root: str,
    place: str,
    inside: str,
    kept_out: set[str],
    take: Callable[[str, str], None],
    *,
    deep: bool,
) -> None:
    """Take every entry of a directory over; those that will hold outputs are made, not linked."""
    for entry in os.scandir(f"{root}/{inside}" if inside else root):
        path = f"{inside}/{entry.name}" if inside else entry.name
        if path in kept_out or path in _OURS:
            continue
        folder = entry.is_dir(follow_symlinks=False)
        if folder and (deep or any(out.startswith(f"{path}/") for out in kept_out)):
            os.mkdir(f"{place}/{path}")
            _fill(root, place, path, kept_out, take, deep=deep)
        else:
            take(entry.path, f"{place}/{path}")


def _copy(source: str, target: str) -> None:
    if os.path.islink(source):
        os.symlink(os.readlink(source), target)
    elif os.path.isfile(source):  # a FIFO or socket is nobody's input
        clone(source, target)
