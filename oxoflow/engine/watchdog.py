"""Wait beside a runner, and end what it leaves when it is killed (design 5).

Owns one small process per run that does nothing but hold the end of a pipe: only the kernel closes
the other end of a runner that dies. It removes no file and writes no record: the next run in the
directory does that, and ends what a watchdog that died as well could not.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from oxoflow.engine.recovery import end_abandoned
from oxoflow.engine.rundir import RunDirectory

# Until the pipe closes nothing of ours is loaded: an interpreter alone starts in no time.
_WAIT = """
import os, sys
os.read(0, 1)
sys.path[:] = sys.argv[1].split(os.pathsep)
from oxoflow.engine.watchdog import end_what_is_left
end_what_is_left(sys.argv[2], sys.argv[3])
"""
_PACKAGES = os.pathsep.join(os.path.abspath(place) for place in sys.path)


class Watchdog:
    """The process beside this one; started once there is something to be left behind."""

    def __init__(self, directory: RunDirectory, run_id: str) -> None:
        self._about = (run_id, str(directory.root))
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe = -1

    def start(self) -> None:
        """Start it, if it has not been started; without it the next run ends what is left."""
        if self._process is not None:
            return
        reader, self._pipe = os.pipe()
        with contextlib.suppress(OSError):
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _WAIT, _PACKAGES, *self._about],
                cwd="/",
                env={},
                stdin=reader,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # what is sent to the runner's group is not for it
            )
        os.close(reader)

    def stop(self) -> None:
        """The run has ended by itself: nothing is to be done."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1


def end_what_is_left(run_id: str, root: str) -> None:
    """The runner is gone: end what lives of its run."""
    end_abandoned(RunDirectory(Path(root)), run_id)
