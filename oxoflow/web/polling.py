"""Wait for waitress' sockets, and ask again only those to which something happened.

Stands in for the loop that waitress brings, which asks every open connection what it waits for
before each wait: with hundreds of them that is most of its work. Here the kernel keeps the answers.
A connection stays awaited while a request of it is executed, so that an answer which the request's
thread could send whole needs nothing of this loop. Owns the set of awaited sockets, which only the
server's main thread changes; knows nothing about HTTP.
"""

from __future__ import annotations

import selectors
import time
from collections import deque
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any

from waitress import wasyncore

Socket = Any  # a wasyncore dispatcher, or waitress' trigger that looks like one


class Poller:
    """What waitress takes for its `asyncore` module: `loop` is all that it calls."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._awaited: dict[int | None, int] = {}
        self._changed: deque[Socket] = deque()

    def note(self, changed: Socket) -> None:
        """Look at this socket at the next turn; any thread may call it and wake the loop then."""
        self._changed.append(changed)

    def awaits_reading(self, descriptor: int | None) -> bool:
        """Whether what comes in there will be seen without another look; for any thread."""
        return bool(self._awaited.get(descriptor, 0) & EVENT_READ)

    def forget(self, descriptor: int | None) -> None:
        """Await nothing there before the next look at it.

        A socket that will be closed may have a duplicate that is not, and would still be reported.
        """
        if self._awaited.pop(descriptor, 0) and descriptor is not None:
            self._selector.unregister(descriptor)

    def loop(self, timeout: float, map: dict[int, Socket], use_poll: bool) -> None:
        """Serve the sockets of `map` until it is empty; every `timeout` seconds look at all."""
        looked = time.monotonic() - timeout
        while map:
            if time.monotonic() - looked >= timeout:
                looked = time.monotonic()
                self._changed.extend(map.values())
            while self._changed:
                self._look(self._changed.popleft(), map)
            for key, events in self._selector.select(timeout):
                if map.get(key.fd) is key.data:  # none of those before it closed it
                    self._serve(key.data, events, map)
        self._selector.close()

    def _serve(self, ready: Socket, events: int, map: dict[int, Socket]) -> None:
        if events & EVENT_READ and ready.readable():
            wasyncore.read(ready)
            if not ready.writable():
                return  # whether or not it wants to read on just now: see above
        self._look(ready, map)

    def _look(self, one: Socket, map: dict[int, Socket]) -> None:
        """Write what there is to write, and await what is then wanted.

        A request's thread may change the wishes meanwhile, and does not call when it sees the
        socket awaited: so they are compared again after every change.
        """
        if one.writable():
            wasyncore.write(one)
        descriptor = one._fileno
        while map.get(descriptor) is one and (wanted := _wishes(one)) != self._awaited.get(
            descriptor, 0
        ):
            self._await(descriptor, one, wanted)

    def _await(self, descriptor: int, one: Socket, wanted: int) -> None:
        known = self._awaited.get(descriptor, 0)
        self._awaited[descriptor] = wanted
        if not wanted:
            self._selector.unregister(descriptor)
        elif known:
            self._selector.modify(descriptor, wanted, one)
        else:
            self._selector.register(descriptor, wanted, one)


def _wishes(one: Socket) -> int:
    return (EVENT_READ if one.readable() else 0) | (EVENT_WRITE if one.writable() else 0)
