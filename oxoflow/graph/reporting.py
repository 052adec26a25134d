"""Report an execution: its nodes to journal and events, its control messages to the driver.

Owns the event types of executions (spec/oxify-api.md 4.11) and what pause, resume, cancel and an
answer do. Lives on the driver's thread; `tell` alone may be called from any.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from oxoflow.engine.events import Event, EventWriter
from oxoflow.engine.masking import NO_MASK, Mask
from oxoflow.engine.rundir import ControlMessage, read_control
from oxoflow.graph.asking import Asking
from oxoflow.graph.compile import Program, Step
from oxoflow.graph.driver import Driver
from oxoflow.graph.hiding import hidden
from oxoflow.graph.journal import Journal, Memory, is_repeatable
from oxoflow.graph.results import How, NodeResult

LOOK = 0.2  # seconds between looks at the control directory
SHOWN = 4000  # characters of a result that an event carries
TYPES = {How.SUCCESS: "node.completed", How.FAILURE: "node.failed", How.SKIPPED: "node.skipped"}


class Reporting:
    """The reporter of an execution."""

    def __init__(
        self,
        program: Program,
        events: EventWriter,
        journal: Journal,
        memory: Memory,
        asking: Asking,
        control: Path,
        on_cancel: Callable[[str], None],
        mask: Mask = NO_MASK,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        self._program = program
        self._events = events
        self._journal = journal
        self._attempts = memory.attempts
        self._asking = asking
        self._control = control
        self._on_cancel = on_cancel
        self.mask = mask  # of what is told; may be replaced by any thread
        self._on_event = on_event
        self._queue: list[Event] = []
        self._must_sync = False
        self._seen: set[str] = set()
        self._looked = 0.0
        self._pause: ControlMessage | None = None
        self.count = len(memory.results)
        self.poked = True  # set by a signal: look now

    def tell(self, event: Event) -> None:
        """Queue an event; it is written at the next commit. Callable from any thread."""
        event = self._masked(event)
        self._queue.append(event)
        if self._on_event is not None:
            self._on_event(event)

    def started(self, step: Step) -> None:
        """A node begins."""
        self._about(step, "node.started", status="Running", level=step.level)

    def ended(self, step: Step, result: NodeResult) -> None:
        """A node ended."""
        self._journal.add_result(step.node.id, result)
        self._must_sync = self._must_sync or not is_repeatable(step.node.kind)
        self.count += 1
        self._tell_ended(step, result)

    def tell_again(self, step: Step, result: NodeResult) -> None:
        """Tell of an end that an earlier life recorded but could not tell."""
        self._tell_ended(step, result)

    def _tell_ended(self, step: Step, result: NodeResult) -> None:
        shown = result.result()
        if len(json.dumps(shown)) > SHOWN:
            shown = None
        data: dict[str, Any] = {
            "status": result.how.value,
            "duration_ms": result.duration_ms,
            "retry_count": result.retries,
            "result": shown,
            "node_results_count": self.count,
            "total_nodes": len(self._program.steps),
        }
        if result.error is not None:
            data["error"] = result.error[:SHOWN]
        self._about(step, TYPES[result.how], **data)

    def commit(self) -> None:
        """Journal first, then events."""
        self._journal.commit(self._must_sync)
        self._must_sync = False
        if self._queue:
            batch, self._queue = self._queue, []
            self._events.write(batch)

    def retrying(self, step: Step, retry: int, most: int, seconds: float, reason: str) -> None:
        """A node failed and is tried again."""
        self._about(
            step, "node.retry", attempt=retry, max_retries=most, delay_ms=round(seconds * 1000),
            error=reason[:SHOWN],
        )  # fmt: skip

    def failed_attempts(self, step: Step) -> int:
        """How many attempts of a node failed before this life."""
        return self._attempts.get(step.node.id, 0)

    def attempt_failed(self, step: Step, number: int) -> None:
        """An attempt failed; called on the node's thread."""
        self._journal.add_attempt(step.node.id, number)
        self._journal.commit()

    def waiting(self, only: bool) -> None:
        """Whether all that is left just now is to wait for somebody: then it holds no slot."""
        self.tell(Event("run_waiting" if only else "run_working"))

    def look(self, driver: Driver) -> None:
        """Read new control messages, at most every LOOK seconds unless poked."""
        now = time.monotonic()
        if not self.poked and now - self._looked < LOOK:
            return
        self.poked = False
        self._looked = now
        for message in read_control(self._control, self._seen):
            self._seen.add(message.name)
            handler = HANDLERS.get(message.type)
            if handler is not None:
                handler(self, driver, message)

    def settled(self, driver: Driver) -> None:
        """Paused, and nothing runs any more: write the checkpoint."""
        reason = "manual_pause"
        number: Any = None
        if self._pause is not None:
            reason = str(self._pause.body.get("reason") or reason)[:500]
            number = self._pause.body.get("checkpoint_id")
        data = {
            "checkpoint_id": number if isinstance(number, str) else str(uuid.uuid4()),
            "completed_nodes_count": self.count,
            "current_level": self._level(),
            "reason": reason,
        }
        self.tell(Event("checkpoint.created", data=data))
        self.tell(Event("run_paused", data={"status": "Paused", **data}))

    def _level(self) -> int:
        """The lowest level with a node that has not ended."""
        ended = self._journal.ended
        levels = [step.level for step in self._program.steps if step.node.id not in ended]
        return min(levels, default=self._program.levels)

    def _about(self, step: Step, type: str, **data: Any) -> None:
        named = {"node_id": step.node.id, "node_name": step.node.name, **data}
        self.tell(Event(type, step.node.id, step.node.name, named))

    def _masked(self, event: Event) -> Event:
        """The event without any key in it."""
        if not self.mask:
            return event
        data = hidden(dict(event.data), self.mask)
        return Event(event.type, event.job, event.rule, data, event.time)

    # Control messages

    def _cancel(self, driver: Driver, message: ControlMessage) -> None:
        driver.cancel()
        self._on_cancel(str(message.body.get("by") or ""))

    def _pause_now(self, driver: Driver, message: ControlMessage) -> None:
        self._pause = message
        self.tell(Event("run_pausing"))
        driver.pause()

    def _resume(self, driver: Driver, message: ControlMessage) -> None:
        if self._pause is not None:
            self._pause = None
            self.tell(Event("run_resumed", data={"status": "Running"}))
        driver.resume()

    def _answer(self, driver: Driver, message: ControlMessage) -> None:
        self._asking.answered(message.body)


HANDLERS: dict[str, Callable[[Reporting, Driver, ControlMessage], None]] = {
    "cancel": Reporting._cancel,
    "pause": Reporting._pause_now,
    "resume": Reporting._resume,
    "answer": Reporting._answer,
}
