"""Run the kinds that wait for a person: Approval and Form (spec/oxify-api.md 4.10)."""

from __future__ import annotations

from oxoflow.graph import model as m
from oxoflow.graph.document import dump
from oxoflow.graph.template import fill_deep, render
from oxoflow.graph.work import Context, NodeFailure, Outcome

SECONDS = 3600  # how long to wait when the node does not say (4.8)


def run_approval(kind: m.Approval, context: Context) -> Outcome:
    """Ask for a yes; a no fails the node and is not asked again."""
    lookup = context.scope.lookup
    body = {
        "message": render(kind.message, lookup),
        "description": kind.description,
        "approvers": list(kind.approvers),
        "timeout_seconds": kind.timeout_seconds,
        "context_data": fill_deep(kind.context_data, lookup),
    }
    body = context.desk.shown(body)
    answer = context.desk.ask("approval", context, body, _seconds(kind.timeout_seconds))
    by, comments = answer.get("by"), answer.get("comments")
    if answer.get("status") != "approved":
        said = f": {comments}" if comments else ""
        raise NodeFailure(f"Approval rejected by {by or 'unknown'}{said}", retry=False)
    return Outcome(
        {
            "approval_id": answer.get("id"),
            "status": "approved",
            "approved_by": by,
            "comments": comments,
        }
    )


def run_form(kind: m.Form, context: Context) -> Outcome:
    """Ask for answers to the fields."""
    lookup = context.scope.lookup
    body = {
        "title": render(kind.title, lookup),
        "description": None if kind.description is None else render(kind.description, lookup),
        "fields": [dump(field) for field in kind.fields],
        "allowed_submitters": list(kind.allowed_submitters),
        "timeout_seconds": kind.timeout_seconds,
    }
    body = context.desk.shown(body)
    answer = context.desk.ask("form", context, body, _seconds(kind.timeout_seconds))
    data = answer.get("form_data")
    if not isinstance(data, dict):
        raise NodeFailure("The form came back without its data", retry=False)
    ids = {field.id for field in kind.fields if field.field_type is m.FieldType.PASSWORD}
    context.desk.hide([text for name, text in data.items() if name in ids and _is_text(text)])
    output = {
        "form_id": answer.get("id"),
        "status": "submitted",
        "submitted_by": answer.get("by"),
        "form_data": data,
    }
    return Outcome(output, {"form_data": data})


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _seconds(given: int | None) -> float:
    return float(SECONDS if given is None else given)
