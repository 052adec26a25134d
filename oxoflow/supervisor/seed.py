"""Fill a run's directory with what is too large for a request, then become its runner.

Started in place of the runner as `seed DIRECTORY COMMAND...`; it ends in exec, so that the process
the server recorded is the runner itself. What it takes is named in `.oxo-flow/seed.json`: uploads,
files of an earlier run as they were submitted, and its verified outputs with the state that knows
them. What it copies from is only read. Runs without the server, with the rights of the rules.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from msgspec import Struct

from oxoflow.engine.state import State
from oxoflow.errors import InvalidInput, OxoflowError
from oxoflow.workspace import RECORDS, checked_path, open_below, open_regular

SEED_FILE = f"{RECORDS}/seed.json"
STATE = f"{RECORDS}/state.sqlite"
FICLONE = 0x40049409  # _IOW(0x94, 9, int): share the blocks of another file
CHUNK = 1 << 30


class Copy(Struct, frozen=True):
    """One file to take: its directory, its path there, and its path in the run."""

    directory: str
    name: str
    target: str


def order(copies: Iterable[Copy], results_of: Path | None = None) -> bytes:
    """The content of `seed.json`; `results_of` is a run directory whose results are taken over."""
    return json.dumps(
        {
            "copies": [[one.directory, one.name, one.target] for one in copies],
            "results_of": None if results_of is None else str(results_of),
        }
    ).encode()


def seed(directory: Path, wanted: dict[str, Any]) -> None:
    """Copy what is wanted; raises OSError when a named file is gone."""
    for place, name, target in wanted["copies"]:
        if not copy(Path(place), name, directory / checked_path(target)):
            raise OSError(f"'{name}' is not there any more")
    if wanted["results_of"] is not None:
        take_results(Path(wanted["results_of"]), directory)


def take_results(old: Path, new: Path) -> None:
    """Copy the verified outputs of a run and its state; what was changed since is left out."""
    for name in (STATE, f"{STATE}-wal"):  # the log is there when the old runner was killed
        (new / name).unlink(missing_ok=True)
        copy(old, name, new / name)
    if not (new / STATE).exists():
        return
    state = State(new / STATE)
    try:
        outputs = state.outputs()
    finally:
        state.close()
    for output in outputs.values():
        with contextlib.suppress(InvalidInput):
            path = checked_path(output.path)
            if output.size < 0:
                copy_tree(old, new, str(path))
            else:
                copy(old, str(path), new / path, (output.size, output.mtime_ns))


def copy(old: Path, name: str, target: Path, known: tuple[int, int] | None = None) -> bool:
    """Copy one regular file with its time, sharing blocks where possible; False when left out.

    `known` are the size and time it must have: those it had when it was verified.
    """
    descriptor = open_regular(old, name)
    if descriptor is None:
        return False
    try:
        facts = os.fstat(descriptor)
        if known not in (None, (facts.st_size, facts.st_mtime_ns)):
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)  # uploads stand as links until now
        with open(target, "xb") as handle:
            _share_or_copy(descriptor, handle.fileno(), facts.st_size)
            os.fchmod(handle.fileno(), stat.S_IMODE(facts.st_mode) | stat.S_IWUSR)
            os.utime(handle.fileno(), ns=(facts.st_atime_ns, facts.st_mtime_ns))
        return True
    finally:
        os.close(descriptor)


def copy_tree(old: Path, new: Path, name: str) -> None:
    """Copy the regular files of an output directory."""
    try:
        os.close(open_below(old, name, os.O_DIRECTORY))
    except OSError:
        return
    for folder, _, names in os.walk(old / name):
        inside = Path(folder).relative_to(old)
        (new / inside).mkdir(parents=True, exist_ok=True)
        for one in names:
            copy(old, str(inside / one), new / inside / one)


def _share_or_copy(source: int, target: int, size: int) -> None:
    try:
        fcntl.ioctl(target, FICLONE, source)
        return
    except OSError:  # another file system, or one without shared blocks
        pass
    done = 0
    while done < size:
        moved = os.sendfile(target, source, done, min(CHUNK, size - done))
        if not moved:
            raise OSError("a file became shorter while it was copied")
        done += moved


def main(arguments: list[str]) -> int:
    """Seed, then exec; exits with 1 and one sentence when that is impossible."""
    directory, command = Path(arguments[0]), arguments[1:]
    try:
        seed(directory, json.loads((directory / SEED_FILE).read_bytes()))
        os.execv(command[0], command)
    except (OSError, ValueError, OxoflowError) as error:
        print(f"what the run begins with could not be copied: {error}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
