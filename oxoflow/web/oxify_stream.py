"""Stream one execution (spec/oxify-api.md section 5): bare `data:` frames, or typed on request.

Each client has a wire of its own, since its frames count what it has seen: ids are the execution's
own event numbers, so a client that comes back with the last one misses nothing and sees nothing
twice. The connection belongs to the stream hub, as that of every other stream.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterable
from typing import Any

from flask import Response, g, request
from msgspec import Struct

from oxoflow.db.events import Event, Scope, id_of_seq
from oxoflow.db.executions import ExecutionRow, last_type_upto, newest_event, results_upto
from oxoflow.db.instants import instant
from oxoflow.errors import InvalidInput, NotFound, OxoflowError
from oxoflow.executions.showing import state_json
from oxoflow.supervisor.settle import TERMINAL_TYPES
from oxoflow.web.http import compact, services
from oxoflow.web.listener import Subscription
from oxoflow.web.oxify import make_blueprint
from oxoflow.web.oxify_executions import own_execution
from oxoflow.web.sse import HEADERS, aliveness, owner_of, resume_from, stream

LAST = frozenset(TERMINAL_TYPES.values())
ENDS = frozenset({"node.completed", "node.failed", "node.skipped"})
STATES: dict[str, str] = {
    "run_started": "Running", "run_resumed": "Running", "run_paused": "Paused",
    "run_completed": "Completed", "run_cancelled": "Cancelled",
}  # fmt: skip
CACHING = "no-cache"  # the word of this API, which is shorter than that of the other
KEEP_ALIVE = 15.0  # seconds of silence before a comment, or between heartbeats
TYPES = frozenset(
    {"state_change", "progress", "node_complete", "token", "error", "heartbeat"}
)  # fmt: skip

blueprint = make_blueprint(__name__)


class Typed(Struct, frozen=True):
    """What a client of named frames asked for."""

    events: frozenset[str] = TYPES
    heartbeat: bool = True
    interval: float = KEEP_ALIVE


class OxifyWire:
    """The frames of one client: state, count of results, and the number of the last frame."""

    def __init__(
        self, row: ExecutionRow, state: Any, count: int, number: int, typed: Typed | None,
        greet: bool,
    ) -> None:  # fmt: skip
        self._row = row
        self._state = state
        self._count = count
        self._number = number
        self._typed = typed
        self._greet = greet
        self._spoke = time.monotonic()
        self.flavour = f"oxify-{uuid.uuid4()}"  # nobody else gets the same bytes

    def opening(self) -> bytes:
        """The state as it is, at once; nothing for a client that resumes."""
        if not self._greet:
            return b""
        return self._frame("state_change", self._progress(instant()), max(self._number, 1))

    def event(self, event: Event) -> bytes:
        """The frames that an event of the execution comes to, often none."""
        number = self._number + 1 if event.seq is None else event.seq
        data = json.loads(event.data)
        if event.type in ENDS:
            self._count += 1
            return self._ended(event, data, number)
        if event.type == "llm.token":
            return self._token(data, number)
        state: Any = STATES.get(event.type)
        if event.type == "run_failed":
            state = {"Failed": data.get("error") or "failed"}
        if state is None or state == self._state:
            return b""
        self._state = state
        return self._frame("state_change", self._progress(event.time), number)

    def _ended(self, event: Event, data: dict[str, Any], number: int) -> bytes:
        progress = self._progress(event.time)
        if self._typed is None:
            return self._frame("progress", progress, number)
        node = {key: data.get(key) for key in ("node_id", "node_name", "result")}
        first = self._frame("node_complete", progress | node, None)
        return first + self._frame("progress", progress, number)

    def _token(self, data: dict[str, Any], number: int) -> bytes:
        """Text of a model while it speaks; clients of bare frames know no such thing."""
        if self._typed is None:
            return b""
        said = {key: data.get(key) for key in ("node_id", "node_name", "text")}
        named = {"execution_id": self._row.id, "workflow_id": self._row.graph_id}
        return self._frame("token", named | said, number)

    def _progress(self, moment: str) -> dict[str, Any]:
        return {
            "execution_id": self._row.id,
            "workflow_id": self._row.graph_id,
            "state": self._state,
            "node_results_count": self._count,
            "timestamp": moment,
        }

    def notice(self, type_: str, time_: str, position: int | None = None) -> bytes:
        """A sign of life after a long silence: a comment, or a heartbeat frame."""
        every = KEEP_ALIVE if self._typed is None else self._typed.interval
        if time.monotonic() - self._spoke < every:
            return b""
        self._spoke = time.monotonic()
        if self._typed is None:
            return b": keep-alive\n\n"
        return b"event: heartbeat\ndata: ping\n\n" if self._typed.heartbeat else b""

    def received(self, data: bytes) -> bytes:
        """Nothing is expected of the client."""
        return b""

    def closing(self) -> bytes:
        """The last frame said it all."""
        return b""

    def _frame(self, name: str, data: dict[str, Any], number: int | None) -> bytes:
        mark = ""
        if number is not None:
            self._number = max(number, self._number)
            mark = f"id: {self._number}\n"
        if self._typed is not None and name not in self._typed.events:
            return b""
        self._spoke = time.monotonic()
        label = "" if self._typed is None else f"event: {name}\n"
        return f"{label}{mark}data: {compact(data)}\n\n".encode()


@blueprint.get("/api/v1/executions/<item:execution_id>/stream")
def follow(execution_id: str) -> Response:
    """The execution as it goes; ends after the frame with its final state."""
    typed = _typed()
    try:
        own_execution(execution_id)
    except (NotFound, InvalidInput) as error:
        if typed is None:
            raise
        return _one_error(error)
    response = stream(_subscription(execution_id, typed))
    response.headers["Cache-Control"] = CACHING
    return response


def _subscription(execution_id: str, typed: Typed | None) -> Subscription:
    reader = services().db.read()
    position, number = newest_event(reader, execution_id)
    row = own_execution(execution_id)  # read after the position: no end can fall between the two
    final = row.status not in ("pending", "running")
    seen = resume_from()
    after = position if seen is None else id_of_seq(reader, row.id, seen)
    missed = seen is not None and after < position
    if final and not missed:  # one frame, and that is all
        shown = max(number, seen or 0) + 1
        count = results_upto(reader, row.id, position)
        wire = OxifyWire(row, state_json(row), count, shown, typed, greet=True)
        after = position
    else:
        count = results_upto(reader, row.id, after)
        state = state_json(row) if seen is None else _state_at(row, after)
        shown = number if seen is None else seen
        wire = OxifyWire(row, state, count, shown, typed, greet=seen is None)
    return Subscription(
        owner_of(g.account),
        wire,
        Scope(run_id=row.id),
        after,
        ends_now=final,
        last=lambda event: event.type in LAST,
        alive=aliveness(g.account),
        beat=typed.interval if typed is not None and typed.heartbeat else None,
    )


def _state_at(row: ExecutionRow, event_id: int) -> str:
    """The state that a client knows which has seen all up to an event."""
    last = last_type_upto(services().db.read(), row.id, tuple(STATES), event_id)
    return STATES.get(last or "", "Running")


def _typed() -> Typed | None:
    """What the query asks for; None is the plain stream."""
    if "events" not in request.args and "heartbeat" not in request.args:
        return None
    wanted = {word.strip() for word in request.args.get("events", "").split(",") if word.strip()}
    if wanted - TYPES:
        raise InvalidInput(f"'events' may hold {', '.join(sorted(TYPES))}")
    interval = request.args.get("heartbeat_interval", "15")
    if not re.fullmatch(r"\d{1,5}", interval, re.ASCII):
        raise InvalidInput("'heartbeat_interval' must be a number of seconds")
    heartbeat = request.args.get("heartbeat", "true").lower() not in ("false", "0", "no")
    return Typed(frozenset(wanted) or TYPES, heartbeat, float(interval))


def _one_error(error: OxoflowError) -> Response:
    """What a typed stream says of an execution that is not there (5.4)."""

    def frames() -> Iterable[bytes]:
        yield f"event: error\ndata: {error.message}\n\n".encode()

    return Response(frames(), headers={**HEADERS, "Cache-Control": CACHING})
