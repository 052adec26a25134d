"""Speak to one kind of stream client: how an event, a heartbeat or an end looks in bytes.

Owns the frames of server-sent events (spec/oxo-flow-api.md 2.2). Sends nothing and waits for
nothing: the stream hub asks for bytes and moves them.
"""

from __future__ import annotations

import json
from typing import Protocol

from oxoflow.db.events import Event


class Hangup(Exception):
    """The client said something that ends the stream."""


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
        body = json.dumps({"type": type_, "time": time, "data": {}})
        return self._frame(type_, body, position)

    def received(self, data: bytes) -> bytes:
        return b""  # nothing is expected of the client; what it sends is not looked at

    def closing(self) -> bytes:
        return b""

    def _frame(self, type_: str, body: str, number: int | None) -> bytes:
        name = f"event: {type_}\n" if self._named else ""
        mark = "" if number is None else f"id: {number}\n"
        return f"{mark}{name}data: {body}\n\n".encode()
