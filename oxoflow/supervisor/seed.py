"""Fill a run's directory with what is too large for a request, then become its runner.

Started in place of the runner as `seed DIRECTORY COMMAND...`; it ends in exec, so that the process
the server recorded is the runner itself. What it takes is named in `.oxo-flow/seed.json`: uploads,
files of an earlier run as they were submitted, and its verified outputs with the state that knows
them. What it copies from is only read. Runs without the server, with the rights of the rules.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from msgspec import Struct

from oxoflow.errors import OxoflowError
from oxoflow.supervisor.copying import copy
from oxoflow.supervisor.takeover import take_results
from oxoflow.workspace import RECORDS, checked_path

SEED_FILE = f"{RECORDS}/seed.json"


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


def main(arguments: list[str]) -> int:
    """Seed, then exec; exits with 1 and one sentence when that is impossible."""
    directory, command = Path(arguments[0]), arguments[1:]
    try:
        seed(directory, json.loads((directory / SEED_FILE).read_bytes()))
        os.execv(command[0], command)
    except (OSError, ValueError, TypeError, OxoflowError) as error:  # records may be forged
        print(f"what the run begins with could not be copied: {error}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
