"""Tell the supervisor what an execution is: how it is started, what it may say, how it is revived.

A runner that died is started again once, from its records; after that the execution is paused, and
a person decides (design, section 10).
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Mapping
from pathlib import Path

from oxoflow.db.events import insert_events
from oxoflow.db.executions import (
    KIND,
    CheckpointRow,
    newest_event,
    park_run,
    put_checkpoint,
    results_upto,
    revive_execution,
)
from oxoflow.db.instants import instant
from oxoflow.db.runs import Run, requeue_run
from oxoflow.graph.execution import ADDRESSES, SECRETS
from oxoflow.graph.supplies import DOCUMENT
from oxoflow.supervisor import Kind
from oxoflow.supervisor.ingest import event_of
from oxoflow.supervisor.launch import PROGRAM

REASON = "its runner died twice"
TYPES = frozenset(
    {
        "node.started", "node.completed", "node.failed", "node.skipped", "node.retry", "llm.token",
        "run_pausing", "checkpoint.created", "approval.requested", "approval.closed",
        "form.requested", "form.closed", "lookup.requested", "lookup.closed",
        "child.requested", "child.closed",
    }
)  # fmt: skip


def command(run: Run, directory: Path, threads: int) -> list[str]:
    """What a person would type to execute what lies in a directory."""
    file = str(directory / DOCUMENT)
    return [*PROGRAM, "oxify", "execute", file, "--workdir", str(directory)]


def revive(connection: sqlite3.Connection, run: Run) -> None:
    """Put a lost execution back into the queue, or, the second time, park it as paused."""
    first = revive_execution(connection, run.id)
    if requeue_run(connection, run.id) and not first:
        park_run(connection, run.id)
        done = results_upto(connection, run.id, newest_event(connection, run.id)[0])
        checkpoint = CheckpointRow(str(uuid.uuid4()), run.id, done, 0, REASON, instant())
        put_checkpoint(connection, checkpoint)
        data = {"status": "Paused", "checkpoint_id": checkpoint.id, "reason": REASON}
        insert_events(connection, [event_of(run, "run_paused", instant(), data)])


def execution_kind(environ: Mapping[str, str]) -> dict[str, Kind]:
    """The entry for the supervisor's table; models' addresses and keys come from `environ`."""
    models = {name: environ[name] for name in (*SECRETS, *ADDRESSES) if environ.get(name)}
    return {KIND: Kind(command, models, TYPES, may_wait=True, revive=revive)}
