"""Measure many open event streams, and the API beside them."""

import selectors
import socket
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from tests.bench.asking import rate
from tests.bench.measure import PYTHON, ROOT, Table
from tests.server_process import ServerProcess

EVENTS = 9


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


@contextmanager
def busy(server: ServerProcess) -> Iterator[None]:
    """Four clients that ask for the health as fast as they can."""
    words = [str(server.port), "/api/health", "4", "60"]
    process = subprocess.Popen(
        [PYTHON, "-m", "tests.bench.load", *words],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        time.sleep(1)
        yield
    finally:
        process.terminate()
        process.wait()


def event_delays(server: ServerProcess, streams: list[socket.socket]) -> tuple[float, float]:
    """Milliseconds until the median stream and the 99th of 100 have an event.

    Counted from the answer to the request that caused it; the medians of several events.
    """
    middle, late = [], []
    for number in range(EVENTS):
        delays = sorted(one_event(server, streams, f"bench {number}"))
        middle.append(delays[len(delays) // 2])
        late.append(delays[int(len(delays) * 0.99)])
    return statistics.median(middle), statistics.median(late)


def one_event(server: ServerProcess, streams: list[socket.socket], name: str) -> list[float]:
    """An event is committed before its request is answered: that moment counts."""
    body = {"name": name, "toml_content": '[workflow]\nname = "w"\n'}
    waiting = selectors.DefaultSelector()
    for stream in streams:
        waiting.register(stream, selectors.EVENT_READ)
    answered: list[float] = []

    def save() -> None:
        server.call("POST", "/api/workflows/save", body, user="user")
        answered.append(time.perf_counter())

    sender = threading.Thread(target=save)
    sender.start()
    got: dict[socket.socket, float] = {}
    limit = time.perf_counter() + 20
    while len(got) < len(streams) and time.perf_counter() < limit:
        for key, _ in waiting.select(1):
            reader = key.fileobj
            assert isinstance(reader, socket.socket)
            if b"workflow_saved" in reader.recv(65536):
                got.setdefault(reader, time.perf_counter())
    sender.join()
    waiting.close()
    if len(got) < len(streams):
        raise RuntimeError(f"{len(streams) - len(got)} streams did not get the event")
    first = min(answered[0], *got.values())
    return [1000 * (at - first) for at in got.values()]


def bench_streams(server: ServerProcess, count: int) -> None:
    """How soon an event is on all streams, and what they cost the API."""
    table = Table(f"{count} event streams", "ms")
    server.token("user")
    alone, beside = [], []
    for _ in range(3):
        alone.append(rate(server.port, "/api/health", 4))
        with open_streams(server, count):
            beside.append(rate(server.port, "/api/health", 4))
    middle = sorted(range(3), key=lambda at: beside[at]["rate"] / alone[at]["rate"])[1]
    before, after = alone[middle], beside[middle]
    table.add("health p99, no stream", before["p99_ms"], f"{before['rate']:.0f} req/s")
    share = after["rate"] / before["rate"]
    note = f"{after['rate']:.0f} req/s, {share:.0%}"
    table.add("health p99, streams open", after["p99_ms"], note)
    with open_streams(server, count) as streams:
        middle, late = event_delays(server, streams)
        table.add("event, idle: median stream", middle)
        table.add("event, idle: 99th of 100", late)
        with busy(server):
            middle, late = event_delays(server, streams)
        table.add("event, loaded: median stream", middle)
        table.add("event, loaded: 99th of 100", late)
        assert server.process is not None
        memory = psutil.Process(server.process.pid).memory_info().rss / 2**20
        table.add("server's memory, MB", memory)
    table.show(baseline="health p99, no stream")
