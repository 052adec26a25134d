"""Describe the verbs on workflow texts, and reports on them."""

from __future__ import annotations

from oxoflow.openapi.route import HTML, JSON, Answer, Query, Route, ok
from oxoflow.openapi.shapes import (
    COUNT,
    FLAG,
    TEXT,
    WHOLE,
    WORKFLOW_TEXT,
    Schema,
    answer_object,
    list_of,
    nullable,
    one_of,
    ref,
    request_object,
)

TAG = "workflows"
TEXT_BODY = ref("Text")
_COUNTS: dict[str, Schema] = {"error_count": COUNT, "warning_count": COUNT, "info_count": COUNT}


def _verb(name: str, summary: str, answer: Schema, *errors: int, **fields: Schema) -> Route:
    body = request_object(fields, toml_content=WORKFLOW_TEXT) if fields else TEXT_BODY
    return Route(
        "POST", f"/api/workflows/{name}", name.replace("-", "") + "Text", summary, TAG,
        ok(answer), body=body, errors=errors,
    )  # fmt: skip


ROUTES = (
    _verb(
        "validate",
        "Whether a text can run; what is wrong is in the answer",
        answer_object(
            valid=FLAG,
            errors=list_of(TEXT),
            rules_count=nullable(COUNT),
            edges_count=nullable(COUNT),
        ),
    ),
    _verb(
        "parse",
        "The workflow and its rules as written",
        answer_object(
            name=TEXT,
            version=TEXT,
            description=nullable(TEXT),
            author=nullable(TEXT),
            rules_count=COUNT,
            rules=list_of(ref("Rule")),
            includes=list_of(TEXT),
        ),
    ),
    _verb(
        "dag",
        "The graph of rules as DOT",
        answer_object(dot=TEXT, nodes=COUNT, edges=COUNT),
    ),
    _verb(
        "dry-run",
        "What a run would do, in order",
        ref("DryRun"),
        config=ref("RunConfig"),
    ),
    _verb("format", "The text in its canonical form", answer_object(formatted=TEXT), 503),
    _verb(
        "lint",
        "Every error and advice",
        answer_object(diagnostics=list_of(ref("Diagnostic")), **_COUNTS),
    ),
    Route(
        "POST",
        "/api/workflows/lint/paginated",
        "lintTextByPages",
        "Errors and advice by pages",
        TAG,
        ok(
            answer_object(
                diagnostics=list_of(ref("Diagnostic")),
                pagination=answer_object(
                    page=COUNT,
                    per_page=COUNT,
                    total_items=COUNT,
                    total_pages=COUNT,
                    has_next=FLAG,
                    has_prev=FLAG,
                ),
                summary=ref("Counts"),
            )
        ),
        body=TEXT_BODY,
        query=(
            Query("page", "Which page, from 1.", WHOLE),
            Query("per_page", "How many on a page, clamped to 1 to 100; 20 when absent.", WHOLE),
        ),
    ),
    _verb(
        "stats",
        "The workflow in figures",
        answer_object(
            rule_count=COUNT,
            shell_rules=COUNT,
            script_rules=COUNT,
            dependency_count=COUNT,
            parallel_groups=COUNT,
            max_depth=COUNT,
            environments=list_of(TEXT),
            total_threads=COUNT,
            wildcard_count=COUNT,
            wildcard_names=list_of(TEXT),
        ),
    ),
    Route(
        "POST",
        "/api/workflows/diff",
        "diffTexts",
        "What two texts mean differently",
        TAG,
        ok(
            answer_object(
                diff_count=COUNT,
                diffs=list_of(answer_object(category=TEXT, description=TEXT)),
            )
        ),
        body=request_object(toml_a=WORKFLOW_TEXT, toml_b=WORKFLOW_TEXT),
    ),
    _verb(
        "export",
        "A recipe of an image: docker (default) or singularity",
        answer_object(format=one_of("docker", "singularity"), content=TEXT),
        format=TEXT,
    ),
    _verb(
        "clean",
        "The outputs that cleaning would remove; removes nothing",
        answer_object(workflow_name=TEXT, files_to_clean=list_of(TEXT), total_files=COUNT),
    ),
    Route(
        "POST",
        "/api/reports/generate",
        "report",
        "A report on a text: html (default) or json",
        "reports",
        {200: Answer("The report", ref("Report"), (JSON, HTML))},
        optional_login=True,
        body=request_object(
            {
                "format": TEXT,
                "toml_content": WORKFLOW_TEXT,
                "run_id": {**TEXT, "description": "Report on this own run instead of a text."},
            }
        ),
        errors=(401, 404, 503),
    ),
)
