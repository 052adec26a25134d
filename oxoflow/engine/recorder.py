"""Write state and events from one thread, in batches, state first (design 5, 6).

Owns the queue between the threads that run jobs and the files that remember; no sensitive value
gets past it, whoever words an event. Whoever puts something in goes on at once; `flush` waits until
all of it is written. The first disk trouble stops all writing and is reported once: nothing
half-written is followed by anything else.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import Any

from msgspec.structs import replace

from oxoflow.engine.events import Event, EventWriter
from oxoflow.engine.masking import NO_MASK, Mask
from oxoflow.engine.records import Change, Done, Failed, Started
from oxoflow.engine.state import State
from oxoflow.errors import RunError

_GROUP_SECONDS = 0.04  # commits are at least this far apart, so that a busy run writes few

# What a record says in words of commands and of ours.
_TEXTS: Mapping[type, tuple[str, ...]] = {
    Done: ("command",),
    Failed: ("command", "error", "stderr_tail"),
}
_Item = Event | list[Event] | Change | threading.Event | None


class Recorder:
    """The one writer of a run's records.

    From its thread, `report` is called on trouble and `observe` with each event that is written.
    """

    def __init__(
        self,
        state: State,
        events: EventWriter,
        report: Callable[[RunError], None],
        observe: Callable[[Event], None] | None = None,
        mask: Mask = NO_MASK,
    ) -> None:
        self._mask = mask
        self._state = state
        self._writer = events
        self._report = report
        self._observe = observe
        self._trouble: RunError | None = None
        self._hurry = threading.Event()
        self._queue: SimpleQueue[_Item] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def event(
        self, type: str, job: str | None = None, rule: str | None = None, **data: Any
    ) -> None:
        """Have an event written after every change put in before it."""
        self._queue.put(self._without_secrets(Event(type, job, rule, data)))

    def events(self, events: list[Event]) -> None:
        """Have many events written."""
        self._queue.put(
            [self._without_secrets(event) for event in events] if self._mask else events
        )

    def change(self, change: Change) -> None:
        """Have a change of the state written."""
        if self._mask and isinstance(change, Done | Failed):
            texts = {name: self._masked(getattr(change, name)) for name in _TEXTS[type(change)]}
            change = replace(change, **texts)
        self._queue.put(change)

    def _without_secrets(self, event: Event) -> Event:
        if not self._mask:
            return event
        data = {name: self._masked(value) for name, value in event.data.items()}
        return replace(event, data=data)

    def _masked(self, value: Any) -> Any:
        return self._mask.text(value) if isinstance(value, str) else value

    def flush(self) -> None:
        """Wait until everything put in so far is written; raises what stopped the writing."""
        written = threading.Event()
        self._queue.put(written)
        self._hurry.set()
        written.wait()
        if self._trouble is not None:
            raise self._trouble

    def close(self) -> None:
        """Write the rest and end the thread."""
        self._queue.put(None)
        self._hurry.set()
        self._thread.join()

    def _run(self) -> None:
        last = 0.0
        while True:
            batch = [self._queue.get()]
            # Let company gather without being woken for each of it, unless somebody waits for us.
            self._hurry.wait(max(0.0, last + _GROUP_SECONDS - time.monotonic()))
            self._hurry.clear()
            try:
                while True:
                    batch.append(self._queue.get_nowait())
            except Empty:
                pass
            self._write(batch)
            last = time.monotonic()
            if None in batch:
                return

    def _stop(self, error: RunError) -> None:
        self._trouble = error
        self._report(error)

    def _write(self, batch: Sequence[_Item]) -> None:
        changes: list[Change] = []
        events: list[Event] = []
        waiting: list[threading.Event] = []
        for item in batch:
            if isinstance(item, Event):
                events.append(item)
            elif isinstance(item, threading.Event):
                waiting.append(item)
            elif isinstance(item, list):
                events.extend(item)
            elif item is not None:
                changes.append(item)
        if self._trouble is None:
            try:
                if changes:
                    self._state.apply(_without_superseded(changes))
                if events:
                    self._writer.write(events)
            except RunError as error:
                self._stop(error)
                events.clear()
            except Exception as error:  # whoever waits for this thread must not wait forever
                self._stop(RunError(f"what happened could not be recorded: {error!r}"))
                events.clear()
        for event in events if self._observe is not None else ():
            self._observe(event)  # type: ignore[misc]
        for waiter in waiting:
            waiter.set()


def _without_superseded(changes: list[Change]) -> list[Change]:
    """Leave out the starts of jobs that also ended within the batch."""
    ended = {change.job for change in changes if isinstance(change, Done | Failed)}
    return [c for c in changes if not (isinstance(c, Started) and c.job in ended)]
