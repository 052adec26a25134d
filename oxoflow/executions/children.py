"""Start `.oxoflow` runs for executions, and tell these how they ended (spec/oxify-api.md 7.4).

A child is a run like one that its owner submits: with a directory, a place in the queue and a quota
of its own. It is found again after any restart by the question it answers.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from oxoflow.db import Database
from oxoflow.db.audit import Deed, append_deed
from oxoflow.db.executions import (
    Child,
    ended_children,
    find_child,
    insert_child,
    note_answered,
)
from oxoflow.db.instants import instant
from oxoflow.db.runs import NewRun, Options, Run, find_run_of_anyone
from oxoflow.errors import OxoflowError, RateLimited, Unavailable
from oxoflow.executions.telling import deliver
from oxoflow.supervisor import Supervisor
from oxoflow.workspace import WORKFLOW_FILE, Workspace, list_files

Look = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]  # a verb on a text, done elsewhere

LISTED = 1000  # outputs named in an answer


class Children:
    """The child runs of all executions; used by the attendant's thread."""

    def __init__(
        self, db: Database, workspace: Workspace, supervisor: Supervisor, look: Look
    ) -> None:
        self._db = db
        self._workspace = workspace
        self._supervisor = supervisor
        self._look = look

    def begin(self, parent: Run, ask: Mapping[str, Any]) -> None:
        """Queue the run that an execution asks for, once; what is wrong with it is the answer."""
        number = str(ask["id"])
        if find_child(self._db.read(), number) is not None:
            self.answer_ended()
            return
        text, config = ask.get("toml_content"), ask.get("config")
        if not isinstance(text, str) or not isinstance(config, dict):
            self._refuse(parent, number, "oxo/run needs a text and a config")
            return
        settings = {str(name): str(value) for name, value in config.items()}
        try:
            found = self._look("size", {"toml_content": text, "overrides": settings})
            self._queue(parent, number, text, settings, found["workflow_name"], found["jobs"])
        except Unavailable:  # everybody looks at texts just now: the attendant comes again
            raise
        except RateLimited as error:
            self._refuse(parent, number, f"{error.message}: {error.detail}")
        except OxoflowError as error:
            self._refuse(parent, number, error.message)

    def _queue(
        self,
        parent: Run,
        number: str,
        text: str,
        settings: Mapping[str, str],
        name: str,
        jobs: int,
    ) -> None:
        run_id, now = str(uuid.uuid4()), instant()
        directory = self._workspace.create(parent.username, run_id, {WORKFLOW_FILE: text.encode()})
        run = NewRun(
            id=run_id,
            user_id=parent.user_id,
            workflow_name=name,
            rules_total=jobs,
            created_at=now,
            options=Options(config=settings),
            tags=(f"execution:{parent.id}",),
        )
        deed = Deed("run", f"{run_id} {name}", parent.user_id, parent.username,
                    detail=f"child of execution {parent.id}")  # fmt: skip

        def also(connection: sqlite3.Connection) -> None:
            insert_child(connection, Child(run_id, parent.id, number))
            append_deed(connection, deed, now)

        try:
            self._supervisor.submit(run, also)
        except BaseException:
            self._workspace.remove(directory)
            raise

    def _refuse(self, parent: Run, number: str, why: str) -> None:
        body: dict[str, Any] = {"child": None, "state": "failed", "outputs": []}
        answer = {"type": "answer", "id": number, "error": why[:2000], **body}
        deliver(self._workspace, parent, answer)

    def answer_ended(self) -> None:
        """Tell executions of their children that are over."""
        for child in ended_children(self._db.read()):
            run = find_run_of_anyone(self._db.read(), child.run_id)
            parent = find_run_of_anyone(self._db.read(), child.execution_id)
            if run is not None and parent is not None and not parent.final:
                body: dict[str, Any] = {
                    "child": run.id,
                    "state": run.status.value,
                    "outputs": self._outputs(run),
                    "error": run.error,
                }
                deliver(
                    self._workspace, parent, {"type": "answer", "id": child.question_id, **body}
                )
            self._db.write(partial(_note, child.run_id))

    def _outputs(self, run: Run) -> list[str]:
        directory = self._workspace.run_directory(run.username, run.id)
        return [file.path for file in list_files(directory, LISTED).files]


def _note(run_id: str, connection: sqlite3.Connection) -> None:
    note_answered(connection, run_id)
