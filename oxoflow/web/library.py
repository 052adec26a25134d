"""Serve the library: save, list, read and delete one's own workflows (spec/oxo-flow-api.md 1.6)."""

from __future__ import annotations

import sqlite3
import uuid

from flask import Blueprint, Response, g
from msgspec.structs import asdict, replace

from oxoflow.db.audit import Deed, append_deed
from oxoflow.db.events import Event, insert_events
from oxoflow.db.instants import instant
from oxoflow.db.library import (
    Content,
    count_workflows,
    delete_workflow,
    find_workflow,
    insert_workflow,
    list_workflows,
    update_workflow,
)
from oxoflow.errors import NotFound
from oxoflow.web.bundle import read_bundle, write_bundle
from oxoflow.web.deeds import deed
from oxoflow.web.guards import role, signed_in
from oxoflow.web.http import checked_word, compact, created, json_body, reply, services
from oxoflow.web.paging import tell_page, wanted_page

LONGEST_NAME, LONGEST_VERSION = 200, 64
FIRST_VERSION = "1.0.0"

blueprint = Blueprint("library", __name__)


def not_found() -> NotFound:
    """Unknown, malformed and foreign ids are one answer."""
    return NotFound("Workflow not found")


@blueprint.post("/api/workflows/save")
@role("user")
def save() -> Response:
    """Save a text under a new id, or as the next state of an own one; `files` are its bundle."""
    body = json_body(
        required={"name": str, "toml_content": str},
        optional={"version": str, "id": str, "files": dict},
    )
    workflow_id, files = body.get("id"), body.get("files")
    content = Content(
        checked_word("name", body["name"], LONGEST_NAME),
        checked_word("version", body.get("version") or FIRST_VERSION, LONGEST_VERSION),
        body["toml_content"],
        services().texts("count", {"toml_content": body["toml_content"]})["rules_count"],
        _bundled(files) if files else None,
    )
    if workflow_id is None:
        new_id = store_new(content)
        return created({"id": new_id, "status": "saved"}, f"/api/workflows/saved/{new_id}")
    if files is None:  # not mentioned: the files stay
        saved = find_workflow(services().db.read(), g.account.id, workflow_id)
        content = replace(content, bundle=saved.bundle if saved else None)
    store_update(workflow_id, content, "update_workflow")
    return reply({"id": workflow_id, "status": "updated"})


def _bundled(files: dict[str, str]) -> bytes:
    """The zip of small texts, checked like one that was uploaded."""
    bundle = write_bundle({path: text.encode() for path, text in files.items()})
    read_bundle(bundle)
    return bundle


def store_new(content: Content) -> str:
    """Write a new workflow with its audit row and event; its id."""
    workflow_id, now, account = str(uuid.uuid4()), instant(), g.account
    what = deed("save_workflow", f"{workflow_id} {content.name}")

    def work(connection: sqlite3.Connection) -> None:
        insert_workflow(connection, account.id, workflow_id, content, now)
        note(connection, what, "workflow_saved", workflow_id, content.name, now)

    services().db.write(work)
    services().streams.poke()
    return workflow_id


def store_update(workflow_id: str, content: Content, action: str) -> int:
    """Write the next revision of an own workflow with its audit row and event; its number."""
    now, account = instant(), g.account
    what = deed(action, f"{workflow_id} {content.name}")

    def work(connection: sqlite3.Connection) -> int:
        revision = update_workflow(connection, account.id, workflow_id, content, now)
        if revision is None:
            raise not_found()
        note(connection, what, "workflow_saved", workflow_id, content.name, now)
        return revision

    revision = services().db.write(work)
    services().streams.poke()
    return revision


def note(
    connection: sqlite3.Connection, what: Deed, kind: str, workflow_id: str, name: str, now: str
) -> None:
    """Write down and announce a change of the library, inside the write that makes it."""
    append_deed(connection, what, now)
    data = compact({"id": workflow_id, "name": name})
    owner = what.user_id or ""
    insert_events(connection, [Event(0, owner, None, None, kind, now, data)])


@blueprint.get("/api/workflows/saved")
@signed_in
def saved() -> Response:
    """One's own workflows, most recently updated first; a page of them when asked for one."""
    reader, owner, page = services().db.read(), g.account.id, wanted_page()
    rows = list_workflows(reader, owner, page.size, page.offset)
    answer = reply([asdict(row) for row in rows])
    tell_page(answer, page, count_workflows(reader, owner))
    return answer


@blueprint.get("/api/workflows/saved/<workflow_id>")
@signed_in
def saved_one(workflow_id: str) -> Response:
    """One own workflow with its text."""
    found = find_workflow(services().db.read(), g.account.id, workflow_id)
    if found is None:
        raise not_found()
    body = asdict(found)
    body["has_bundle"] = body.pop("bundle") is not None
    return reply(body)


@blueprint.delete("/api/workflows/saved/<workflow_id>")
@role("user")
def delete(workflow_id: str) -> Response:
    """Remove one own workflow and its revisions."""
    now, account = instant(), g.account
    what = deed("delete_workflow", workflow_id)

    def work(connection: sqlite3.Connection) -> None:
        name = delete_workflow(connection, account.id, workflow_id)
        if name is None:
            raise not_found()
        note(connection, what, "workflow_deleted", workflow_id, name, now)

    services().db.write(work)
    services().streams.poke()
    return reply({"status": "deleted"})
