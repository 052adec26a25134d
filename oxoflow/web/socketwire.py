"""Speak WebSocket to one client of the stream hub: frames out, commands in.

The same events as the SSE stream, as JSON texts; `{"type":"follow","run_id":...,"offset":...}` adds
a run's log, `unfollow` ends it. The protocol itself is wsproto's, which flask-sock stands on too:
it does no input or output, so that no socket needs a thread of its own.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from typing import Any

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    Request,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from oxoflow.db.events import Event
from oxoflow.db.instants import instant
from oxoflow.web.tails import MOST, Tail
from oxoflow.web.wires import Hangup, envelope, log_text, notice_text

LONGEST_MESSAGE = 64 * 1024  # characters a client may send at once
GOING_AWAY, TOO_BIG = 1001, 1009


class SocketWire:
    """One WebSocket. `find_tail` gives the log of a run that the client may see, or None."""

    flavour = "websocket"

    def __init__(
        self,
        headers: Sequence[tuple[bytes, bytes]],
        path: str,
        answer_headers: Sequence[tuple[bytes, bytes]],
        tails: dict[str, Tail],
        find_tail: Callable[[str, int], Tail | None],
    ) -> None:
        """Raises RemoteProtocolError when the headers are no proper upgrade."""
        self._connection = WSConnection(ConnectionType.SERVER)
        self._connection.initiate_upgrade_connection(list(headers), path)
        if not any(isinstance(event, Request) for event in self._connection.events()):
            raise RemoteProtocolError("not a WebSocket request")
        self._answer_headers = list(answer_headers)
        self._tails = tails
        self._find_tail = find_tail
        self._message = ""

    def opening(self) -> bytes:
        """The answer that turns the connection into a WebSocket."""
        return self._connection.send(AcceptConnection(extra_headers=self._answer_headers))

    def event(self, event: Event) -> bytes:
        """The same bytes for every client: frames of a server are not masked."""
        text = envelope(event)
        return text_frame(f'{{"id": {event.id}, {text[1:]}')

    def notice(self, type_: str, time: str, position: int | None = None) -> bytes:
        return text_frame(notice_text(type_, time, position))

    def log(self, tail: Tail, offset: int, data: bytes) -> bytes:
        return text_frame(log_text(tail, offset, data))

    def received(self, data: bytes) -> bytes:
        """Answer pings and commands; raises Hangup after a close, or when the client errs."""
        answer = b""
        try:
            self._connection.receive_data(data)
            for event in self._connection.events():
                answer += self._handle(event)
        except (RemoteProtocolError, LocalProtocolError):
            raise Hangup from None
        return answer

    def closing(self) -> bytes:
        try:
            return self._connection.send(CloseConnection(GOING_AWAY))
        except LocalProtocolError:  # it is closed already
            return b""

    def _handle(self, event: Any) -> bytes:
        if isinstance(event, Ping):
            return self._connection.send(event.response())
        if isinstance(event, CloseConnection):
            raise Hangup(self._connection.send(event.response()))
        if isinstance(event, BytesMessage):
            return self._complaint("only text is understood")
        if isinstance(event, TextMessage):
            self._message += event.data
            if len(self._message) > LONGEST_MESSAGE:
                raise Hangup(self._connection.send(CloseConnection(TOO_BIG)))
            if event.message_finished:
                text, self._message = self._message, ""
                return self._obey(text)
        return b""

    def _obey(self, text: str) -> bytes:
        try:
            body = json.loads(text)
            word, run_id = body["type"], body["run_id"]
            offset = body.get("offset", 0)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return self._complaint("send {'type': 'follow' or 'unfollow', 'run_id': ...}")
        if word == "unfollow" and isinstance(run_id, str):
            self._tails.pop(run_id, None)
            return b""
        if word != "follow" or not isinstance(run_id, str):
            return self._complaint("'type' must be follow or unfollow")
        if type(offset) is not int or not 0 <= offset < 2**62:
            return self._complaint("'offset' must be a whole number")
        if len(self._tails) >= MOST and run_id not in self._tails:
            return self._complaint(f"at most {MOST} logs at a time")
        tail = self._find_tail(run_id, offset)
        if tail is None:
            return self._complaint("Run not found")
        self._tails[run_id] = tail
        return b""

    def _complaint(self, text: str) -> bytes:
        body = {"type": "error", "time": instant(), "data": {"error": text}}
        return text_frame(json.dumps(body))


def text_frame(text: str) -> bytes:
    """One whole text message of a server."""
    payload = text.encode()
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", 0x81, size) + payload
    if size < 65536:
        return struct.pack("!BBH", 0x81, 126, size) + payload
    return struct.pack("!BBQ", 0x81, 127, size) + payload
