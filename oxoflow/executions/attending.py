"""Attend to what executions ask for: questions to people, look-ups, child runs.

One thread of the server walks the events by id, from where it stood when the server last ran; so
nothing is overlooked and, as every handler may be repeated, nothing harmed by seeing it twice. What
is asked stands in the run directory; nothing in it is believed beyond that one execution.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Mapping
from typing import Any

from oxoflow.db import Database
from oxoflow.db.collections import Hit, find_collection, find_texts
from oxoflow.db.events import Event, last_event_id
from oxoflow.db.executions import (
    KIND,
    CheckpointRow,
    attended_events,
    attended_up_to,
    living_children,
    put_checkpoint,
    set_attended,
)
from oxoflow.db.instants import instant
from oxoflow.db.questions import (
    Question,
    Standing,
    close_questions,
    find_question,
    insert_question,
    resolve_question,
    stale_questions,
)
from oxoflow.db.runs import Run, find_run_of_anyone
from oxoflow.executions.children import Children, Look
from oxoflow.executions.service import answer_message
from oxoflow.executions.telling import deliver
from oxoflow.graph.asking import read_ask
from oxoflow.supervisor import Supervisor
from oxoflow.workspace import RECORDS, Workspace, directory_below

PAGE = 200
PAUSE = 1.0  # seconds after trouble
LONGEST_BODY = 256 * 1024  # characters of a question
LONGEST_LOOKUP = 10_000

log = logging.getLogger("oxoflow.executions")


class Attendant:
    """The thread; `poke` may be called from any other."""

    def __init__(self, db: Database, workspace: Workspace) -> None:
        self._db = db
        self._workspace = workspace
        self._poked = threading.Event()
        self._stopping = False
        self._position: int | None = None  # the attendant's thread; None: look it up
        self._thread = threading.Thread(target=self._serve, name="attendant", daemon=True)
        # From here on: set by `start`, then used by the thread only.
        self._supervisor: Supervisor
        self._children: Children

    def start(self, supervisor: Supervisor, look: Look) -> None:
        """Begin; what was missed while no server ran comes first. `look` does a verb on a text."""
        self._supervisor = supervisor
        self._children = Children(self._db, self._workspace, supervisor, look)
        self._poked.set()
        self._thread.start()

    def poke(self) -> None:
        """Say that events were committed."""
        self._poked.set()

    def stop(self) -> None:
        """End the thread; safe to call twice."""
        self._stopping = True
        self._poked.set()
        if self._thread.is_alive():
            self._thread.join()

    def _serve(self) -> None:
        tidy = True
        while not self._stopping:
            self._poked.wait()
            self._poked.clear()
            try:
                if tidy:
                    self._tidy()
                    tidy = False
                while not self._stopping and self._turn():
                    pass
            except Exception:  # the database is away, for example
                log.exception("attendant: a turn failed; going on")
                self._position = None
                if not self._stopping:
                    threading.Event().wait(PAUSE)
                self._poked.set()

    def _tidy(self) -> None:
        """Close questions of executions that ended while nobody looked."""
        for execution_id in stale_questions(self._db.read()):
            self._close_questions(execution_id)
        self._children.answer_ended()

    def _close_questions(self, execution_id: str) -> None:
        self._db.write(lambda connection: close_questions(connection, execution_id, instant()))

    def _turn(self) -> bool:
        """Attend to a page of events; False when there are no more."""
        if self._position is None:
            self._position = attended_up_to(self._db.read())
        newest = last_event_id(self._db.read())
        events = attended_events(self._db.read(), tuple(HANDLERS), self._position, newest, PAGE)
        for event in events:
            try:
                self._attend(event)
            except (ValueError, KeyError, TypeError) as error:  # nothing an execution writes
                log.warning("event %d makes no sense: %s", event.id, error)  # may stop us
        if events:
            last = events[-1].id
            self._db.write(lambda c: set_attended(c, last))
        self._position = events[-1].id if len(events) == PAGE else newest
        return len(events) == PAGE

    def _attend(self, event: Event) -> None:
        run = find_run_of_anyone(self._db.read(), event.run_id or "")
        if run is not None:
            HANDLERS[event.type](self, run, json.loads(event.data))

    def _read(self, run: Run, data: Mapping[str, Any], kind: str) -> dict[str, Any] | None:
        """The question an event is about; None when it is none."""
        number = data.get("id")
        if run.kind != KIND or run.final or not isinstance(number, str) or len(number) != 36:
            return None
        directory = self._workspace.run_directory(run.username, run.id)
        try:
            with directory_below(directory, RECORDS) as records:
                found = read_ask(records, number)
        except OSError:
            return None
        if found is None or found.get("kind") != kind:
            return None
        return found if len(json.dumps(found)) <= LONGEST_BODY else None

    # Handlers

    def _asked(self, kind: str, run: Run, data: Mapping[str, Any]) -> None:
        ask = self._read(run, data, kind)
        if ask is None:
            return
        question = Question(
            str(ask["id"]), run.id, run.user_id, kind, str(ask.get("node_id"))[:100], ask,
            Standing.PENDING, instant(),
        )  # fmt: skip
        if self._db.write(lambda c: insert_question(c, question)):
            return
        known = find_question(self._db.read(), run.user_id, kind, question.id)
        if known is not None and known.execution_id == run.id:
            self._say_again(run, known)

    def _say_again(self, run: Run, known: Question) -> None:
        """A runner asks what was answered in its earlier life."""
        if known.standing not in (Standing.PENDING, Standing.TIMED_OUT, Standing.CLOSED):
            answer = known.answer or {}
            message = answer_message(known.id, known.standing, known.resolved_by, answer)
            deliver(self._workspace, run, message)

    def _approval(self, run: Run, data: Mapping[str, Any]) -> None:
        self._asked("approval", run, data)

    def _form(self, run: Run, data: Mapping[str, Any]) -> None:
        self._asked("form", run, data)

    def _closed(self, run: Run, data: Mapping[str, Any]) -> None:
        number, timed_out = data.get("id"), data.get("status") == "TimedOut"
        standing = Standing.TIMED_OUT if timed_out else Standing.CLOSED

        def work(connection: sqlite3.Connection) -> None:
            for kind in ("approval", "form"):
                known = find_question(connection, run.user_id, kind, str(number))
                if known is not None and known.execution_id == run.id:
                    resolve_question(connection, known.id, standing, None, None, instant())

        self._db.write(work)

    def _lookup(self, run: Run, data: Mapping[str, Any]) -> None:
        ask = self._read(run, data, "lookup")
        if ask is not None:
            body = self._find(run, ask)
            deliver(self._workspace, run, {"type": "answer", "id": ask["id"], **body})

    def _find(self, run: Run, ask: Mapping[str, Any]) -> dict[str, Any]:
        name, query = str(ask.get("collection")), str(ask.get("query"))[:LONGEST_LOOKUP]
        top_k, threshold = ask.get("top_k"), ask.get("score_threshold")
        collection = find_collection(self._db.read(), run.user_id, name)
        if collection is None:
            return {"error": f"collection '{name[:100]}' does not exist"}
        most = top_k if isinstance(top_k, int) and 0 < top_k <= 1000 else 10
        least = threshold if isinstance(threshold, int | float) else None
        hits = find_texts(self._db.read(), collection, query, most, least)
        return {"results": [hit_json(hit, "payload") for hit in hits]}

    def _child(self, run: Run, data: Mapping[str, Any]) -> None:
        ask = self._read(run, data, "child")
        if ask is not None:
            self._children.begin(run, ask)

    def _checkpoint(self, run: Run, data: Mapping[str, Any]) -> None:
        if run.kind != KIND:
            return
        counts = (data.get("completed_nodes_count"), data.get("current_level"))
        completed, level = (n if type(n) is int and 0 <= n < 10**6 else 0 for n in counts)
        reason = str(data.get("reason"))[:500]
        row = CheckpointRow(
            str(data["checkpoint_id"])[:36], run.id, completed, level, reason, instant()
        )
        self._db.write(lambda c: put_checkpoint(c, row))

    def _ended(self, run: Run, data: Mapping[str, Any]) -> None:
        if run.kind == KIND:
            self._close_questions(run.id)
            for child_id in living_children(self._db.read(), run.id):
                child = find_run_of_anyone(self._db.read(), child_id)
                if child is not None:
                    self._supervisor.cancel(child, 0.0)
        self._children.answer_ended()


HANDLERS: Mapping[str, Callable[[Attendant, Run, Mapping[str, Any]], None]] = {
    "approval.requested": Attendant._approval,
    "form.requested": Attendant._form,
    "approval.closed": Attendant._closed,
    "form.closed": Attendant._closed,
    "lookup.requested": Attendant._lookup,
    "child.requested": Attendant._child,
    "checkpoint.created": Attendant._checkpoint,
    "run_completed": Attendant._ended,
    "run_failed": Attendant._ended,
    "run_cancelled": Attendant._ended,
}


def hit_json(hit: Hit, under: str) -> dict[str, Any]:
    """A hit as the API shows it; its metadata stand `under` that key."""
    return {"id": hit.name, "score": round(hit.score, 6), under: dict(hit.metadata)}
