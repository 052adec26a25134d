"""Write to one stream client without ever waiting for it.

Owns one connection and what could not be written to it yet. Decides nothing about what is sent;
only the stream hub's thread calls it.
"""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

from msgspec import Struct, field

from oxoflow.db.events import Event, Scope
from oxoflow.web.tails import Tail
from oxoflow.web.wires import Wire

BATCH = 64  # buffers in one system call; the kernel takes no more than 1024
UNACKNOWLEDGED_MS = 60_000  # after this long without an acknowledgement the client has vanished


class Subscription(Struct, frozen=True):
    """What a client asked for and was allowed.

    `scope` None is a stream of heartbeats. `after` is the id after which to replay; None means
    from now on. The stream ends after an event for which `last` is true, or, with `ends_now`,
    when everything known at the time of asking has been sent. `alive` is asked at each heartbeat.
    With `tails`, by run, the wire is a LogWire. `beat`: how often the wire wants a heartbeat, in
    seconds, when that is more often than all others get one.
    """

    owner: str  # whom the stream counts against
    wire: Wire
    scope: Scope | None
    after: int | None = None
    ends_now: bool = False
    last: Callable[[Event], bool] = lambda event: False
    alive: Callable[[], bool] = lambda: True
    tails: dict[str, Tail] = field(default_factory=dict)  # changed by the hub's thread only
    beat: float | None = None


class Listener:
    """One connected client: its position in the events and its unsent bytes."""

    __slots__ = (
        "_unsent",
        "blocked",
        "caught_up",
        "connection",
        "draining",
        "ending",
        "position",
        "subscription",
        "unsent_bytes",
    )

    def __init__(self, connection: socket.socket, subscription: Subscription) -> None:
        self.connection = connection
        self.subscription = subscription
        self.position = 0
        self.caught_up = False
        self.ending = False
        self.draining = False  # ends when the logs it follows are at their end
        self.blocked = False  # whether the selector is asked when more can be written
        self.unsent_bytes = 0
        self._unsent: deque[bytes | memoryview] = deque()
        connection.setblocking(False)
        if connection.family in (socket.AF_INET, socket.AF_INET6):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def push(self, frames: Sequence[bytes]) -> None:
        """Put frames behind what is unsent; the same bytes objects may be pushed to others."""
        for frame in frames:
            if frame:
                self._unsent.append(frame)
                self.unsent_bytes += len(frame)

    def send(self, frame: bytes) -> bool:
        """Like `push` and `flush`, for one frame and nothing unsent: an event to a thousand."""
        try:
            sent = self.connection.send(frame)
        except BlockingIOError:
            sent = 0
        if sent == len(frame):
            return True
        self._unsent.append(memoryview(frame)[sent:])
        self.unsent_bytes = len(frame) - sent
        return False

    def flush(self) -> bool:
        """Write what the connection takes; True when nothing is left. Raises OSError when gone."""
        while self._unsent:
            try:
                sent = self.connection.sendmsg(list(islice(self._unsent, BATCH)))
            except BlockingIOError:
                return False
            self.unsent_bytes -= sent
            self._forget(sent)
        return True

    def read(self) -> bytes | None:
        """What the client sent; None when it has closed. Raises OSError when the line is broken."""
        try:
            return self.connection.recv(65536) or None
        except BlockingIOError:
            return b""

    def close(self) -> None:
        """Close after all was handed to the kernel: a client that lives gets all of it."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
        self.connection.close()

    def _forget(self, sent: int) -> None:
        while sent:
            first = self._unsent[0]
            if len(first) > sent:
                self._unsent[0] = memoryview(first)[sent:]
                return
            sent -= len(first)
            self._unsent.popleft()
