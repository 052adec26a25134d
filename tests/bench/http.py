"""Compare the API with an empty Flask route, and a submission with starting Python by hand."""

import json
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.bench.measure import PYTHON, ROOT, Table
from tests.server_process import ServerProcess

HERE = Path(__file__).parent
SECONDS = 2.0
SETTINGS = {
    "RATE_LIMIT": "0",
    "STREAMS_PER_USER": "5000",
    "MAX_STREAMS": "5000",
    "MAX_PENDING_PER_USER": "100000",
    "LOG_LEVEL": "warning",
}


@contextmanager
def empty_server(port: int) -> Iterator[int]:
    process = subprocess.Popen([PYTHON, str(HERE / "empty_server.py"), str(port)])
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


def rate(port: int, path: str, clients: int, *headers: str) -> dict[str, float]:
    """Requests per second and latencies in milliseconds, from a process of its own."""
    words = [str(port), path, str(clients), str(SECONDS), *headers]
    done = subprocess.run(
        [PYTHON, "-m", "tests.bench.load", *words], cwd=ROOT, capture_output=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def bench_rates(server: ServerProcess, rounds: int) -> None:
    run_id = server.submit('[workflow]\nname = "w"\n[[rules]]\nname = "a"\nshell = "true"\n')
    server.finish(run_id)
    bearer = f"Authorization: Bearer {server.token('user')}"
    paths = {"health": ("/api/health",), "finished run": (f"/api/runs/{run_id}", bearer)}
    with empty_server(server.port + 1 if server.port < 65000 else 20000) as empty:
        rates: dict[str, list[float]] = {name: [] for name in ("empty route", *paths)}
        for _ in range(rounds):
            rates["empty route"].append(rate(empty, "/empty", 16)["rate"])
            for name, words in paths.items():
                rates[name].append(rate(server.port, *words[:1], 16, *words[1:])["rate"])
    table = Table("requests per second, 16 clients", "req/s")
    for name, found in rates.items():
        table.add(name, statistics.median(found), f"[{min(found):.0f}..{max(found):.0f}]")
    table.show(baseline="empty route")


def bench_latency(server: ServerProcess, directory: Path, rounds: int) -> None:
    """From the POST to the first rule, against starting the runner's Python and one bash."""
    text = (
        '[workflow]\nname = "w"\n[[rules]]\nname = "a"\noutput = ["t"]\nshell = "date +%s.%N > t"\n'
    )
    ours, by_hand, bare = [], [], []
    for number in range(max(rounds, 5)):
        started = time.time()
        run_id = server.submit(text)
        server.finish(run_id)
        status, stamp = server.call("GET", f"/api/runs/{run_id}/files/t", user="user")
        assert status == 200
        ours.append(float(stamp) - started)
        place = directory / f"latency{number}"
        place.mkdir()
        (place / "w.oxoflow").write_text(text)
        started = time.time()
        subprocess.run(
            [PYTHON, "-m", "oxoflow", "run", "w.oxoflow"],
            cwd=place,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        by_hand.append(float((place / "t").read_text()) - started)
        started = time.time()
        subprocess.run([PYTHON, "-c", "import os; os.system('date +%s.%N > t')"], cwd=place)
        bare.append(float((place / "t").read_text()) - started)
        shutil.rmtree(place)
    table = Table("from submission to the first rule", "s")
    table.add("POST /api/workflows/run", statistics.median(ours))
    table.add("oxoflow run", statistics.median(by_hand))
    table.add("python -c os.system", statistics.median(bare))
    table.show(baseline="python -c os.system")


def bench(directory: Path, size: str, rounds: int) -> None:
    server = ServerProcess(directory / "home", **SETTINGS)
    try:
        server.start()
        bench_rates(server, rounds)
        bench_latency(server, directory, rounds)
    finally:
        server.clean_up()
