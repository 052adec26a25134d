"""Show executions, questions and checkpoints in the words of the API (spec/oxify-api.md 1.2, 1.3).

What an execution's own code could have written is read without following links, and shown as this
one execution's; who may see it was decided before.
"""

from __future__ import annotations

from typing import Any

from oxoflow.db.executions import CheckpointRow, ExecutionRow
from oxoflow.db.questions import Question, Standing
from oxoflow.graph.detail import read_shown
from oxoflow.graph.forms import passwords
from oxoflow.graph.supplies import INPUTS, read_object
from oxoflow.workspace import RECORDS, Workspace, directory_below

STATES = {"success": "Completed", "cancelled": "Cancelled"}
STANDINGS = {
    Standing.PENDING: "Pending",
    Standing.APPROVED: "Approved",
    Standing.REJECTED: "Rejected",
    Standing.SUBMITTED: "Submitted",
    Standing.TIMED_OUT: "TimedOut",
    Standing.CLOSED: "TimedOut",  # the word there is for a question that nobody answered in time
}


def state_json(row: ExecutionRow) -> Any:
    """The ExecutionState; a failure carries its reason (2.5)."""
    if row.status == "failed":
        return {"Failed": row.error or "failed"}
    return STATES.get(row.status, "Paused" if row.phase == "paused" else "Running")


def summary(row: ExecutionRow) -> dict[str, Any]:
    """An execution as lists show it."""
    return {
        "execution_id": row.id,
        "workflow_id": row.graph_id,
        "state": state_json(row),
        "started_at": row.created_at,
        "completed_at": row.finished_at,
    }


def detail(workspace: Workspace, row: ExecutionRow) -> dict[str, Any]:
    """An execution in full."""
    shown: dict[str, Any] = {"variables": {}, "node_results": []}
    directory = workspace.run_directory(row.username, row.id)
    try:
        with directory_below(directory, RECORDS) as records:
            inputs = read_object(records / INPUTS) or {}
            given = inputs.get("variables")
            shown = read_shown(records, given if isinstance(given, dict) else {})
    except OSError:
        pass  # the directory was deleted: what the database knows is all there is
    return {
        "execution_id": row.id,
        "workflow_id": row.graph_id,
        "state": state_json(row),
        **shown,
    }


def _common(question: Question) -> dict[str, Any]:
    return {
        "id": question.id,
        "execution_id": question.execution_id,
        "node_id": question.node_id,
        "description": question.body.get("description"),
        "timeout_seconds": question.body.get("timeout_seconds"),
        "status": STANDINGS[question.standing],
        "requested_at": question.requested_at,
    }


def approval(question: Question) -> dict[str, Any]:
    """The ApprovalView."""
    answer = question.answer or {}
    return _common(question) | {
        "message": question.body.get("message"),
        "approvers": question.body.get("approvers") or [],
        "context_data": question.body.get("context_data"),
        "resolved_at": question.resolved_at,
        "resolved_by": question.resolved_by,
        "comments": answer.get("comments"),
    }


def form(question: Question) -> dict[str, Any]:
    """The view of a form, which mirrors that of an approval."""
    answer = question.answer or {}
    return _common(question) | {
        "title": question.body.get("title"),
        "fields": question.body.get("fields") or [],
        "allowed_submitters": question.body.get("allowed_submitters") or [],
        "submitted_at": question.resolved_at,
        "submitted_by": question.resolved_by,
        "form_data": _without_passwords(question.body.get("fields"), answer.get("form_data")),
    }


def _without_passwords(fields: Any, data: Any) -> Any:
    """What was filled in, but for the fields of type Password."""
    if not isinstance(data, dict) or not isinstance(fields, list):
        return data
    return {name: "***" if name in passwords(fields) else value for name, value in data.items()}


def checkpoint(row: CheckpointRow, graph_id: str) -> dict[str, Any]:
    """One checkpoint."""
    return {
        "id": row.id,
        "workflow_id": graph_id,
        "execution_id": row.execution_id,
        "completed_nodes_count": row.completed_nodes_count,
        "current_level": row.current_level,
        "paused": True,
        "reason": row.reason,
        "created_at": row.created_at,
    }
