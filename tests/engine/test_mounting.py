"""A file system that a test mounts is gone with its process, also when that is killed."""

import os
import subprocess
import sys

import pytest

from tests.engine.running import ROOT

MOUNT = """
import sys
from pathlib import Path
from tests.engine.mounting import mount_memory

print(mount_memory(Path(sys.argv[1]), "1m"), flush=True)
sys.stdin.read()
"""


def test_a_killed_process_leaves_nothing_mounted(tmp_path):
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", MOUNT, str(tmp_path)], cwd=ROOT, stdin=pipe, stdout=pipe, text=True
    ) as process:
        mounted = process.stdout.readline()
        seen = os.path.ismount(f"/proc/{process.pid}/root{tmp_path}")
        elsewhere = os.path.ismount(tmp_path)
        process.kill()
    if mounted != "True\n":
        pytest.skip("no file system can be mounted here")
    assert (seen, elsewhere) == (True, False)
    assert not os.path.ismount(tmp_path)
