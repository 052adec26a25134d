"""Put questions to people and to the server, and hand each answer to the node that waits for it.

Owns `.oxo-flow/asks/`: one file per question, named by an id that is the same in every life of the
execution, so that a question asked before a crash is not asked anew and its answer still counts.
Answers arrive as control messages, which the driver's thread passes in.
"""

from __future__ import annotations

import json
import queue
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oxoflow.engine.disk import replace_file
from oxoflow.engine.events import timestamp
from oxoflow.graph.supplies import read_object
from oxoflow.graph.work import Context, NodeFailure

NAMESPACE = uuid.UUID("6f1f7f3c-4a0e-5b1e-9f0b-0c5a8a1d7e51")
Answer = Mapping[str, Any]


def ask_id(execution_id: str, kind: str, at: str) -> str:
    """The id of a question: the same for the same place of the same execution."""
    return str(uuid.uuid5(NAMESPACE, f"{execution_id}\n{kind}\n{at}"))


class Asking:
    """All questions of one execution. Thread-safe."""

    def __init__(self, execution_id: str, directory: Path) -> None:
        self._execution_id = execution_id
        self._directory = directory
        self._lock = threading.Lock()
        self._answers: dict[str, Answer] = {}
        self._waiting: dict[str, queue.SimpleQueue[Answer | None]] = {}

    def ask(
        self, kind: str, context: Context, body: Mapping[str, Any], seconds: float | None
    ) -> Answer:
        """Ask, wait without a slot, and return the answer.

        Raises NodeFailure when nobody answers in `seconds`, counted from the first time the
        question was put; Stopped or TimedOut when the node shall not go on.
        """
        number = ask_id(self._execution_id, kind, context.at)
        asked = self._put(number, kind, context, body)
        inbox: queue.SimpleQueue[Answer | None] = queue.SimpleQueue()
        with self._lock:
            known = self._answers.get(number)
            if known is None:
                self._waiting[number] = inbox
        if known is not None:
            return known
        context.desk.emit(f"{kind}.requested", context, id=number)
        try:
            answer = self._wait(inbox, context, asked, seconds)
        except BaseException:
            context.desk.emit(f"{kind}.closed", context, id=number, status="Closed")
            raise
        finally:
            with self._lock:
                self._waiting.pop(number, None)
        if answer is None:
            context.desk.emit(f"{kind}.closed", context, id=number, status="TimedOut")
            raise NodeFailure(f"{kind.capitalize()} timed out after {seconds:g} s")
        return answer

    def answered(self, message: Answer) -> None:
        """An answer came; the first one counts."""
        number = message.get("id")
        if not isinstance(number, str):
            return
        with self._lock:
            self._answers.setdefault(number, message)
            inbox = self._waiting.get(number)
        if inbox is not None:
            inbox.put(message)

    def open(self) -> list[str]:
        """The ids of questions that nobody has answered yet."""
        with self._lock:
            return list(self._waiting)

    def _put(self, number: str, kind: str, context: Context, body: Mapping[str, Any]) -> float:
        """Write the question down, once; the time when it was first asked."""
        path = self._directory / f"{number}.json"
        before = read_object(path)
        if before is not None and isinstance(before.get("asked"), int | float):
            return float(before["asked"])
        now = time.time()
        whole = {
            "id": number, "kind": kind, "node_id": context.node_id, "node_name": context.node_name,
            "asked": now, "requested_at": timestamp(now), **body,
        }  # fmt: skip
        self._directory.mkdir(exist_ok=True)
        replace_file(path, json.dumps(whole).encode())
        return now

    def _wait(
        self,
        inbox: queue.SimpleQueue[Answer | None],
        context: Context,
        asked: float,
        seconds: float | None,
    ) -> Answer | None:
        """The answer; None when the time for it is over."""
        left = None if seconds is None else max(0.0, asked + seconds - time.time())
        own = context.token.remaining()
        limits = [limit for limit in (left, own) if limit is not None]
        with context.token.calling(lambda: inbox.put(None)), context.seat.waiting():
            try:
                answer = inbox.get(timeout=min(limits) if limits else None)
            except queue.Empty:
                answer = None
        if answer is None:
            context.token.check()
        return answer


def read_ask(directory: Path, number: str) -> dict[str, Any] | None:
    """A question as it was written down, for the server; trusts nothing in it."""
    body = read_object(directory / "asks" / f"{number}.json")
    return body if body is not None and body.get("id") == number else None
