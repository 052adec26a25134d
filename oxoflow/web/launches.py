"""Take submissions: check the text, then queue a run of it (spec/oxo-flow-api.md 1.5)."""

from __future__ import annotations

import json
import sqlite3
import uuid
from typing import Any

from flask import Blueprint, Response, g
from msgspec.structs import replace

from oxoflow.db.audit import append_deed
from oxoflow.db.instants import instant
from oxoflow.db.library import find_workflow
from oxoflow.db.runs import NewRun, find_run_by_key
from oxoflow.errors import Conflict, NotFound
from oxoflow.supervisor.seed import SEED_FILE
from oxoflow.supervisor.seed import order as seed_order
from oxoflow.web.bundle import read_bundle
from oxoflow.web.deeds import deed
from oxoflow.web.guards import role
from oxoflow.web.http import reply, services
from oxoflow.web.staging import link, planned, staged, uploads_wanted
from oxoflow.web.submission import Submission, read_submission

blueprint = Blueprint("launches", __name__)


@blueprint.post("/api/workflows/run")
@role("user")
def run() -> Response:
    """Queue a run; the answer says "started" whether it starts at once or has to wait."""
    asked = read_submission()
    earlier = _answered_before(asked)
    if earlier is not None:
        return reply(earlier)
    try:
        return reply(_launch(asked))
    except sqlite3.IntegrityError:  # the same key in another thread at the same time
        earlier = _answered_before(asked)
        if earlier is None:
            raise
        return reply(earlier)


def _launch(asked: Submission) -> dict[str, Any]:
    text, files = asked.text, dict(asked.files)
    if text is None:
        text, bundled = _saved(asked.workflow_id or "")
        files = bundled | files
    run_id = str(uuid.uuid4())
    with staged(run_id, text, files) as stage:
        copies = uploads_wanted(asked.uploads)
        link(stage.directory, copies, "your uploads")
        if asked.dry_run:
            options, settings = asked.options, asked.settings
            answer = planned(text, stage.directory, options, _echoed(asked), settings)
            return dict(answer["preview"])
        found = planned(text, stage.directory, asked.options, settings=asked.settings)
        answer = {
            "run_id": run_id,
            "status": "started",
            "execution_order": found["order"],
            "rules_total": len(found["order"]),
        }
        if copies:
            services().workspace.put_record(stage.directory, SEED_FILE, seed_order(copies))
        new = NewRun(
            id=run_id,
            user_id=g.account.id,
            workflow_name=found["workflow_name"],
            rules_total=len(found["order"]),
            created_at=instant(),
            options=replace(
                asked.options,
                files=tuple(sorted({*files, *asked.uploads})),
                seeded=bool(copies),
            ),
            tags=asked.tags,
            outputs=found["outputs"],
            idempotency_key=asked.key,
            answer=json.dumps([asked.digest, answer]) if asked.key else None,
        )
        enqueue(new)
        stage.keep()
    return answer


def enqueue(new: NewRun, action: str = "run") -> None:
    """Queue a run whose directory is there, with its audit row."""
    what = deed(action, f"{new.id} {new.workflow_name}")
    services().supervisor.submit(
        new, lambda connection: append_deed(connection, what, new.created_at)
    )


def _echoed(asked: Submission) -> dict[str, Any]:
    options = asked.options
    return {"max_jobs": options.max_jobs, "dry_run": True, "keep_going": options.keep_going}


def _answered_before(asked: Submission) -> dict[str, Any] | None:
    """What the first request under this key was answered; Conflict when it asked something else."""
    if asked.key is None or asked.dry_run:
        return None
    run = find_run_by_key(services().db.read(), g.account.id, asked.key)
    if run is None or run.answer is None:
        return None
    digest, answer = json.loads(run.answer)
    if digest != asked.digest:
        raise Conflict(
            "Idempotency key was used before", "for another request: choose a new key for this one"
        )
    found: dict[str, Any] = answer
    return found


def _saved(workflow_id: str) -> tuple[str, dict[str, bytes]]:
    """The text of a saved workflow of the caller's, and the files of its bundle."""
    saved = find_workflow(services().db.read(), g.account.id, workflow_id)
    if saved is None:
        raise NotFound("Workflow not found")
    return saved.toml_content, read_bundle(saved.bundle) if saved.bundle else {}
