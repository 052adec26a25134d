"""Execute graphs, list and show executions, cancel, pause and resume them (spec 1.2, 1.3)."""

from __future__ import annotations

import sqlite3
import uuid
from typing import Any

from flask import Response, g

from oxoflow.db.audit import append_deed
from oxoflow.db.executions import (
    Batch,
    ExecutionRow,
    count_executions,
    delete_checkpoints,
    find_execution,
    list_checkpoints,
    list_executions,
    newest_event,
    results_upto,
)
from oxoflow.db.instants import instant
from oxoflow.db.runs import Phase
from oxoflow.errors import Conflict, InvalidInput, NotFound
from oxoflow.executions import showing
from oxoflow.executions.service import state_word
from oxoflow.openapi.contract import complaint_of
from oxoflow.web.deeds import deed, write_deed
from oxoflow.web.http import reply, services
from oxoflow.web.oxify import (
    Refusal,
    attempt,
    body,
    caller,
    graph_of,
    make_blueprint,
    page,
    uuid_of,
    without_nulls,
)
from oxoflow.web.oxify_graphs import document_of, own_graph
from oxoflow.web.waiting import may_wait

PATIENCE = 6.5  # seconds that a cancel waits for its confirmation
AT_ONCE = 10  # executions of a batch, when it does not say how many
SETTLING = 2.0  # seconds that a pause waits for what runs to end

blueprint = make_blueprint(__name__)


def own_execution(execution_id: str) -> ExecutionRow:
    """An execution that the caller may see; raises NotFound."""
    found = uuid_of(execution_id, "execution id")
    row = find_execution(services().db.read(), g.owner, found)
    if row is None:
        raise NotFound(f"Execution {found} not found")
    return row


def begin(workflow_id: str, given: dict[str, Any], batch: Batch | None = None) -> str:
    """Start an execution of a saved graph; its id."""
    row = own_graph(workflow_id)
    return services().executions.start(
        caller(),
        graph_of(document_of(row)),
        row.id,
        given.get("variables", {}),
        deed("execute_graph", f"{row.id} {row.name}"),
        bool(given.get("options", {}).get("continue_on_error")),
        batch,
    )


@blueprint.post("/api/v1/workflows/<item:workflow_id>/execute")
def execute(workflow_id: str) -> Response:
    """Start an execution; it is known to the next request, whatever that asks."""
    uuid_of(workflow_id, "workflow id")
    execution_id = begin(workflow_id, body(may_be_empty=True))
    return reply({"execution_id": execution_id, "message": "Workflow execution started"}, 202)


@blueprint.post("/api/v1/executions/batch")
def execute_many() -> Response:
    """Start up to fifty executions; each succeeds or fails by itself."""
    given = body()
    items = given["executions"]
    batch = Batch(str(uuid.uuid4()), min(given.get("max_concurrent", AT_ONCE), len(items)))
    results: list[dict[str, Any]] = []
    for index, item in enumerate(items):
        workflow_id = item.get("workflow_id") if isinstance(item, dict) else None
        found, error = attempt(lambda each=item: {"id": _begin_item(each, batch)})  # type: ignore[misc]
        results.append(
            {
                "index": index,
                "workflow_id": workflow_id if isinstance(workflow_id, str) else None,
                "execution_id": found["id"] if found else None,
                "success": error is None,
                "error": error,
            }
        )
    succeeded = sum(result["success"] for result in results)
    return reply(
        {
            "results": results,
            "total": len(results),
            "succeeded": succeeded,
            "failed": len(results) - succeeded,
        }
    )


def _begin_item(item: Any, batch: Batch) -> str:
    wrong = complaint_of("BatchExecution", item)
    if wrong is not None:
        raise InvalidInput("Invalid execution", wrong)
    return begin(item["workflow_id"], without_nulls(item), batch)


@blueprint.get("/api/v1/executions/<item:execution_id>")
def one(execution_id: str) -> Response:
    """One execution with its variables and results."""
    return reply(showing.detail(services().workspace, own_execution(execution_id)))


@blueprint.get("/api/v1/executions")
def listing() -> Response:
    """All executions that the caller may see, the latest first."""
    return _list(None)


@blueprint.get("/api/v1/workflows/<item:workflow_id>/executions")
def of_graph(workflow_id: str) -> Response:
    """The executions of one graph, also when that is deleted or was never there."""
    return _list(uuid_of(workflow_id, "workflow id"))


def _list(graph_id: str | None) -> Response:
    limit, offset = page()
    reader = services().db.read()
    rows = list_executions(reader, g.owner, graph_id, limit, offset)
    return reply(
        {
            "executions": [showing.summary(row) for row in rows],
            "total": count_executions(reader, g.owner, graph_id),
        }
    )


@blueprint.post("/api/v1/executions/<item:execution_id>/cancel")
def cancel(execution_id: str) -> Response:
    """End an execution and everything it started; answers when that is confirmed."""
    row = own_execution(execution_id)
    run = services().executions.run_of(row)
    if run.final:
        raise _state("cancel", state_word(run))
    what = deed("cancel_execution", row.id)
    services().db.write(lambda connection: append_deed(connection, what, instant()))
    with may_wait() as patient:
        run = services().supervisor.cancel(run, PATIENCE if patient else 0.0)
    if run.final and state_word(run) != "Cancelled":  # it ended by itself in this moment
        raise _state("cancel", state_word(run))
    said = "Execution cancelled successfully" if run.final else "Execution is being cancelled"
    return reply({"message": said, "execution_id": row.id, "state": state_word(run)})


def _state(verb: str, word: str) -> Refusal:
    return Refusal(400, "InvalidState", f"Cannot {verb} an execution that is {word}")


@blueprint.post("/api/v1/executions/<item:execution_id>/pause")
def pause(execution_id: str) -> Response:
    """Start no further node; what runs goes on to its end."""
    reason = body(may_be_empty=True).get("reason", "manual_pause")[:500]
    row = own_execution(execution_id)
    reader = services().db.read()
    completed = results_upto(reader, row.id, newest_event(reader, row.id)[0])
    try:
        checkpoint_id = services().executions.pause(row, reason, completed)
    except Conflict as error:
        raise Refusal(400, "InvalidState", error.message) from None
    write_deed(deed("pause_execution", row.id))
    with may_wait() as patient:
        if patient:
            run = services().executions.run_of(row)
            services().supervisor.await_phase(run, Phase.PAUSED, SETTLING)
    return reply({"checkpoint_id": checkpoint_id, "message": "Execution paused successfully"})


@blueprint.post("/api/v1/executions/<item:execution_id>/resume")
def resume(execution_id: str) -> Response:
    """Let a paused execution go on, under the same id and without repeating anything."""
    row = own_execution(execution_id)
    try:
        services().executions.resume(row)
    except Conflict as error:
        raise Refusal(400, "InvalidState", error.message) from None
    write_deed(deed("resume_execution", row.id))
    return reply({"execution_id": row.id, "message": "Execution resume initiated"}, 202)


@blueprint.get("/api/v1/executions/<item:execution_id>/checkpoints")
def checkpoints(execution_id: str) -> Response:
    """The moments at which an execution was paused, the newest first."""
    row = own_execution(execution_id)
    found = list_checkpoints(services().db.read(), row.id)
    shown = [showing.checkpoint(each, row.graph_id) for each in found]
    return reply({"checkpoints": shown, "total": len(shown)})


@blueprint.delete("/api/v1/executions/<item:execution_id>/checkpoints")
def forget_checkpoints(execution_id: str) -> Response:
    """Forget these moments."""
    row = own_execution(execution_id)
    what = deed("delete_checkpoints", row.id)

    def work(connection: sqlite3.Connection) -> int:
        append_deed(connection, what, instant())
        return delete_checkpoints(connection, row.id)

    deleted = services().db.write(work)
    return reply({"deleted_count": deleted, "message": f"Deleted {deleted} checkpoints"})
