"""Start executions, pause and resume them, and answer what they ask: the verbs behind the routes.

An execution is a run of kind 'execution': its life is the supervisor's. Owns what goes into its
directory, and the two ways to be paused: a live runner that starts no node, or no runner at all.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from oxoflow.db import Database
from oxoflow.db.audit import Deed, append_deed
from oxoflow.db.executions import (
    KIND,
    Batch,
    CheckpointRow,
    ExecutionRow,
    allow_revival,
    insert_execution,
    list_checkpoints,
    park_run,
    put_checkpoint,
    unpark_run,
)
from oxoflow.db.instants import instant
from oxoflow.db.questions import Question, Standing, resolve_question
from oxoflow.db.runs import NewRun, Options, Phase, Run, Status, find_run_of_anyone
from oxoflow.errors import Conflict, NotFound
from oxoflow.executions.supplying import gather
from oxoflow.executions.telling import deliver
from oxoflow.graph import model as m
from oxoflow.graph.document import dump
from oxoflow.graph.supplies import DOCUMENT, INPUTS, pack
from oxoflow.settings import Settings
from oxoflow.supervisor import Supervisor
from oxoflow.workspace import RECORDS, Workspace


class Owner(Struct, frozen=True):
    """For whom something is done."""

    user_id: str
    username: str


class Executions:
    """The verbs on executions; callable from any thread."""

    def __init__(
        self, db: Database, workspace: Workspace, settings: Settings, supervisor: Supervisor
    ) -> None:
        self._db = db
        self._workspace = workspace
        self._settings = settings
        self._supervisor = supervisor

    def start(
        self,
        owner: Owner,
        graph: m.Graph,
        graph_id: str,
        variables: Mapping[str, Any],
        deed: Deed,
        continue_on_error: bool = False,
        batch: Batch | None = None,
    ) -> str:
        """Queue an execution of a frozen copy of a graph; its id. Raises RateLimited."""
        supplies = gather(
            self._db.read(), self._settings, owner.user_id, graph, graph_id, variables,
            continue_on_error,
        )  # fmt: skip
        execution_id = str(uuid.uuid4())
        document = json.dumps(dump(graph)).encode()
        directory = self._workspace.create(owner.username, execution_id, {DOCUMENT: document})
        try:
            self._workspace.put_record(directory, f"{RECORDS}/{INPUTS}", pack(supplies))
            run = NewRun(
                id=execution_id,
                user_id=owner.user_id,
                workflow_name=graph.metadata.name,
                rules_total=len(graph.nodes),
                created_at=instant(),
                options=Options(max_jobs=1),
                kind=KIND,
            )

            def also(connection: sqlite3.Connection) -> None:
                insert_execution(connection, execution_id, owner.user_id, graph_id, batch)
                append_deed(connection, deed, run.created_at)

            self._supervisor.submit(run, also)
        except BaseException:
            self._workspace.remove(directory)
            raise
        return execution_id

    def run_of(self, row: ExecutionRow) -> Run:
        """The run behind an execution, as it stands now."""
        run = find_run_of_anyone(self._db.read(), row.id)
        if run is None:
            raise NotFound(f"Execution {row.id} not found")
        return run

    def pause(self, row: ExecutionRow, reason: str, completed: int) -> str:
        """Ask for a pause; the id of its checkpoint. Raises Conflict when it cannot be paused."""
        run = self.run_of(row)
        if run.final or run.phase in (Phase.PAUSED, Phase.CANCELLING):
            raise Conflict(f"Execution is not running: {state_word(run)}")
        checkpoint = CheckpointRow(str(uuid.uuid4()), row.id, completed, 0, reason, instant())
        parked = self._db.write(lambda c: _checkpoint_and_park(c, run, checkpoint))
        if not parked:
            body = {"type": "pause", "reason": reason, "checkpoint_id": checkpoint.id}
            deliver(self._workspace, self.run_of(row), body)
        return checkpoint.id

    def resume(self, row: ExecutionRow) -> None:
        """Let a paused execution go on; NotFound without a checkpoint, Conflict if it runs."""
        run = self.run_of(row)
        if run.final or run.phase is not Phase.PAUSED:
            raise Conflict(f"Execution is not paused: {state_word(run)}")
        if not list_checkpoints(self._db.read(), row.id):
            raise NotFound(f"Execution {row.id} has no checkpoint")
        self._db.write(lambda c: allow_revival(c, row.id))
        deliver(self._workspace, run, {"type": "resume"})
        if self._db.write(lambda c: unpark_run(c, row.id)):
            self._supervisor.look()

    def await_end(self, execution_id: str, seconds: float) -> bool:
        """Wait for the end of an execution; one that takes longer is cancelled, and False."""
        run = find_run_of_anyone(self._db.read(), execution_id)
        if run is None:
            return False
        run = self._supervisor.await_phase(run, Phase.CANCELLING, seconds)
        if not run.final:
            self._supervisor.cancel(run, 0.0)
        return run.final

    def answer(
        self,
        question: Question,
        standing: Standing,
        by: str,
        answer: Mapping[str, Any],
        also: Callable[[sqlite3.Connection], None],
    ) -> None:
        """Resolve a pending question and tell the runner; raises Conflict when it was resolved."""
        now = instant()

        def work(connection: sqlite3.Connection) -> bool:
            if not resolve_question(connection, question.id, standing, by, answer, now):
                return False
            also(connection)
            return True

        if not self._db.write(work):
            raise Conflict("it was answered before, or its execution has ended")
        run = find_run_of_anyone(self._db.read(), question.execution_id)
        if run is not None and not run.final:
            deliver(self._workspace, run, answer_message(question.id, standing, by, answer))


def answer_message(
    question_id: str, standing: Standing, by: str | None, answer: Mapping[str, Any]
) -> dict[str, Any]:
    """The control message that carries an answer."""
    return {"type": "answer", "id": question_id, "status": standing.value, "by": by, **answer}


def state_word(run: Run) -> str:
    """The OxiFY state of a run in one word."""
    if run.status is Status.CANCELLED:
        return "Cancelled"
    if run.final:
        return "Completed" if run.status is Status.SUCCESS else "Failed"
    return "Paused" if run.phase is Phase.PAUSED else "Running"


def _checkpoint_and_park(
    connection: sqlite3.Connection, run: Run, checkpoint: CheckpointRow
) -> bool:
    """Keep the checkpoint; True when the run had no runner yet and now gets none."""
    put_checkpoint(connection, checkpoint)
    return park_run(connection, run.id)
