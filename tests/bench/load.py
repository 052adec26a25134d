"""Ask one URL over many kept connections for a while and print the requests per second as JSON.

A process of its own: `python -m tests.bench.load PORT PATH CLIENTS SECONDS [HEADER ...]`; what is
on its standard input is the JSON body of a POST, nothing means GET. With NUMBERx instead of SECONDS
so many requests are made, however long they take, and answers other than 200 are counted.
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


class Load:
    """What all clients share: the request, when to end, and what was seen."""

    def __init__(self, port: int, request: bytes, length: str) -> None:
        self.port = port
        self.request = request
        self.counted = length.endswith("x")
        self.left = int(length[:-1]) if self.counted else 10**9
        self.until = float("inf") if self.counted else time.perf_counter() + float(length)
        self.times: list[float] = []
        self.refused: list[str] = []

    async def client(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        while self.left > 0 and time.perf_counter() < self.until:
            self.left -= 1
            started = time.perf_counter()
            writer.write(self.request)
            head = await read_response(reader)
            if b" 200 " not in head.split(b"\r\n", 1)[0]:
                self.refused.append(head.decode())
                if not self.counted:
                    raise RuntimeError(self.refused[-1])
            self.times.append(time.perf_counter() - started)
        writer.close()

    async def clients(self, number: int) -> dict[str, float]:
        started = time.perf_counter()
        await asyncio.gather(*(self.client() for _ in range(number)))
        self.times.sort()
        return {
            "rate": len(self.times) / (time.perf_counter() - started),
            "p50_ms": 1000 * self.times[len(self.times) // 2],
            "p99_ms": 1000 * self.times[int(len(self.times) * 0.99)],
            "refused": len(self.refused),
        }


def request_of(port: int, path: str, headers: list[str], body: bytes) -> bytes:
    lines = [f"{'POST' if body else 'GET'} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", *headers]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


if __name__ == "__main__":
    port, path, clients, length, *headers = sys.argv[1:]
    request = request_of(int(port), path, headers, sys.stdin.buffer.read())
    load = Load(int(port), request, length)
    print(json.dumps(asyncio.run(load.clients(int(clients)))))
