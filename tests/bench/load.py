"""Ask one URL over many kept connections for a while and print the requests per second as JSON.

A process of its own: `python -m tests.bench.load PORT PATH CLIENTS SECONDS [HEADER ...]`.
"""

import asyncio
import json
import sys
import time


async def read_response(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            await reader.readexactly(int(line.split(b":")[1]))
    return head


async def client(port: int, request: bytes, until: float, times: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.perf_counter() < until:
        started = time.perf_counter()
        writer.write(request)
        head = await read_response(reader)
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            raise RuntimeError(head.decode())
        times.append(time.perf_counter() - started)
    writer.close()


async def load(port: int, path: str, clients: int, seconds: float, headers: list[str]) -> None:
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", *headers, "", ""]
    request = "\r\n".join(lines).encode()
    times: list[float] = []
    until = time.perf_counter() + seconds
    await asyncio.gather(*(client(port, request, until, times) for _ in range(clients)))
    times.sort()
    answer = {
        "rate": len(times) / seconds,
        "p50_ms": 1000 * times[len(times) // 2],
        "p99_ms": 1000 * times[int(len(times) * 0.99)],
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    asyncio.run(
        load(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), sys.argv[5:])
    )
