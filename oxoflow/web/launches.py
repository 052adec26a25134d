"""Take submissions: check the text, then queue a run of it (spec/oxo-flow-api.md 1.5)."""

from __future__ import annotations

import uuid

from flask import Blueprint, Response, g

from oxoflow.db.audit import append_deed
from oxoflow.db.instants import instant
from oxoflow.db.runs import NewRun, Options
from oxoflow.engine.load import Loaded, check_text, load_text
from oxoflow.errors import WorkflowError
from oxoflow.lang.deadline import Deadline
from oxoflow.web.deeds import deed
from oxoflow.web.guards import role
from oxoflow.web.http import json_body, reply, services
from oxoflow.web.looking import SECONDS, folded, rule_order, worded
from oxoflow.web.previews import dry_run_body
from oxoflow.web.verbs import run_config
from oxoflow.workspace import WORKFLOW_FILE

blueprint = Blueprint("launches", __name__)


@blueprint.post("/api/workflows/run")
@role("user")
def run() -> Response:
    """Queue a run; the answer says "started" whether it starts at once or has to wait."""
    body = json_body(required={"toml_content": str}, optional={"config": dict})
    config = run_config(body.get("config") or {})
    text = body["toml_content"]
    loaded = plannable(text)
    if config["dry_run"]:
        return reply(dry_run_body(loaded, config))
    order = rule_order(folded(loaded.workflow, loaded.dag))
    new = NewRun(
        id=str(uuid.uuid4()),
        user_id=g.account.id,
        workflow_name=loaded.workflow.name,
        rules_total=len(order),
        created_at=instant(),
        options=Options(config["max_jobs"], config["keep_going"]),
    )
    what = deed("run", f"{new.id} {new.workflow_name}")
    services().supervisor.submit(
        new,
        g.account.username,
        {WORKFLOW_FILE: text.encode()},
        also=lambda connection: append_deed(connection, what, new.created_at),
    )
    return reply(
        {
            "run_id": new.id,
            "status": "started",
            "execution_order": order,
            "rules_total": new.rules_total,
        }
    )


def plannable(text: str) -> Loaded:
    """Load a text as its runner will; what is wrong is said with its line."""
    try:
        return load_text(text, deadline=Deadline.after(SECONDS))
    except WorkflowError as error:
        checked = check_text(text, deadline=Deadline.after(SECONDS))
        if not checked.errors:
            raise
        raise type(error)(worded(checked.errors), checked.errors) from None
