"""Compare the API with an empty Flask route, and a submission with starting Python by hand."""

import json
import shutil
import statistics
import subprocess
import time
from pathlib import Path

from tests.bench.api_runs import bench_many_runs, bench_real_runs
from tests.bench.api_streams import bench_streams
from tests.bench.asking import empty_server, rate
from tests.bench.language import realistic
from tests.bench.measure import PYTHON, ROOT, Table
from tests.server_process import ServerProcess

SETTINGS = {
    "RATE_LIMIT": "0",
    "CACHE_SIZE": "0",
    "STREAMS_PER_USER": "5000",
    "MAX_STREAMS": "5000",
    "MAX_PENDING_PER_USER": "100000",
    "LOG_LEVEL": "warning",
}


def bench_ready(directory: Path, rounds: int) -> None:
    """From the start of the process to its first answer, over a home that was used before."""
    server = ServerProcess(directory / "ready", **SETTINGS)
    ready, bare = [], []
    try:
        for number in range(max(rounds, 5) + 1):
            started = time.perf_counter()
            server.start()
            assert server.call("GET", "/readyz")[0] == 200
            if number:  # the first start makes the home
                ready.append(time.perf_counter() - started)
            server.stop()
            started = time.perf_counter()
            subprocess.run([PYTHON, "-c", "import flask, waitress"], check=True)
            bare.append(time.perf_counter() - started)
    finally:
        server.clean_up()
    table = Table("from start to ready", "s")
    table.add("import flask, waitress", statistics.median(bare))
    table.add("server", statistics.median(ready), f"[{min(ready):.3g}..{max(ready):.3g}]")
    table.show(baseline="import flask, waitress")


def bench_rates(server: ServerProcess, rounds: int) -> None:
    text = '[workflow]\nname = "w"\n[[rules]]\nname = "a"\nshell = "%s"\n'
    finished = server.submit(text % "true")
    server.finish(finished)
    running = server.submit(text % "sleep 600")
    bearer = f"Authorization: Bearer {server.token('user')}"
    body = json.dumps({"toml_content": realistic(20)}).encode()
    cases = {
        "health": (16, "/api/health", b"", ()),
        "finished run": (16, f"/api/runs/{finished}", b"", (bearer,)),
        "running run": (16, f"/api/runs/{running}", b"", (bearer,)),
        "validate, 20 rules": (16, "/api/workflows/validate", body, ()),
        "health, 256 clients": (256, "/api/health", b"", ()),
        "finished run, 256 clients": (256, f"/api/runs/{finished}", b"", (bearer,)),
    }
    port = server.port + 1 if server.port < 65000 else 20000
    floors = ("empty route", "empty route, our wait loop")
    with empty_server(port) as plain, empty_server(port + 1, "ours") as ours:
        rates: dict[str, list[float]] = {name: [] for name in (*floors, *cases)}
        for _ in range(rounds):
            for name, empty in zip(floors, (plain, ours), strict=True):
                rates[name].append(rate(empty, "/empty", 16)["rate"])
            for name, (clients, path, sent, headers) in cases.items():
                rates[name].append(rate(server.port, path, clients, *headers, body=sent)["rate"])
    server.call("DELETE", f"/api/runs/{running}", user="user")
    table = Table("requests per second, 16 clients where not said", "req/s")
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
        assert server.finish(run_id)["status"] == "success"
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
    """All of it; `long` has the numbers of the issue."""
    long = size == "long"
    subprocess.run([PYTHON, "-m", "compileall", "-q", str(ROOT / "oxoflow")], check=False)
    bench_ready(directory, rounds)
    server = ServerProcess(directory / "home", **SETTINGS)
    try:
        server.start()
        bench_rates(server, rounds)
        bench_latency(server, directory, rounds)
        bench_streams(server, 1000 if long else 200)
    finally:
        server.clean_up()
    bench_many_runs(directory, 10_000 if long else 500, SETTINGS)
    bench_real_runs(directory, 200 if long else 30, SETTINGS)
