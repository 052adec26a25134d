"""Run one workflow in several directories at the same moment, each by a process of its own."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.engine.running import ROOT


def run_at_once(places: Sequence[Path], text: str, *flags: str, **environment: str) -> list[int]:
    """The exit codes of the runs; the workflow is given without its head."""
    processes = []
    for place in places:
        place.mkdir(exist_ok=True)
        (place / "main.oxoflow").write_text(f"[workflow]\nname = 'w'\n{text}")
        command = [sys.executable, "-m", "oxoflow", "run", "main.oxoflow", "-j2", *flags]
        env = os.environ | {"PYTHONPATH": str(ROOT)} | environment
        process = subprocess.Popen(command, cwd=place, env=env, stdout=subprocess.DEVNULL)
        processes.append(process)
    return [process.wait() for process in processes]
