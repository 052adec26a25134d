"""Measure many runs: submitted at once, listed when thousands are stored, and really executed."""

import json
import statistics
import subprocess
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from tests.bench.asking import rate
from tests.bench.measure import PYTHON, Table
from tests.server_process import ServerProcess

CLIENTS = 50
TEXT = '[workflow]\nname = "w"\n[[rules]]\nname = "a"\noutput = ["t"]\nshell = "true > {output}"\n'
PAGE = "/api/runs?page=1&per_page=10"
BODY = json.dumps({"toml_content": TEXT}).encode()


def page_of_list(server: ServerProcess) -> float:
    """Milliseconds for one page of the list of runs, the median of many."""
    taken = []
    for _ in range(50):
        started = time.perf_counter()
        status, _ = server.call("GET", PAGE, user="user")
        taken.append(1000 * (time.perf_counter() - started))
        assert status == 200
    return statistics.median(taken)


def bench_many_runs(directory: Path, number: int, settings: Mapping[str, str]) -> None:
    """Fifty clients submit runs that are not admitted; then the list is read."""
    server = ServerProcess(directory / "many", **{**settings, "MAX_RUNS": "0"})
    try:
        server.start()
        bearer = f"Authorization: Bearer {server.token('user')}"
        for _ in range(10):
            server.submit(TEXT)
        few = page_of_list(server)
        found = rate(
            server.port, "/api/workflows/run", CLIENTS, bearer, body=BODY, length=f"{number}x"
        )
        many = page_of_list(server)
        assert server.process is not None
        memory = psutil.Process(server.process.pid).memory_info().rss / 2**20
        log = (directory / "many.stderr").read_text()
    finally:
        server.clean_up()
    locked = log.count("database is locked")
    table = Table(f"{CLIENTS} clients submit {number:,} runs that wait", "")
    table.add("submissions per second", found["rate"], f"p99 {found['p99_ms']:.0f} ms")
    table.add("refused", found["refused"], f"'database is locked' {locked} times in the log")
    table.add("server's memory, MB", memory)
    table.show(baseline="")
    table = Table("a page of the list of runs", "ms")
    table.add("10 runs stored", few)
    table.add(f"{number:,} more stored", many)
    table.show(baseline="10 runs stored")


def bench_real_runs(directory: Path, number: int, settings: Mapping[str, str]) -> None:
    """Runs that are submitted at once and executed, against the command line two at a time."""
    server = ServerProcess(directory / "real", **{**settings, "MAX_RUNS_PER_USER": "100"})
    try:
        server.start()
        bearer = f"Authorization: Bearer {server.token('user')}"
        started = time.perf_counter()
        rate(server.port, "/api/workflows/run", 10, bearer, body=BODY, length=f"{number}x")
        runs = server.call("GET", f"/api/runs?per_page={number}", user="user")[1]
        for run in runs:
            server.events(run["id"])
        took = time.perf_counter() - started
        runs = server.call("GET", f"/api/runs?per_page={number}", user="user")[1]
        states = {run["status"] for run in runs}
        assert states == {"success"}, states
        assert len(runs) == number
    finally:
        server.clean_up()
    table = Table(f"{number} runs of one job", "s")
    table.add("oxoflow run, two at a time", by_hand(directory / "by-hand", number))
    table.add("submitted and executed", took)
    table.show(baseline="oxoflow run, two at a time")


def by_hand(directory: Path, number: int) -> float:
    """Seconds for as many runs of the command line."""

    def run(index: int) -> None:
        place = directory / str(index)
        place.mkdir(parents=True)
        (place / "w.oxoflow").write_text(TEXT)
        command = [PYTHON, "-m", "oxoflow", "run", "w.oxoflow"]
        subprocess.run(command, cwd=place, check=True, stdout=subprocess.DEVNULL)

    started = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, range(number)))
    return time.perf_counter() - started
