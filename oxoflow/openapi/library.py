"""Describe the routes of saved workflows, their revisions, and the examples."""

from __future__ import annotations

from oxoflow.openapi.route import BY_PAGES, LOCATION, PAGES, Answer, Route, ok
from oxoflow.openapi.shapes import (
    COUNT,
    TEXT,
    UUID,
    WHOLE,
    WORKFLOW_TEXT,
    Schema,
    answer_object,
    list_of,
    map_of,
    one_of,
    ref,
    request_object,
    text,
)

TAG = "library"
SAVED = "/api/workflows/saved"
BUNDLE = SAVED + "/{workflow_id}/bundle"
ZIP = "application/zip"

TEMPLATE: dict[str, Schema] = {
    "id": TEXT, "name": TEXT, "version": TEXT, "category": TEXT, "description": TEXT,
    "rules_count": COUNT,
}  # fmt: skip

ROUTES = (
    Route(
        "GET", "/api/workflows", "listWorkflows", "What one can start from: saved, then examples",
        TAG,
        ok(
            answer_object(
                workflows=list_of(
                    answer_object(
                        name=TEXT, version=TEXT, rules_count=COUNT, id=TEXT,
                        source=one_of("saved", "template"),
                    )
                )
            )
        ),
        role="viewer",
    ),
    Route(
        "GET", "/api/templates", "listTemplates", "Example workflows, easy ones first", TAG,
        ok(answer_object(templates=list_of(answer_object(**TEMPLATE)))),
    ),
    Route(
        "GET", "/api/templates/{template_id}", "getTemplate", "An example with its text", TAG,
        ok(answer_object(**TEMPLATE, toml_content=TEXT)),
    ),
    Route(
        "POST", "/api/workflows/save", "saveWorkflow", "Save a text, or the next state of one", TAG,
        ok(answer_object(id=UUID, status=one_of("updated")), "Updated")
        | ok(answer_object(id=UUID, status=one_of("saved")), "Saved", 201, headers=LOCATION),
        role="user",
        body=request_object(
            {"version": text(64, 1), "id": TEXT, "files": map_of(TEXT)},
            name=text(200, 1), toml_content=WORKFLOW_TEXT,
        ),
        errors=(404,),
    ),
    Route(
        "GET", SAVED, "listSavedWorkflows", "One's own workflows, the last changed first", TAG,
        ok(list_of(ref("Workflow")), headers=PAGES), role="viewer", query=BY_PAGES,
    ),
    Route(
        "GET", SAVED + "/{workflow_id}", "getSavedWorkflow", "One own workflow with its text", TAG,
        ok(ref("SavedWorkflow")), role="viewer",
    ),
    Route(
        "DELETE", SAVED + "/{workflow_id}", "deleteSavedWorkflow", "Remove one own workflow", TAG,
        ok(answer_object(status=one_of("deleted"))), role="user",
    ),
    Route(
        "GET", BUNDLE, "getBundle", "The files of an own workflow as a zip", TAG,
        {200: Answer("The zip", None, (ZIP,))}, role="viewer",
    ),
    Route(
        "PUT", BUNDLE, "putBundle", "Replace the files of an own workflow by a zip", TAG,
        ok(
            answer_object(
                id=UUID, status=one_of("stored"), revision=COUNT,
                files=list_of(answer_object(path=TEXT, size_bytes=COUNT)),
            )
        ),
        role="user",
        body={"type": "string", "format": "binary"}, body_media=(ZIP,),
    ),
    Route(
        "DELETE", BUNDLE, "deleteBundle", "Take the files of an own workflow away", TAG,
        ok(answer_object(status=one_of("deleted"))), role="user",
    ),
    Route(
        "GET", SAVED + "/{workflow_id}/revisions", "listRevisions",
        "What an own workflow was before", TAG,
        ok(answer_object(current=COUNT, revisions=list_of(ref("Revision")))), role="viewer",
    ),
    Route(
        "GET", SAVED + "/{workflow_id}/revisions/{revision}", "getRevision",
        "An earlier state with its text", TAG,
        ok(
            answer_object(
                revision=COUNT, name=TEXT, version=TEXT, rules_count=COUNT,
                created_at={"type": "string", "format": "date-time"}, toml_content=TEXT,
            )
        ),
        role="viewer",
    ),
    Route(
        "POST", SAVED + "/{workflow_id}/rollback", "rollBack", "Bring an earlier state back", TAG,
        ok(answer_object(id=UUID, status=one_of("rolled_back"), revision=COUNT)),
        role="user",
        body=request_object(revision=WHOLE),
    ),
)  # fmt: skip
