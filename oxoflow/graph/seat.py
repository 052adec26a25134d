"""Count a node's threads, and give its slot to others while all of them wait (spec 4.10).

Owns the arithmetic of one node: it is parked when every thread that works for it waits for
somebody outside, and asks for a slot again before the first of them goes on.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from oxoflow.graph.work import Token


class NodeSeat:
    """The seat of one node that runs; `park` and `unpark` tell the driver, in order."""

    def __init__(self, park: Callable[[], None], unpark: Callable[[], None], token: Token) -> None:
        self._park = park
        self._unpark = unpark
        self._token = token
        self._changed = threading.Condition()
        self._threads = 1
        self._waiting = 0
        self._parked = False
        self._asked = False

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """While inside, this thread waits for somebody and needs no slot."""
        with self._changed:
            self._waiting += 1
            self._park_if_all_wait()
        try:
            yield
        finally:
            self._sit_down()

    @contextlib.contextmanager
    def helper(self) -> Iterator[None]:
        """The work of one of the helpers for which a thread rests."""
        try:
            yield
        finally:
            with self._changed:
                self._threads -= 1
                self._park_if_all_wait()

    @contextlib.contextmanager
    def resting(self, helpers: int) -> Iterator[None]:
        """While inside, this thread only waits for so many helpers.

        They count from here on: the first may wait for somebody before the last one has begun.
        """
        with self._changed:
            self._threads += helpers - 1
        try:
            yield
        finally:
            with self._changed:
                self._threads += 1

    def granted(self) -> None:
        """The driver gave the node a slot again."""
        with self._changed:
            self._parked = self._asked = False
            self._changed.notify_all()

    def _park_if_all_wait(self) -> None:
        if not self._parked and self._threads and self._waiting == self._threads:
            self._parked = True
            self._park()

    def _sit_down(self) -> None:
        """Wait for a slot, if the node has none; not if the work is cancelled."""
        with self._changed:
            self._waiting -= 1
            if self._parked and not self._asked:
                self._asked = True
                self._unpark()
        with self._token.calling(self._wake):
            with self._changed:
                self._changed.wait_for(lambda: not self._parked or self._token.cancelled)

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
