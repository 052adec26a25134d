"""Ask the command line about a run's directory, with the rights of the run's rules.

What reads a directory that rules have written, as planning and cleaning do, happens in a process of
its own that is ended when it takes too long. Owns that process; decides nothing about runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from oxoflow import sandbox
from oxoflow.engine.configstdin import config_stdin
from oxoflow.errors import InvalidInput, Unavailable
from oxoflow.supervisor.launch import PROGRAM, ROOT

SECONDS = 20.0
LARGEST = 64 * 1024**2  # bytes of an answer


def ask(
    directory: Path,
    words: Sequence[str],
    environment: Mapping[str, str],
    config: Mapping[str, str],
    seconds: float = SECONDS,
) -> Any:
    """The JSON that `oxoflow WORDS --json` prints; `config` is its stdin.

    Raises InvalidInput with its complaint, Unavailable when it takes too long.
    """
    with config_stdin(config) as stdin:
        process = subprocess.Popen(
            sandbox.wrap([*PROGRAM, *words, "--json"], directory),
            cwd=ROOT,
            env=dict(environment),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    try:
        answer, complaint = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise Unavailable(
            f"This takes longer than {seconds:g} s", "the run's files are large", retry_after=60
        ) from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # our own child, not yet reaped
            process.communicate()
    if process.returncode not in (0, 1):
        words_of = complaint.decode("utf-8", "replace").strip().removeprefix("oxoflow: ")
        raise InvalidInput("Not possible for this run", words_of[-2000:] or None)
    try:
        return json.loads(answer[:LARGEST])
    except ValueError:
        raise InvalidInput("Not possible for this run", "the answer was no JSON") from None
