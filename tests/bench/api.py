"""Compare the API with an empty Flask route, and a submission with starting Python by hand."""

import json
import selectors
import shutil
import socket
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.bench.measure import PYTHON, ROOT, Table
from tests.server_process import ServerProcess

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
    process = subprocess.Popen([PYTHON, "-m", "tests.bench.empty_server", str(port)], cwd=ROOT)
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


@contextmanager
def open_streams(server: ServerProcess, count: int) -> Iterator[list[socket.socket]]:
    """Event streams that are answered and stay open."""
    head = f"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
    head += f"Authorization: Bearer {server.token('user')}\r\n\r\n"
    opened: list[socket.socket] = []
    try:
        for _ in range(count):
            stream = socket.create_connection(("127.0.0.1", server.port), timeout=30)
            stream.sendall(head.encode())
            opened.append(stream)
        for stream in opened:
            if b" 200 " not in stream.recv(4096).split(b"\r\n", 1)[0]:
                raise RuntimeError("a stream was refused")
        yield opened
    finally:
        for stream in opened:
            stream.close()


def event_delays(server: ServerProcess, streams: list[socket.socket]) -> list[float]:
    """Milliseconds from saving a workflow to each stream's having the event of it."""
    body = {"name": "bench", "toml_content": '[workflow]\nname = "w"\n'}
    waiting = selectors.DefaultSelector()
    for stream in streams:
        waiting.register(stream, selectors.EVENT_READ)
    started = time.perf_counter()
    sender = threading.Thread(
        target=server.call, args=("POST", "/api/workflows/save", body), kwargs={"user": "user"}
    )
    sender.start()
    delays: list[float] = []
    left = set(streams)
    while left and time.perf_counter() < started + 20:
        for key, _ in waiting.select(1):
            stream = key.fileobj
            assert isinstance(stream, socket.socket)
            if b"workflow_saved" in stream.recv(65536) and stream in left:
                left.remove(stream)
                delays.append(1000 * (time.perf_counter() - started))
    sender.join()
    waiting.close()
    if left:
        raise RuntimeError(f"{len(left)} streams did not get the event")
    return sorted(delays)


def bench_streams(server: ServerProcess, count: int) -> None:
    """The API beside many open streams, and how soon an event is on all of them."""
    alone = rate(server.port, "/api/health", 4)
    table = Table(f"{count} event streams", "ms")
    table.add("health p99, no stream", alone["p99_ms"], f"{alone['rate']:.0f} req/s")
    server.token("user")
    with open_streams(server, count) as streams:
        beside = rate(server.port, "/api/health", 4)
        share = beside["rate"] / alone["rate"]
        table.add(
            "health p99, streams open", beside["p99_ms"], f"{beside['rate']:.0f} req/s, {share:.0%}"
        )
        delays = event_delays(server, streams)
        table.add("event on the median stream", delays[len(delays) // 2])
        table.add("event on the 99th of 100", delays[int(len(delays) * 0.99)])
        assert server.process is not None
        memory = psutil.Process(server.process.pid).memory_info().rss / 2**20
        table.add("server's memory, MB", memory)
    table.show(baseline="health p99, no stream")


def bench(directory: Path, size: str, rounds: int) -> None:
    server = ServerProcess(directory / "home", **SETTINGS)
    try:
        server.start()
        bench_rates(server, rounds)
        bench_latency(server, directory, rounds)
        bench_streams(server, 1000 if size == "long" else 200)
    finally:
        server.clean_up()
