"""Talk to a server over HTTP: log in, submit, follow events, fetch results.

Owns one connection a call; knows the API's paths and errors, nothing about the engine. Streams
are followed across lost connections by the id of the last event (spec/oxo-flow-api.md 2.2).
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from oxoflow.errors import OxoflowError

TIMEOUT = 30.0  # seconds without a byte; a stream has a heartbeat every 5
RECONNECTS = 10


class ServerRefused(OxoflowError):
    """The server answered with an error; `status` is its HTTP status."""

    def __init__(self, status: int, message: str, detail: str | None = None) -> None:
        super().__init__(message, detail)
        self.status = status


class ServerUnreachable(OxoflowError):
    """Nobody answers at the address."""


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One frame of an event stream; `id` is None for heartbeats."""

    id: int | None
    type: str
    time: str
    data: Mapping[str, Any]


class Client:
    """A logged-in (or anonymous) user of one server, for example `http://127.0.0.1:8080/prefix`."""

    def __init__(self, url: str, token: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ServerUnreachable(f"'{url}' is no address of a server: write http://host:port")
        secure = parts.scheme == "https"
        self._factory = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        self._host, self._port = parts.hostname, parts.port
        self._prefix = parts.path.rstrip("/")
        self._token = token

    def log_in(self, username: str, password: str) -> None:
        """Open a session; raises ServerRefused (401) for a wrong password."""
        answer = self.call("POST", "/api/auth/login", {"username": username, "password": password})
        self._token = answer["token"]

    def submit(self, toml_content: str, **config: Any) -> str:
        """Submit a workflow text; returns the id of its run."""
        body = {"toml_content": toml_content, "config": config}
        return str(self.call("POST", "/api/workflows/run", body)["run_id"])

    def run(self, run_id: str) -> dict[str, Any]:
        """How a run stands."""
        found: dict[str, Any] = self.call("GET", f"/api/runs/{run_id}")
        return found

    def file(self, run_id: str, path: str) -> bytes:
        """One file of a run."""
        return self._read("GET", f"/api/runs/{run_id}/files/{quote(path)}")

    def events(self, run_id: str) -> Iterator[ServerEvent]:
        """What happened in a run since its start and what happens now, until it is over.

        A lost connection is taken up again; raises ServerUnreachable when that fails repeatedly.
        """
        last, failures = 0, 0
        while True:
            try:
                for event in self._stream(f"/api/runs/{run_id}/events", last):
                    failures = 0
                    last = event.id or last
                    yield event
                return
            except (OSError, http.client.HTTPException) as error:
                failures += 1
                if failures > RECONNECTS:
                    raise ServerUnreachable(f"the event stream broke: {error}") from error
                time.sleep(min(0.1 * 2**failures, 3.0))

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Make one request with a JSON answer; raises ServerRefused or ServerUnreachable."""
        return json.loads(self._read(method, path, body))

    def _read(self, method: str, path: str, body: Any = None) -> bytes:
        try:
            connection, answer = self._open(method, path, body)
        except (OSError, http.client.HTTPException) as error:
            raise ServerUnreachable(
                f"no server answers at {self._host}:{self._port}: {error}"
            ) from error
        try:
            return answer.read()
        finally:
            connection.close()

    def _open(
        self, method: str, path: str, body: Any = None, last_event: int = 0
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        connection = self._factory(self._host, self._port, timeout=TIMEOUT)
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if last_event:
            headers["Last-Event-ID"] = str(last_event)
        text = None if body is None else json.dumps(body)
        connection.request(method, self._prefix + path, text, headers)
        answer = connection.getresponse()
        if answer.status >= 400:
            data = answer.read()
            connection.close()
            raise _refusal(answer.status, data)
        return connection, answer

    def _stream(self, path: str, last_event: int) -> Iterator[ServerEvent]:
        connection, answer = self._open("GET", path, last_event=last_event)
        try:
            number: int | None = None
            while line := answer.readline():
                name, _, value = line.decode().rstrip("\r\n").partition(": ")
                if name == "id":
                    number = int(value)
                elif name == "data":
                    found = json.loads(value)
                    yield ServerEvent(number, found["type"], found["time"], found["data"])
                    number = None
        finally:
            connection.close()


def _refusal(status: int, data: bytes) -> ServerRefused:
    try:
        found = json.loads(data)
        return ServerRefused(
            status, str(found["error"]), found.get("detail") or found.get("message")
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return ServerRefused(status, f"the server answered {status}", data[:200].decode("latin-1"))
