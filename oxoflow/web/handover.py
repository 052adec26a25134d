"""Take a connection out of waitress, so that a stream occupies no request thread.

Owns every dealing with waitress' internals: its task, its channel and the way its server is built.
Knows nothing about events, users or Flask; what happens on a connection afterwards is its
receiver's business. Written against the pinned waitress; its tests run against the real one.
"""

from __future__ import annotations

import errno
import logging
import socket
import time
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import BaseWSGIServer, MultiSocketServer, TcpWSGIServer, create_server
from waitress.task import WSGITask
from waitress.utilities import build_http_date

from oxoflow.web.polling import Poller
from oxoflow.web.refusing import RefusalTask

Receiver = Callable[[socket.socket, bytes], None]  # (the connection, the head of the response)
Server = MultiSocketServer | BaseWSGIServer

JOINED = 65536  # bytes; a longer piece of an answer is not copied behind its head
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
SILENCE = 60.0  # seconds between two lines of the log that say so
OFFER = "oxoflow.handover"  # key of the WSGI environ; present when the server can hand over

ADJUSTMENTS: dict[str, Any] = {
    "threads": 8,  # more are slower under one interpreter lock
    "connection_limit": 4096,  # the default of 100 would refuse the hundredth browser tab
    "asyncore_use_poll": True,  # select() fails from descriptor 1024 on
    "backlog": 1024,
    "channel_timeout": 120,
    "channel_request_lookahead": 0,  # else waitress reads bytes that belong to the receiver
    "clear_untrusted_proxy_headers": False,  # whom to trust, and what to close, is decided by us
    "ident": "oxoflow",
}

log = logging.getLogger("oxoflow.web")


class Handover:
    """A response body that stands for the connection itself.

    Give it to a response with `direct_passthrough=True`. Under a server of `build_server` nothing
    is sent by waitress: `receive` gets the bare connection (non-blocking, its own descriptor) and
    the head that would have been sent, from the server's main thread, which it must not keep.
    Under any other WSGI server the body is what `fallback` yields. Neither is called when the
    client has gone, or when an earlier answer on this connection is still unsent: then the
    connection is closed after that answer, and the client comes back on a new one.
    """

    def __init__(
        self,
        environ: MutableMapping[str, Any],
        receive: Receiver,
        fallback: Callable[[], Iterator[bytes]],
    ) -> None:
        self._environ = environ
        self._receive = receive
        self._fallback = fallback

    def __iter__(self) -> Iterator[bytes]:
        offer: Callable[[Receiver], None] | None = self._environ.get(OFFER)
        if offer is None:
            return self._fallback()
        offer(self._receive)
        return iter(())


def can_hand_over(environ: MutableMapping[str, Any]) -> bool:
    """Whether the server that made this environ can give its connections away."""
    return OFFER in environ


class HandoverTask(WSGITask):
    """A WSGI task whose application may take the connection instead of answering."""

    _handed_over = False

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        environ[OFFER] = self._hand_over
        return environ

    def write(self, data: bytes) -> None:
        if self._handed_over:
            return
        channel: Any = self.channel
        if self.wrote_header or len(data) > JOINED:
            super().write(data)
            return
        pieces: list[bytes] = []
        channel.pieces = pieces  # waitress would send the head by itself, at once
        try:
            super().write(data)
        finally:
            channel.pieces = None
        channel.write_soon(b"".join(pieces))

    def finish(self) -> None:
        if not self._handed_over:
            super().finish()

    def _hand_over(self, receive: Receiver) -> None:
        """Mark the channel: it gives its socket away when waitress closes it, just after this."""
        self._handed_over = True
        self.close_on_finish = True
        channel = self.channel
        assert isinstance(channel, HandoverChannel)
        with channel.outbuf_lock:
            if channel.connected and not channel.total_outbufs_len:
                channel.heir = (receive, self._head())

    def _head(self) -> bytes:
        """Write the head ourselves: waitress would announce a chunked body."""
        lines = [
            f"HTTP/{self.version} {self.status}",
            "Connection: close",
            f"Date: {build_http_date(self.start_time)}",
            f"Server: {ADJUSTMENTS['ident']}",
        ]
        lines += [f"{name}: {value}" for name, value in self.response_headers]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Desk:
    """The server as one channel sees it: what it uses of it, and a trigger that knows who calls."""

    def __init__(self, server: Any, channel: HandoverChannel) -> None:
        self.adj = server.adj
        self.application = server.application
        self.server_name = server.server_name
        self.effective_port = server.effective_port
        self.active_channels = server.active_channels
        self.add_task = server.add_task
        self.wake = server.pull_trigger
        self.pull_trigger = channel.call


class HandoverChannel(HTTPChannel):
    """A channel that gives a duplicate of its socket to its heir at the moment it closes its own.

    Only then is the connection free of waitress: nothing else reads from it, writes to it or
    closes it, and the receiver may change its blocking mode, which the two descriptors share.
    """

    task_class = HandoverTask
    error_task_class = RefusalTask
    heir: tuple[Receiver, bytes] | None = None
    server: Any
    _fileno: int | None
    pieces: list[bytes] | None = None  # what is held back until a task has written all of it

    def __init__(self, server: Any, *connection: Any, **more: Any) -> None:
        self.poller: Poller = server.asyncore
        desk: Any = Desk(server, self)
        super().__init__(desk, *connection, **more)
        self.poller.note(self)

    def write_soon(self, data: Any) -> int:
        if self.pieces is None:
            return int(super().write_soon(data))
        self.pieces.append(data)
        return len(data)

    def call(self) -> None:
        """Have the main thread look at this channel, when it has something to do here."""
        if self.writable() or not self.poller.awaits_reading(self._fileno):
            self.poller.note(self)
            self.server.wake()

    def del_channel(self, map: Any = None) -> None:
        self.poller.forget(self._fileno)
        super().del_channel(map)

    def handle_close(self) -> None:
        with self.outbuf_lock:  # the task sets the heir under it, and only while connected
            heir, self.heir = self.heir, None
            connection = _duplicate(self.socket) if heir and self.socket else None
            super().handle_close()
        if heir and connection:
            heir[0](connection, heir[1])


def _duplicate(connection: socket.socket) -> socket.socket | None:
    """A second descriptor of the same connection: closing the first would stop waitress' loop."""
    try:
        return connection.dup()
    except OSError as error:  # out of descriptors
        log.error("a stream was refused: %s", error)
        return None


def build_server(application: Any, **adjustments: Any) -> Server:
    """Make a waitress server, not yet running, whose connections can be handed over.

    `adjustments` are waitress' own and win over ours, except for the look-ahead.
    """
    TcpWSGIServer.channel_class = HandoverChannel  # before: a name may stand for two addresses
    chosen = ADJUSTMENTS | adjustments | {"channel_request_lookahead": 0}
    server: Server = create_server(application, **chosen)
    poller: Any = Poller()
    for one in (server, *_listeners(server)):
        one.asyncore = poller
    for listener in _listeners(server):
        _calm(listener, poller)
    return server


def _calm(listener: Any, poller: Poller) -> None:
    """Let a listener rest when nothing can be accepted: waitress would try, and log, without end.

    It is looked at again with all others, in a second.
    """
    told = 0.0

    def accept_or_rest() -> Any:
        nonlocal told
        try:
            return wasyncore.dispatcher.accept(listener)
        except OSError as error:
            if error.errno not in EXHAUSTED:
                raise
            poller.forget(listener._fileno)
            if time.monotonic() >= told:
                told = time.monotonic() + SILENCE
                log.error("no new connection can be taken just now: %s", error)
            return None

    listener.accept = accept_or_rest


def _listeners(server: Server) -> list[BaseWSGIServer]:
    """The sockets that listen: several for a name with several addresses."""
    sockets: Any = getattr(server, "_map", None) or getattr(server, "map", {})
    return [one for one in sockets.values() if isinstance(one, BaseWSGIServer)]


def stop_server(server: Server) -> None:
    """Make `server.run` return: every listener and connection is closed from its own loop."""
    listener: Any = _listeners(server)[0]
    listener.task_dispatcher.shutdown()
    listener.trigger.pull_trigger(lambda: wasyncore.close_all(listener._map))
