"""Speak to one kind of stream client: how an event, a heartbeat or an end looks in bytes.

Owns the frames of server-sent events (spec/oxo-flow-api.md 2.2). Sends nothing and waits for
nothing: the stream hub asks for bytes and moves them.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, Protocol

from oxoflow.db.events import Event
from oxoflow.db.instants import instant
from oxoflow.web.tails import Tail


class Hangup(Exception):
    """The client said something that ends the stream; `last` is still sent."""

    def __init__(self, last: bytes = b"") -> None:
        super().__init__()
        self.last = last


class Wire(Protocol):
    """How a client is spoken to. Wires of one `flavour` encode an event to the same bytes."""

    @property
    def flavour(self) -> str: ...

    def opening(self) -> bytes:
        """What comes right after the head of the response."""

    def event(self, event: Event) -> bytes:
        """One stored event; carries the number from which a client resumes."""

    def notice(self, type_: str, time: str, position: int | None = None) -> bytes:
        """A heartbeat or a resync: not stored; moves the client's position only when given one."""

    def received(self, data: bytes) -> bytes:
        """The answer to bytes from the client; raises Hangup when it wants to end."""

    def closing(self) -> bytes:
        """What is said before the server ends the stream."""


class LogWire(Wire, Protocol):
    """A wire that can also carry the log of a run."""

    def log(self, tail: Tail, offset: int, data: bytes) -> bytes:
        """New bytes of a log, which began at `offset`."""


def log_text(tail: Tail, offset: int, data: bytes) -> str:
    """New bytes of a log as the object that clients get."""
    body = {"run_id": tail.run_id, "offset": offset, "text": data.decode()}
    return json.dumps({"type": "log", "time": instant(), "data": body})


@lru_cache(maxsize=8)  # every stream gets the same heartbeat
def notice_text(type_: str, time: str, position: int | None = None) -> str:
    """A heartbeat or a resync as the object that clients get."""
    body: dict[str, Any] = {"type": type_, "time": time, "data": {}}
    return json.dumps(body if position is None else {"id": position, **body})


def envelope(event: Event) -> str:
    """The object that every client gets for an event: `{type, time, user, data}` as JSON text."""
    head = json.dumps({"type": event.type, "time": event.time, "user": event.user_id})
    return f'{head[:-1]}, "data": {event.data}}}'


class SseWire:
    """Server-sent events: no `event:` line unless asked for, as `onmessage` skips named frames."""

    def __init__(self, named: bool = False) -> None:
        self._named = named

    @property
    def flavour(self) -> str:
        return "sse-named" if self._named else "sse"

    def opening(self) -> bytes:
        return b"retry: 3000\n\n"

    def event(self, event: Event) -> bytes:
        return self._frame(event.type, envelope(event), event.id)

    def notice(self, type_: str, time: str, position: int | None = None) -> bytes:
        return self._frame(type_, notice_text(type_, time), position)

    def log(self, tail: Tail, offset: int, data: bytes) -> bytes:
        return self._frame("log", log_text(tail, offset, data), None)

    def received(self, data: bytes) -> bytes:
        return b""  # nothing is expected of the client; what it sends is not looked at

    def closing(self) -> bytes:
        return b""

    def _frame(self, type_: str, body: str, number: int | None) -> bytes:
        name = f"event: {type_}\n" if self._named else ""
        mark = "" if number is None else f"id: {number}\n"
        return f"{mark}{name}data: {body}\n\n".encode()


class PlainWire:
    """A log as nothing but its text, while it grows."""

    flavour = "plain"

    def opening(self) -> bytes:
        return b""

    def event(self, event: Event) -> bytes:
        return b""

    def notice(self, type_: str, time: str, position: int | None = None) -> bytes:
        return b""

    def log(self, tail: Tail, offset: int, data: bytes) -> bytes:
        return data

    def received(self, data: bytes) -> bytes:
        return b""

    def closing(self) -> bytes:
        return b""
