"""Serve the bundle of a saved workflow: scripts, environment files and sheets as one zip."""

from __future__ import annotations

from flask import Blueprint, Response, g, request

from oxoflow.db.library import Content, Saved, find_workflow
from oxoflow.errors import NotFound
from oxoflow.web.bundle import LARGEST_ZIP, read_bundle, write_bundle
from oxoflow.web.filebody import attachment
from oxoflow.web.guards import role, signed_in
from oxoflow.web.http import UnsupportedType, reply, services
from oxoflow.web.library import not_found, store_update

ZIP = "application/zip"

blueprint = Blueprint("bundles", __name__, url_prefix="/api/workflows/saved/<workflow_id>/bundle")


def _own(workflow_id: str) -> Saved:
    found = find_workflow(services().db.read(), g.account.id, workflow_id)
    if found is None:
        raise not_found()
    return found


def _content(saved: Saved, bundle: bytes | None) -> Content:
    return Content(saved.name, saved.version, saved.toml_content, saved.rules_count, bundle)


@blueprint.get("")
@signed_in
def download(workflow_id: str) -> Response:
    """The bundle as a zip."""
    saved = _own(workflow_id)
    if saved.bundle is None:
        raise NotFound("Bundle not found", "this workflow has no files of its own")
    answer = Response(saved.bundle, content_type=ZIP)
    answer.headers["Content-Disposition"] = attachment(f"{saved.id}.zip")
    return answer


@blueprint.put("")
@role("user")
def store(workflow_id: str) -> Response:
    """Replace the bundle by a zip; this is a new revision of the workflow."""
    if request.mimetype != ZIP:
        raise UnsupportedType(f"send a zip with Content-Type: {ZIP}")
    saved = _own(workflow_id)
    request.max_content_length = LARGEST_ZIP
    files = read_bundle(request.get_data(cache=False))
    revision = store_update(workflow_id, _content(saved, write_bundle(files)), "update_workflow")
    shown = [{"path": path, "size_bytes": len(data)} for path, data in sorted(files.items())]
    return reply({"id": workflow_id, "status": "stored", "revision": revision, "files": shown})


@blueprint.delete("")
@role("user")
def remove(workflow_id: str) -> Response:
    """Save the workflow without its bundle; this is a new revision."""
    saved = _own(workflow_id)
    if saved.bundle is None:
        raise NotFound("Bundle not found", "this workflow has no files of its own")
    store_update(workflow_id, _content(saved, None), "update_workflow")
    return reply({"status": "deleted"})
