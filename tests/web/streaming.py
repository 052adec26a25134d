"""Read event streams in tests: from a bare socket, frame by frame."""

import json
import socket
from collections.abc import Iterator
from typing import Any

from tests.patience import PATIENCE


class Reader:
    """The client's end of a stream."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.connection.settimeout(PATIENCE)
        self.rest = b""
        self.head = ""

    def blocks(self) -> Iterator[dict[str, str]]:
        """Every frame as its fields, until the server closes."""
        while True:
            while b"\n\n" not in self.rest:
                data = self.connection.recv(65536)
                if not data:
                    return
                self.rest += data
            block, _, self.rest = self.rest.partition(b"\n\n")
            yield dict(line.split(": ", 1) for line in block.decode().split("\n"))

    def events(self, heartbeats: bool = False) -> Iterator[tuple[int | None, dict[str, Any]]]:
        """(id, object) of every event; heartbeats only when wanted."""
        for block in self.blocks():
            if "data" in block:
                body = json.loads(block["data"])
                if heartbeats or body["type"] != "heartbeat":
                    yield int(block["id"]) if "id" in block else None, body

    def take(self, number: int) -> list[tuple[int | None, dict[str, Any]]]:
        """The next events, heartbeats left out."""
        found = self.events()
        return [next(found) for _ in range(number)]

    def close(self) -> None:
        self.connection.close()
