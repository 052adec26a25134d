"""Show and answer what executions ask people: approvals and forms (spec/oxify-api.md 1.3, 4.10).

Whoever is named in a question may see and answer it, besides the owner of the execution.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

from flask import Response, g

from oxoflow.access import Role, Via
from oxoflow.db.audit import append_deed
from oxoflow.db.instants import instant
from oxoflow.db.questions import Question, Standing, find_question, pending_questions
from oxoflow.errors import Conflict, Forbidden, InvalidInput, NotFound
from oxoflow.executions import showing
from oxoflow.graph.forms import complaints, filled
from oxoflow.web.deeds import deed
from oxoflow.web.http import reply, services
from oxoflow.web.oxify import (
    Refusal,
    body,
    caller_name,
    make_blueprint,
    uuid_of,
)
from oxoflow.web.oxify_auth import email_of
from oxoflow.web.oxify_executions import own_execution

LISTS = {"approval": "approvers", "form": "allowed_submitters"}

blueprint = make_blueprint(__name__)


def _named(question: Question) -> bool:
    """Whether the caller is named in the question: by id, e-mail address, user name or role."""
    names = question.body.get(LISTS[question.kind])
    account = g.account
    own = (account.id, email_of(account.username), account.username, account.role.value)
    return isinstance(names, list) and any(name in own for name in names)


def _may_see(question: Question) -> bool:
    return g.owner is None or question.user_id == g.account.id or _named(question)


def _find(kind: str, question_id: str) -> Question:
    found = uuid_of(question_id, f"{kind} id")
    question = find_question(services().db.read(), None, kind, found)
    if question is None or not _may_see(question):
        raise NotFound(f"{kind.capitalize()} {found} not found")
    return question


def _check_may_answer(question: Question) -> None:
    """Only those named, where somebody is; in open mode nobody can be told from another."""
    if g.account.via is Via.NONE or g.account.role is Role.ADMIN:
        return
    if question.body.get(LISTS[question.kind]) and not _named(question):
        raise Forbidden(f"'{g.account.username}' is not among those who may answer this")


def _answer(question: Question, standing: Standing, answer: Mapping[str, Any]) -> None:
    _check_may_answer(question)
    what = deed(f"{standing.value}_{question.kind}", f"{question.id} of {question.execution_id}")

    def also(connection: sqlite3.Connection) -> None:
        append_deed(connection, what, instant())

    try:
        services().executions.answer(question, standing, caller_name(), answer, also)
    except Conflict as error:
        kind = question.kind.capitalize()
        raise Refusal(400, "InvalidState", f"{kind} is not pending: {error.message}") from None


def _pending(
    kind: str, show: Callable[[Question], dict[str, Any]], execution_id: str | None = None
) -> Response:
    found = pending_questions(services().db.read(), None, kind, execution_id)
    return reply([show(question) for question in found if _may_see(question)])


@blueprint.get("/api/v1/approvals")
def approvals() -> Response:
    """The approvals that wait for an answer."""
    return _pending("approval", showing.approval)


@blueprint.get("/api/v1/executions/<item:execution_id>/approvals")
def approvals_of(execution_id: str) -> Response:
    """The approvals that one execution waits for."""
    return _pending("approval", showing.approval, own_execution(execution_id).id)


@blueprint.get("/api/v1/approvals/<approval_id>")
def approval(approval_id: str) -> Response:
    """One approval, answered or not."""
    return reply(showing.approval(_find("approval", approval_id)))


@blueprint.post("/api/v1/approvals/<approval_id>/approve")
def approve(approval_id: str) -> Response:
    """Say yes."""
    return _decide(approval_id, Standing.APPROVED)


@blueprint.post("/api/v1/approvals/<approval_id>/reject")
def reject(approval_id: str) -> Response:
    """Say no."""
    return _decide(approval_id, Standing.REJECTED)


def _decide(approval_id: str, standing: Standing) -> Response:
    comments = body(may_be_empty=True).get("comments")
    _answer(_find("approval", approval_id), standing, {"comments": comments})
    return reply({"success": True, "message": f"Approval {standing.value} successfully"})


@blueprint.get("/api/v1/forms")
def forms() -> Response:
    """The forms that wait to be filled in."""
    return _pending("form", showing.form)


@blueprint.get("/api/v1/executions/<item:execution_id>/forms")
def forms_of(execution_id: str) -> Response:
    """The forms that one execution waits for."""
    return _pending("form", showing.form, own_execution(execution_id).id)


@blueprint.get("/api/v1/forms/<form_id>")
def form(form_id: str) -> Response:
    """One form, filled in or not."""
    return reply(showing.form(_find("form", form_id)))


@blueprint.post("/api/v1/forms/<form_id>/submit")
def submit(form_id: str) -> Response:
    """Fill a form in; what does not fit its fields leaves it waiting."""
    data = body()["form_data"]
    question = _find("form", form_id)
    fields = question.body.get("fields")
    fields = fields if isinstance(fields, list) else []
    wrong = complaints(fields, data)
    if wrong:
        raise InvalidInput("; ".join(wrong)[:2000])
    _answer(question, Standing.SUBMITTED, {"form_data": filled(fields, data)})
    return reply({"success": True, "message": "Form submitted successfully"})
