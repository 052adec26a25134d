"""Hold the schemas that have a name in the contract, because several routes use them."""

from __future__ import annotations

from collections.abc import Mapping

from oxoflow.graph.document import KINDS
from oxoflow.openapi.shapes import (
    ANYTHING,
    COUNT,
    FLAG,
    FREE,
    INSTANT,
    NUMBER,
    TEXT,
    UUID,
    WHOLE,
    WORKFLOW_TEXT,
    Schema,
    answer_object,
    list_of,
    map_of,
    nullable,
    one_of,
    ref,
    request_object,
    whole,
)

ROLE = one_of("admin", "user", "viewer")
RUN_STATUS = one_of("pending", "running", "success", "failed", "cancelled")
PHASE = one_of("queued", "starting", "running", "paused", "cancelling")
JOB_STATUS = one_of(
    "pending", "running", "success", "failed", "skipped", "blocked", "cancelled"
)  # fmt: skip
SEVERITY = one_of("error", "warning", "info")
ENCODED_PATH = {
    "encoded_path": {**TEXT, "description": "How a URL names it; only of a path that is no UTF-8."}
}
COMPLETE: Schema = {
    **nullable(FLAG),
    "description": "Whether the job that makes it is done and the file was verified; null: unknown,"
    " as of a file that no rule declares.",
}

_TO_EXECUTE: dict[str, Schema] = {
    "variables": FREE,
    "options": request_object({"continue_on_error": FLAG}),
}
_COUNTS: dict[str, Schema] = {"error_count": COUNT, "warning_count": COUNT, "info_count": COUNT}
_RUN: dict[str, Schema] = {
    "id": UUID,
    "user_id": UUID,
    "workflow_name": TEXT,
    "status": RUN_STATUS,
    "pid": nullable(WHOLE),
    "started_at": nullable(INSTANT),
    "finished_at": nullable(INSTANT),
    "phase": nullable(PHASE),
    "created_at": INSTANT,
}
_WORKFLOW: dict[str, Schema] = {
    "id": UUID,
    "name": TEXT,
    "version": TEXT,
    "rules_count": COUNT,
    "created_at": INSTANT,
    "updated_at": INSTANT,
}

GRAPHS: dict[str, Schema] = {
    "Graph": {
        "type": "object",
        "description": "An OxiFY workflow: nodes and the edges between them.",
        "properties": {
            "metadata": ref("GraphMetadata"),
            "nodes": list_of(ref("GraphNode")),
            "edges": list_of(ref("GraphEdge")),
        },
        "required": ["metadata", "nodes", "edges"],
    },
    "GraphMetadata": answer_object(
        id=UUID,
        name=TEXT,
        description=nullable(TEXT),
        version=TEXT,
        created_at=TEXT,
        updated_at=TEXT,
        tags=list_of(TEXT),
        parent_id=nullable(UUID),
        change_description=nullable(TEXT),
        schedule=nullable(FREE),
    ),
    "GraphNode": answer_object(
        id=UUID,
        name=TEXT,
        kind=answer_object({"config": FREE}, type=one_of(*KINDS)),
        position=nullable(list_of(NUMBER, minItems=2, maxItems=2)),
        retry_config=nullable(FREE),
        timeout_config=nullable(FREE),
    ),
    "GraphEdge": {
        "type": "object",
        "properties": {
            "id": UUID,
            "from": UUID,
            "to": UUID,
            "label": nullable(TEXT),
            "condition": nullable(TEXT),
        },
        "required": ["id", "from", "to", "label", "condition"],
        "additionalProperties": False,
    },
    "ExecutionState": {
        "description": "A word, or the reason of a failure.",
        "anyOf": [
            one_of("Running", "Completed", "Cancelled", "Paused"),
            answer_object(Failed=TEXT),
        ],
    },
    "ExecutionRequest": request_object(_TO_EXECUTE),
    "BatchExecution": request_object(_TO_EXECUTE, workflow_id=TEXT),
    "ExecutionSummary": answer_object(
        execution_id=UUID,
        workflow_id=UUID,
        state=ref("ExecutionState"),
        started_at=nullable(INSTANT),
        completed_at=nullable(INSTANT),
    ),
    "Executions": answer_object(executions=list_of(ref("ExecutionSummary")), total=COUNT),
    "NodeExecutionResult": answer_object(
        node_id=TEXT,
        node_name=TEXT,
        kind=TEXT,
        started_at=INSTANT,
        completed_at=nullable(INSTANT),
        result=ANYTHING,
        retry_count=COUNT,
        metrics=nullable(FREE),
    ),
    "Execution": answer_object(
        execution_id=UUID,
        workflow_id=UUID,
        state=ref("ExecutionState"),
        variables=FREE,
        node_results=list_of(ref("NodeExecutionResult")),
    ),
    "Finding": answer_object(code=TEXT, message=TEXT, node_id=nullable(TEXT)),
    "GraphVersion": answer_object(
        id=UUID,
        workflow_id=UUID,
        version=COUNT,
        description=nullable(TEXT),
        workflow_name=TEXT,
        created_at=INSTANT,
        created_by=TEXT,
    ),
    "Approval": answer_object(
        id=UUID,
        execution_id=UUID,
        node_id=TEXT,
        description=nullable(TEXT),
        timeout_seconds=nullable(WHOLE),
        status=one_of("Pending", "Approved", "Rejected", "TimedOut"),
        requested_at=INSTANT,
        message=TEXT,
        approvers=list_of(TEXT),
        context_data=ANYTHING,
        resolved_at=nullable(INSTANT),
        resolved_by=nullable(TEXT),
        comments=nullable(TEXT),
    ),
    "Form": answer_object(
        id=UUID,
        execution_id=UUID,
        node_id=TEXT,
        description=nullable(TEXT),
        timeout_seconds=nullable(WHOLE),
        status=one_of("Pending", "Submitted", "TimedOut"),
        requested_at=INSTANT,
        title=TEXT,
        fields=list_of(FREE),
        allowed_submitters=list_of(TEXT),
        submitted_at=nullable(INSTANT),
        submitted_by=nullable(TEXT),
        form_data=nullable(FREE),
    ),
    "Checkpoint": answer_object(
        id=TEXT,
        workflow_id=UUID,
        execution_id=UUID,
        completed_nodes_count=COUNT,
        current_level=COUNT,
        paused=FLAG,
        reason=TEXT,
        created_at=INSTANT,
    ),
    "Collection": answer_object(
        name=TEXT, dimension=COUNT, provider=TEXT, vector_count=COUNT, created_at=INSTANT
    ),
    "ToolServer": answer_object(
        server_id=TEXT,
        transport_type=one_of("http", "stdio"),
        health=TEXT,
        weight=WHOLE,
        tags=list_of(TEXT),
        metrics=FREE,
    ),
    "OxifyLogin": answer_object(
        access_token=TEXT,
        token_type=TEXT,
        expires_in=WHOLE,
        user=answer_object(id=UUID, email=TEXT, name=TEXT, roles=list_of(TEXT)),
    ),
}
SCHEMAS: Mapping[str, Schema] = {
    "Error": answer_object(error=TEXT, detail=nullable(TEXT)),
    "RateError": answer_object({"retry_after_secs": COUNT}, error=TEXT, detail=nullable(TEXT)),
    "OxifyError": answer_object(error=TEXT, message=TEXT),
    **GRAPHS,
    "Text": request_object(toml_content=WORKFLOW_TEXT),
    "RunConfig": request_object(
        {"max_jobs": whole(1, 10_000), "dry_run": FLAG, "keep_going": FLAG}
    ),
    "Diagnostic": answer_object(
        {"file": TEXT},  # only for what stands in an included file
        severity=SEVERITY,
        code=TEXT,
        message=TEXT,
        rule=nullable(TEXT),
        suggestion=nullable(TEXT),
        line=nullable(COUNT),
        column=nullable(COUNT),
    ),
    "Counts": answer_object(**_COUNTS),
    "Rule": answer_object(
        name=TEXT,
        inputs=list_of(TEXT),
        outputs=list_of(TEXT),
        environment=TEXT,
        threads=COUNT,
    ),
    "DryRun": answer_object(
        status=answer_object(
            id=UUID,
            status=one_of("dry-run"),
            rules_total=COUNT,
            rules_completed=COUNT,
            started_at=INSTANT,
        ),
        execution_order=list_of(TEXT),
        rules=list_of(ref("Rule")),
        config=answer_object(
            max_jobs=nullable(WHOLE), dry_run=nullable(FLAG), keep_going=nullable(FLAG)
        ),
        jobs=list_of(answer_object(job=TEXT, rule=TEXT, command=nullable(TEXT))),
        jobs_total=COUNT,
        warnings=list_of(TEXT),
    ),
    "ReportSection": answer_object(
        title=TEXT,
        id=TEXT,
        content=ref("ReportContent"),
        subsections=list_of({"$ref": "#/components/schemas/ReportSection"}),
    ),
    "ReportContent": {
        "type": "object",
        "properties": {"type": TEXT},
        "required": ["type"],
    },
    "Report": answer_object(
        title=TEXT,
        generated_at=INSTANT,
        workflow_name=TEXT,
        workflow_version=TEXT,
        sections=list_of(ref("ReportSection")),
        metadata=map_of(TEXT),
    ),
    "Workflow": answer_object(**_WORKFLOW),
    "SavedWorkflow": answer_object(**_WORKFLOW, toml_content=TEXT, revision=COUNT, has_bundle=FLAG),
    "Revision": answer_object(
        revision=COUNT, name=TEXT, version=TEXT, rules_count=COUNT, created_at=INSTANT
    ),
    "User": answer_object(
        id=UUID,
        username=TEXT,
        role=ROLE,
        auth_type=one_of("environment", "password", "proxy", "builtin"),
        disabled=FLAG,
        created_at=INSTANT,
        updated_at=INSTANT,
    ),
    "Key": answer_object(
        {"key": TEXT},
        id=UUID,
        name=TEXT,
        scope=one_of("read", "write", "admin"),
        created_at=INSTANT,
        expires_at=nullable(INSTANT),
        last_used_at=nullable(INSTANT),
        revoked=FLAG,
    ),
    "AuditEntry": answer_object(
        id=COUNT,
        timestamp=INSTANT,
        user=nullable(TEXT),
        action=TEXT,
        resource=TEXT,
        result=one_of("success", "failure"),
        address=nullable(TEXT),
        request_id=nullable(TEXT),
        detail=nullable(TEXT),
        hash=TEXT,
    ),
    "Run": answer_object(**_RUN),
    "Process": answer_object({"signal": nullable(TEXT)}, pid=WHOLE, name=TEXT),
    "RunDetail": answer_object(
        **_RUN,
        log_tail=nullable(TEXT),
        output_files=list_of(TEXT),
        outputs=list_of(ref("Output")),
        outputs_truncated=FLAG,
        exit_code=nullable(WHOLE),
        error=nullable(TEXT),
        rules_total=COUNT,
        threads=nullable(COUNT),
        jobs=map_of(COUNT),
        queue=nullable(answer_object(position=COUNT, reason=TEXT)),
        cancel=nullable(answer_object(ended=list_of(ref("Process")), left=COUNT)),
        retry_of=nullable(UUID),
        tags=list_of(TEXT),
    ),
    "File": answer_object(ENCODED_PATH, path=TEXT, size_bytes=COUNT, modified_at=INSTANT),
    "Output": answer_object(
        ENCODED_PATH,
        path=TEXT,
        size_bytes=COUNT,
        modified_at=INSTANT,
        rule=nullable(TEXT),
        declared=FLAG,
        complete=COMPLETE,
    ),
    "Plan": answer_object(
        schema_version=COUNT,
        jobs=list_of(
            answer_object(
                job=TEXT,
                rule=TEXT,
                verdict=one_of("run", "skip", "check", "blocked"),
                reasons=list_of(answer_object(part=TEXT, old=nullable(TEXT), new=nullable(TEXT))),
                command=nullable(TEXT),
                inputs=list_of(TEXT),
                outputs=list_of(TEXT),
            )
        ),
        summary=map_of(COUNT),
    ),
    "Retried": answer_object(
        run_id=UUID,
        status=one_of("started"),
        execution_order=list_of(TEXT),
        rules_total=COUNT,
        retry_of=UUID,
    ),
    "Files": answer_object(files=list_of(ref("File")), total_bytes=COUNT, truncated=FLAG),
    "Upload": answer_object(name=TEXT, size_bytes=COUNT, modified_at=INSTANT),
    "Job": answer_object(
        id=COUNT,
        job=TEXT,
        rule=TEXT,
        status=JOB_STATUS,
        verdict=nullable(TEXT),
        attempt=nullable(COUNT),
        exit_code=nullable(WHOLE),
        started_at=nullable(INSTANT),
        finished_at=nullable(INSTANT),
        duration_secs=nullable(NUMBER),
        cpu_secs=nullable(NUMBER),
        peak_mb=nullable(NUMBER),
        read_bytes=nullable(COUNT),
        written_bytes=nullable(COUNT),
        reason=nullable(TEXT),
        error=nullable(TEXT),
        stderr_tail=nullable(TEXT),
    ),
    "Launched": answer_object(
        run_id=UUID, status=one_of("started"), execution_order=list_of(TEXT), rules_total=COUNT
    ),
    "Cancelled": answer_object(
        status=one_of("cancelled", "cancelling"),
        ended=list_of(ref("Process")),
        left=nullable(COUNT),
    ),
}
