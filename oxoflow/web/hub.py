"""Own every stream connection in one thread, and bring each client its events in order, once.

The hub is told only *that* something happened (`poke`); what happened it reads from the database
by id. So a stream that replays and one that is live walk the same sequence, and the step from one
to the other is a comparison of two numbers in this thread. It never waits for a client: one whose
unsent bytes grow is dropped, and resumes by `Last-Event-ID` when it comes back.

No Flask here; a view checks who asks and takes a place, `handover` brings the connection.
"""

from __future__ import annotations

import logging
import os
import selectors
import socket
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import cast

from oxoflow.db.connection import Database
from oxoflow.db.events import (
    EVERYTHING,
    Event,
    Scope,
    first_event_id,
    last_event_id,
    read_events,
)
from oxoflow.db.instants import instant
from oxoflow.errors import Unavailable
from oxoflow.web.listener import Listener, Subscription
from oxoflow.web.places import Place, Places
from oxoflow.web.wires import Hangup, LogWire, Wire

HEARTBEAT = 5.0  # seconds (spec/oxo-flow-api.md 2.1)
PAGE = 200  # events read at a time
UNSENT_LOW = 64 * 1024  # a replay goes on while less than this is unsent
UNSENT_HIGH = 512 * 1024  # a live client with more than this is dropped
LOOK = 0.2  # seconds between looks at logs that are followed
QUICK = 0.5  # seconds between heartbeats offered to those who want more of them
PIECES = 4  # of a log sent to one client before the others have their turn
PAUSE = 0.2  # seconds after a failed turn

log = logging.getLogger("oxoflow.streams")


class Reserved:
    """A stream that was allowed; it begins when its connection is received."""

    def __init__(self, hub: StreamHub, subscription: Subscription, place: Place) -> None:
        self._hub = hub
        self.subscription = subscription
        self.place = place

    def receive(self, connection: socket.socket, head: bytes) -> None:
        """Give the connection to the hub, `head` first; callable from any thread."""
        self._hub.admit(self, connection, head)

    def frames(self) -> Iterator[bytes]:
        """The stream as a generator, for servers that cannot hand over: it occupies its thread."""
        ours, theirs = socket.socketpair()
        self.receive(theirs, b"")
        try:
            while data := ours.recv(65536):
                yield data
        finally:
            ours.close()


class StreamHub:
    """The thread of all streams. `poke`, `subscribe` and `admit` may be called from any thread."""

    def __init__(
        self, db: Database, per_owner: int, total: int, heartbeat: float = HEARTBEAT
    ) -> None:
        self._db = db
        self._heartbeat = heartbeat
        self._places = Places(per_owner, total)
        self._stopping = False
        self._arrivals: deque[tuple[Reserved, socket.socket, bytes]] = deque()
        self._poked = True
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._ending = threading.Lock()
        self._ended = False
        # From here on: touched by the hub's thread only.
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake, selectors.EVENT_READ, None)
        self._by_scope: defaultdict[Scope | None, set[Listener]] = defaultdict(set)
        self._listeners: dict[Listener, Place] = {}
        self._replaying: set[Listener] = set()
        self._encoded: dict[tuple[str, int], bytes] = {}
        self._position = 0
        self._tailing: set[Listener] = set()
        self._next_look = 0.0
        self._impatient: set[Listener] = set()  # those that want more heartbeats than others
        self._next_quick_beat = 0.0
        self._next_beat = time.monotonic() + heartbeat
        self._thread = threading.Thread(target=self._serve, name="streams", daemon=True)

    def start(self) -> None:
        """Begin at the newest event there is."""
        self._position = last_event_id(self._db.read())
        self._thread.start()

    def stop(self) -> None:
        """Close every stream and end the thread; safe to call twice."""
        if self._stopping:
            return
        self._stopping = True
        self._wake_up()
        if self._thread.is_alive():
            self._thread.join()
        while self._arrivals:
            self._arrivals.popleft()[1].close()
        self._selector.close()
        with self._ending:
            self._ended = True
            os.close(self._wake)

    def poke(self) -> None:
        """Say that events were committed."""
        self._poked = True
        self._wake_up()

    def streams(self) -> int:
        """How many streams are open or about to be."""
        return self._places.count()

    def subscribe(self, subscription: Subscription) -> Reserved:
        """Reserve a stream; raises RateLimited over the owner's limit, Unavailable over all."""
        if self._stopping:
            raise Unavailable("The server is stopping", retry_after=10)
        return Reserved(self, subscription, self._places.take(subscription.owner))

    def admit(self, reserved: Reserved, connection: socket.socket, head: bytes) -> None:
        """Take over a connection for a reserved stream."""
        if self._stopping or not self._places.claim(reserved.place):
            connection.close()
            return
        self._arrivals.append((reserved, connection, head))
        self._wake_up()

    # The thread

    def _wake_up(self) -> None:
        with self._ending:  # the descriptor's number may be another file's after the end
            if not self._ended:
                os.eventfd_write(self._wake, 1)

    def _serve(self) -> None:
        while not self._stopping:
            try:
                self._turn()
            except Exception:  # the database is away, for example: nobody's stream may end by it
                log.exception("streams: a turn failed; going on from where each client stands")
                for listener in self._listeners:
                    listener.caught_up = False
                    self._replaying.add(listener)
                time.sleep(PAUSE)
        for listener in list(self._listeners):
            self._end(listener)

    def _turn(self) -> None:
        busy = any(listener.unsent_bytes < UNSENT_LOW for listener in self._replaying)
        due = min(self._next_beat, self._next_look if self._tailing else self._next_beat)
        due = min(due, self._next_quick_beat if self._impatient else due)
        wait = 0.0 if busy else max(0.0, due - time.monotonic())
        for key, mask in self._selector.select(wait):
            if key.data is None:
                os.eventfd_read(self._wake)
            else:
                self._attend(key.data, mask)
        arrived = len(self._arrivals)
        if self._poked or arrived:  # a stream begins with all that is known when it arrives
            self._poked = False
            self._advance()
        for _ in range(arrived):
            self._begin(*self._arrivals.popleft())
        self._replay()
        if self._tailing and time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + LOOK
            for listener in list(self._tailing):
                if listener.unsent_bytes < UNSENT_LOW:
                    self._read_on(listener)
        if self._impatient and time.monotonic() >= self._next_quick_beat:
            self._next_quick_beat = time.monotonic() + QUICK
            for listener in list(self._impatient):
                self._push(listener, [listener.subscription.wire.notice("heartbeat", instant())])
        if time.monotonic() >= self._next_beat:
            self._next_beat = time.monotonic() + self._heartbeat
            self._beat()

    def _begin(self, reserved: Reserved, connection: socket.socket, head: bytes) -> None:
        subscription = reserved.subscription
        listener = Listener(connection, subscription)
        listener.position = self._position if subscription.after is None else subscription.after
        self._listeners[listener] = reserved.place
        self._by_scope[subscription.scope].add(listener)
        self._replaying.add(listener)
        self._selector.register(connection, selectors.EVENT_READ, listener)
        if subscription.tails:
            self._tailing.add(listener)
        if subscription.beat is not None and subscription.beat < self._heartbeat:
            self._impatient.add(listener)
        wire = subscription.wire
        self._push(listener, [head, wire.opening(), wire.notice("heartbeat", instant())])
        if subscription.after is not None and not self._covered(listener):
            listener.position = self._position
            self._push(listener, [wire.notice("resync", instant(), self._position)])

    def _covered(self, listener: Listener) -> bool:
        """Whether all that happened since the client's position is still there to replay."""
        scope = listener.subscription.scope
        if scope is None or scope.run_id is not None:
            return True
        first = first_event_id(self._db.read())
        oldest = self._position + 1 if first is None else first
        return oldest - 1 <= listener.position <= self._position

    def _advance(self) -> None:
        """Read what is new and send it to everybody who is up to date."""
        newest = last_event_id(self._db.read())
        while self._position < newest:
            events = read_events(self._db.read(), EVERYTHING, self._position, newest, PAGE)
            self._position = events[-1].id if len(events) == PAGE else newest
            for scope, its in _by_scope(events).items():
                for listener in list(self._by_scope.get(scope, ())):
                    if listener.caught_up:
                        self._send(listener, its)
            self._encoded.clear()

    def _replay(self) -> None:
        """Give each stream that is behind one more page, if it has taken the last one."""
        for listener in list(self._replaying):
            if listener.unsent_bytes >= UNSENT_LOW:
                continue
            scope = listener.subscription.scope
            behind = scope is not None and listener.position < self._position
            events = (
                read_events(self._db.read(), scope, listener.position, self._position, PAGE)
                if behind and scope is not None
                else []
            )
            if len(events) < PAGE:
                self._replaying.discard(listener)
                listener.caught_up = True
                listener.ending = listener.subscription.ends_now
            self._send(listener, events)

    def _beat(self) -> None:
        now = instant()
        for listener in list(self._listeners):
            wire = listener.subscription.wire
            if listener.subscription.alive():
                self._push(listener, [wire.notice("heartbeat", now)])
            else:
                listener.ending = True
                self._push(listener, [wire.closing()])
        self._places.expire()

    def _send(self, listener: Listener, events: Iterable[Event]) -> None:
        """Send events in order; the client's position moves only with what is on its way."""
        frames, position = [], listener.position
        for event in events:
            frames.append(self._encode(listener.subscription.wire, event))
            position = event.id
            if listener.subscription.last(event):
                listener.ending = True
                break
        if listener.ending and listener.subscription.tails:
            listener.ending, listener.draining = False, True  # the end of the logs comes first
            self._next_look = 0.0
        if listener.ending:
            frames.append(listener.subscription.wire.closing())
        listener.position = position
        self._push(listener, frames)

    def _read_on(self, listener: Listener) -> None:
        """Send what the logs that a client follows have become longer, a few pieces at a time."""
        frames: list[bytes] = []
        more = False
        for tail in listener.subscription.tails.values():
            for _ in range(PIECES):
                offset, data = tail.offset, tail.read()
                if data:
                    wire = cast(LogWire, listener.subscription.wire)
                    frames.append(wire.log(tail, offset, data))
                more = bool(data)
                if not more:
                    break
        if more:  # go on at once, but let the other streams have their turn
            self._next_look = 0.0
        elif listener.draining:
            listener.ending = True
            frames.append(listener.subscription.wire.closing())
        if not listener.subscription.tails:
            self._tailing.discard(listener)
        self._push(listener, frames)

    def _encode(self, wire: Wire, event: Event) -> bytes:
        """The same event goes to many: it is put into bytes once per kind of client."""
        key = (wire.flavour, event.id)
        frame = self._encoded.get(key)
        if frame is None:
            if len(self._encoded) > 4 * PAGE:
                self._encoded.clear()
            frame = self._encoded[key] = wire.event(event)
        return frame

    def _push(self, listener: Listener, frames: Sequence[bytes]) -> None:
        if listener not in self._listeners:
            return
        if len(frames) == 1 and frames[0] and not listener.unsent_bytes:
            self._write(listener, partial(listener.send, frames[0]))
        else:
            listener.push(frames)
            self._write(listener, listener.flush)
        if listener.caught_up and listener.unsent_bytes > UNSENT_HIGH:
            log.info("streams: dropped %s: it reads too slowly", listener.subscription.owner)
            self._end(listener)

    def _write(self, listener: Listener, write: Callable[[], bool]) -> None:
        try:
            done = write()
        except OSError:
            self._end(listener)
            return
        if done and listener.ending:
            self._end(listener)
        elif done is listener.blocked:
            listener.blocked = not done
            wanted = selectors.EVENT_READ | (0 if done else selectors.EVENT_WRITE)
            self._selector.modify(listener.connection, wanted, listener)

    def _attend(self, listener: Listener, mask: int) -> None:
        if mask & selectors.EVENT_READ:
            try:
                data = listener.read()
                answer = None if data is None else listener.subscription.wire.received(data)
            except Hangup as hangup:
                listener.ending, answer = True, hangup.last
            except OSError:
                answer = None
            if answer is None:
                self._end(listener)
                return
            if listener.subscription.tails:
                self._tailing.add(listener)
            self._push(listener, [answer])
        if mask & selectors.EVENT_WRITE and listener in self._listeners:
            self._write(listener, listener.flush)

    def _end(self, listener: Listener) -> None:
        place = self._listeners.pop(listener, None)
        if place is None:
            return
        self._selector.unregister(listener.connection)
        scope = listener.subscription.scope
        self._by_scope[scope].discard(listener)
        if not self._by_scope[scope]:
            del self._by_scope[scope]
        self._replaying.discard(listener)
        self._tailing.discard(listener)
        self._impatient.discard(listener)
        listener.close()
        self._places.leave(place)


def _by_scope(events: Iterable[Event]) -> dict[Scope, list[Event]]:
    """What each kind of stream wants of these; every stream is of one scope."""
    found: defaultdict[Scope, list[Event]] = defaultdict(list)
    for event in events:
        found[EVERYTHING].append(event)
        found[Scope(user_id=event.user_id)].append(event)
        if event.run_id is not None:
            found[Scope(run_id=event.run_id)].append(event)
    return found
