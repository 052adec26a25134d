"""Start the commands of a file through bash, a given number at a time, and do nothing else."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def spawn(command: str) -> None:
    process = subprocess.Popen(["bash", "-c", command], stdin=subprocess.DEVNULL)
    _, status, _ = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    with ThreadPoolExecutor(int(sys.argv[2])) as pool:
        list(pool.map(spawn, Path(sys.argv[1]).read_text().splitlines()))
