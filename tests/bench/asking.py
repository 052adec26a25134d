"""Ask a server from a process of its own, and start the empty one that it is compared with."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from tests.bench.measure import PYTHON, ROOT

SECONDS = "2"


@contextmanager
def empty_server(port: int, *build: str) -> Iterator[int]:
    words = [PYTHON, "-m", "tests.bench.empty_server", str(port), *build]
    process = subprocess.Popen(words, cwd=ROOT)
    try:
        while not any(
            found.laddr.port == port for found in psutil.Process(process.pid).net_connections()
        ):
            if process.poll() is not None:
                raise RuntimeError("the empty server did not start")
            time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait()


def rate(
    port: int, path: str, clients: int, *headers: str, body: bytes = b"", length: str = SECONDS
) -> dict[str, float]:
    """Requests per second, latencies in milliseconds, and how many were refused."""
    words = [str(port), path, str(clients), length, *headers]
    done = subprocess.run(
        [PYTHON, "-m", "tests.bench.load", *words],
        cwd=ROOT,
        input=body,
        capture_output=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found
