"""Speak to an oxoflow server: log in, submit, ask, follow events without missing one.

Owns connections and the mapping of error answers to errors. Standard library only, so that the
command line and the demo start quickly; prints nothing.
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from msgspec import Struct

from oxoflow import errors

TERMINAL = frozenset({"run_completed", "run_failed", "run_cancelled"})
TIMEOUT = 30.0  # seconds without a byte; streams have a heartbeat every five
PATIENCE = 60.0  # seconds for which a stream tries to reach a server that went away
PAUSE = 0.5
ERRORS: Mapping[int, type[errors.ServiceError]] = {
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    413: errors.TooLarge,
    429: errors.RateLimited,
    503: errors.Unavailable,
}


class ServerEvent(Struct, frozen=True):
    """One event of a stream; `id` is None for heartbeats."""

    id: int | None
    type: str
    time: str
    data: Mapping[str, Any]


class Client:
    """One server, and after `log_in` one session. Not for use by several threads at a time."""

    def __init__(self, url: str, token: str | None = None, timeout: float = TIMEOUT) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise errors.UsageError(f"'{url}' is not the address of a server: http://HOST:PORT")
        self.url = url.rstrip("/")
        self.token = token
        self._secure = parts.scheme == "https"
        self._host = parts.hostname
        self._port = parts.port
        self._base = parts.path.rstrip("/")
        self._timeout = timeout
        self._kept: http.client.HTTPConnection | None = None

    def log_in(self, username: str, password: str) -> str:
        """Open a session and keep its token, which is also returned."""
        answer = self.call("POST", "/api/auth/login", {"username": username, "password": password})
        self.token = str(answer["token"])
        return self.token

    def log_out(self) -> None:
        """End the session."""
        self.call("POST", "/api/auth/logout")
        self.token = None

    def submit(self, text: str, **more: Any) -> str:
        """Submit a workflow text; `more` are further keys of the request. Returns the run's id."""
        answer = self.call("POST", "/api/workflows/run", {"toml_content": text, **more})
        return str(answer["run_id"])

    def run(self, run_id: str) -> dict[str, Any]:
        """Everything about a run."""
        found: dict[str, Any] = self.call("GET", f"/api/runs/{quote(run_id, safe='')}")
        return found

    def cancel(self, run_id: str) -> dict[str, Any]:
        """End a run; the answer is the receipt."""
        receipt: dict[str, Any] = self.call("DELETE", f"/api/runs/{quote(run_id, safe='')}")
        return receipt

    def file(self, run_id: str, name: str) -> bytes:
        """One file of a run."""
        return self.read(_place_of(run_id, name))

    def read(self, path: str) -> bytes:
        """The bytes behind a path, such as a log."""
        return self._exchange("GET", path)

    def download(self, run_id: str, name: str, target: Path) -> None:
        """Store an output file of a run, without holding it in memory."""
        path = _place_of(run_id, name)
        connection = self._connect()
        try:
            response = self._send(connection, "GET", path, None, {})
            if response.status != 200:
                raise _error(response.status, response.read(), response.headers)
            with target.open("wb") as handle:
                while data := response.read(1 << 20):
                    handle.write(data)
        finally:
            connection.close()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One request; the JSON of its answer. Raises the ServiceError of an error status."""
        return json.loads(self._exchange(method, path, body))

    def events(self, run_id: str, after: int = 0) -> Iterator[ServerEvent]:
        """Every event of a run behind `after`, in order and once, to its end.

        Comes back by itself when the connection or the server goes away; raises Unavailable when
        the server stays away.
        """
        path = f"/api/runs/{quote(run_id, safe='')}/events"
        given_up = time.monotonic() + PATIENCE
        while True:
            try:
                for event in self._stream(path, after):
                    given_up = time.monotonic() + PATIENCE
                    if event.id is None:
                        continue
                    after = event.id
                    yield event
                    if event.type in TERMINAL:
                        return
                if self.run(run_id)["finished_at"]:
                    return  # its last events are too old to be replayed
            except (errors.Unavailable, errors.RateLimited) as error:
                if time.monotonic() > given_up:
                    raise
                time.sleep(min(error.retry_after, 5) * PAUSE)
            except (OSError, http.client.HTTPException):
                if time.monotonic() > given_up:
                    raise self._away() from None
                time.sleep(PAUSE)

    def _stream(self, path: str, after: int) -> Iterator[ServerEvent]:
        connection = self._connect()
        try:
            headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
            response = self._send(connection, "GET", path, None, headers)
            if response.status == 204:
                return
            if response.status != 200:
                raise _error(response.status, response.read(), response.headers)
            yield from parse_events(response)
        finally:
            connection.close()

    def _exchange(self, method: str, path: str, body: Any = None) -> bytes:
        """One request over the kept connection, once more over a new one if it was closed."""
        content = None if body is None else json.dumps(body).encode()
        fresh = self._kept is None
        connection, self._kept = self._kept or self._connect(), None
        try:
            response = self._send(connection, method, path, content, {})
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            # Nothing but a closed idle connection is tried again: a request may have been done.
            if fresh or not isinstance(error, http.client.RemoteDisconnected | BrokenPipeError):
                raise self._away() from error
            return self._exchange(method, path, body)
        if response.will_close:
            connection.close()
        else:
            self._kept = connection
        if response.status >= 400:
            raise _error(response.status, answer, response.headers)
        return answer

    def close(self) -> None:
        """Close the kept connection; the client can be used again."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _connect(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        return kind(self._host, self._port, timeout=self._timeout)

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        content: bytes | None,
        headers: Mapping[str, str],
    ) -> http.client.HTTPResponse:
        sent = {"Accept": "application/json", **headers}
        if content is not None:
            sent["Content-Type"] = "application/json"
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        connection.request(method, self._base + path, content, sent)
        if connection.sock is not None and connection.sock.family != socket.AF_UNIX:
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection.getresponse()

    def _away(self) -> errors.Unavailable:
        return errors.Unavailable(
            f"no server answers at {self.url}: start one with ./run.sh, or check the address"
        )


def parse_events(lines: Iterator[bytes] | http.client.HTTPResponse) -> Iterator[ServerEvent]:
    """The events in the lines of a stream; comments and unknown fields are passed over."""
    number: int | None = None
    data: list[str] = []
    for raw in lines:
        name, _, value = raw.decode("utf-8", "replace").rstrip("\r\n").partition(":")
        value = value.removeprefix(" ")
        if name == "id" and value.isascii() and value.isdigit():
            number = int(value)
        elif name == "data":
            data.append(value)
        elif not name and not value:
            if data:
                body = json.loads("\n".join(data))
                yield ServerEvent(number, body["type"], body["time"], body.get("data", {}))
            number, data = None, []


def _place_of(run_id: str, name: str) -> str:
    """The path of an output file; a name that is no UTF-8 is given as Python has it."""
    encoded = quote(name, errors="surrogateescape")
    return f"/api/runs/{quote(run_id, safe='')}/files/{encoded}"


def _error(status: int, answer: bytes, headers: Any) -> errors.ServiceError:
    """The error that an answer stands for."""
    try:
        body = json.loads(answer)
        message, detail = str(body["error"]), body.get("detail") or body.get("message")
    except (ValueError, KeyError, TypeError):
        message, detail = f"the server answered {status}", answer[:200].decode("utf-8", "replace")
    kind = ERRORS.get(status, errors.InvalidInput if status < 500 else errors.Unavailable)
    error = kind(message, None if detail is None else str(detail))
    retry = headers.get("Retry-After", "")
    if isinstance(error, errors.RateLimited | errors.Unavailable) and retry.isdigit():
        error.retry_after = int(retry)
    return error
