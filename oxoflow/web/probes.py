"""Serve which environments this machine can use (spec/oxo-flow-api.md 1.2).

Owns the probes and how long their answer is kept; what an environment does is `environments`'.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from flask import Blueprint, Response

from oxoflow.web.http import reply

PROBE_SECONDS = 2.0
KEPT_SECONDS = 60.0
# A family is there when one of its commands answers; the order is that of the answer.
PROBES: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...] = (
    ("conda", (("conda", "--version"), ("mamba", "--version"), ("micromamba", "--version"))),
    ("pixi", (("pixi", "--version"),)),
    ("docker", (("docker", "--version"), ("podman", "--version"))),
    ("singularity", (("singularity", "--version"), ("apptainer", "--version"))),
    ("venv", ((sys.executable, "-c", "import venv, ensurepip"),)),
    ("modules", (("modulecmd", "bash", "--version"), ("lmod", "--version"))),
)

blueprint = Blueprint("probes", __name__)


def answers(command: Sequence[str]) -> bool:
    """Whether a command is installed and succeeds in time."""
    if shutil.which(command[0]) is None:
        return False
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=PROBE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


class Environments:
    """The list of usable families, probed when asked for and kept for a minute."""

    def __init__(
        self,
        works: Callable[[Sequence[str]], bool] = answers,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._works = works
        self._clock = clock
        self._lock = threading.Lock()
        self._found: tuple[str, ...] = ()
        self._until = float("-inf")

    def available(self) -> tuple[str, ...]:
        """`system`, then each family of which some command works."""
        with self._lock:
            if self._clock() >= self._until:
                self._found = self._probe()
                self._until = self._clock() + KEPT_SECONDS
            return self._found

    def _probe(self) -> tuple[str, ...]:
        with ThreadPoolExecutor(len(PROBES)) as pool:
            works = pool.map(lambda probe: any(map(self._works, probe[1])), PROBES)
            found = [name for (name, _), yes in zip(PROBES, works, strict=True) if yes]
        return ("system", *found)


environments = Environments()


@blueprint.get("/api/environments")
def list_environments() -> Response:
    """The families of environments that rules can use here."""
    return reply({"available": list(environments.available())})
