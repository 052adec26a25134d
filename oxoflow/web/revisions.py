"""Serve what a saved workflow was before, and bring it back (spec/oxo-flow-api.md 7)."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, g
from msgspec.structs import asdict

from oxoflow.db.library import Content, Revision, find_revision, find_workflow, list_revisions
from oxoflow.errors import NotFound
from oxoflow.web.guards import role, signed_in
from oxoflow.web.http import Unprocessable, json_body, reply, services
from oxoflow.web.library import not_found, store_update

HIGHEST = 2**53

blueprint = Blueprint("revisions", __name__, url_prefix="/api/workflows/saved/<workflow_id>")


def _listed(revision: Revision) -> dict[str, Any]:
    shown = asdict(revision)
    del shown["toml_content"], shown["bundle"]
    return shown


@blueprint.get("/revisions")
@signed_in
def listed(workflow_id: str) -> Response:
    """The earlier states of an own workflow, newest first, without their texts."""
    reader, owner = services().db.read(), g.account.id
    found = find_workflow(reader, owner, workflow_id)
    if found is None:
        raise not_found()
    rows = list_revisions(reader, owner, workflow_id)
    return reply({"current": found.revision, "revisions": [_listed(row) for row in rows]})


@blueprint.get("/revisions/<int:revision>")
@signed_in
def one(workflow_id: str, revision: int) -> Response:
    """One earlier state with its text."""
    found = _found(workflow_id, revision)
    return reply({**_listed(found), "toml_content": found.toml_content})


def _found(workflow_id: str, revision: int) -> Revision:
    reader, owner = services().db.read(), g.account.id
    if find_workflow(reader, owner, workflow_id) is None:
        raise not_found()
    found = find_revision(reader, owner, workflow_id, revision) if revision <= HIGHEST else None
    if found is None:
        raise NotFound("Revision not found")
    return found


@blueprint.post("/rollback")
@role("user")
def roll_back(workflow_id: str) -> Response:
    """Make an earlier state the present one; the present one becomes a revision."""
    revision = json_body(required={"revision": int})["revision"]
    if revision < 1:
        raise Unprocessable("Invalid request body", "the field 'revision' must be 1 or more")
    old = _found(workflow_id, revision)
    content = Content(old.name, old.version, old.toml_content or "", old.rules_count, old.bundle)
    number = store_update(workflow_id, content, "rollback_workflow")
    return reply({"id": workflow_id, "status": "rolled_back", "revision": number})
