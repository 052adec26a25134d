"""Describe the routes of OxiFY graphs (spec/oxify-api.md 1), which are published as 3.0.3 too."""

from __future__ import annotations

from typing import Any

from oxoflow.openapi.route import JSON, STREAM, Answer, Query, Route, ok
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
    Schema,
    answer_object,
    list_of,
    map_of,
    nullable,
    ref,
    request_object,
    whole,
)

TAG, TITLE = "oxify", "OxiFY API"
LONGEST_TEST_MS = 600_000
PAGING = (
    Query("limit", "At most so many; all when absent.", WHOLE),
    Query("offset", "How many to leave out at the beginning.", WHOLE),
)
MAX_CONCURRENT: Schema = {
    "type": "integer",
    "minimum": 1,
    "default": 10,
    "description": "So many of them have started and are not over; the others wait in order.",
}
MESSAGE = answer_object(message=TEXT)


def batch(**item: Schema) -> Schema:
    """The answer of a request that does many things."""
    return answer_object(
        results=list_of(answer_object(**item)), total=COUNT, succeeded=COUNT, failed=COUNT
    )


def route(
    method: str, path: str, name: str, summary: str, answers: dict[int, Answer], **more: Any
) -> Route:
    """A route of this API: open on plain loopback, else for viewers to read and users to write."""
    more.setdefault("role", "viewer" if method == "GET" else "user")
    return Route(method, path, name, summary, TAG, answers, oxify=True, **more)


GRAPH = "/api/v1/workflows/{workflow_id}"
EXECUTION = "/api/v1/executions/{execution_id}"
IN_GRAPH = request_object(workflow=FREE)
EACH_BY_ITSELF = list_of(ANYTHING, minItems=1, maxItems=100)  # what is wrong with one, it answers
IDS = list_of(UUID, minItems=1, maxItems=100)
SUCCESS = answer_object(success=FLAG, message=TEXT)

GRAPH_ROUTES = (
    route("POST", "/api/v1/workflows", "createGraph", "Save a graph",
          ok(answer_object(id=UUID, message=TEXT), "Saved", 201), body=IN_GRAPH, errors=(409,)),
    route("GET", "/api/v1/workflows", "listGraphs", "All graphs, the oldest first",
          ok(answer_object(workflows=list_of(ref("Graph")), total=COUNT)), query=PAGING),
    route("GET", GRAPH, "getGraph", "One graph", ok(answer_object(workflow=ref("Graph"))),
          errors=(400,)),
    route("PUT", GRAPH, "replaceGraph", "Replace a graph", ok(MESSAGE), body=IN_GRAPH),
    route("DELETE", GRAPH, "deleteGraph", "Delete a graph; its executions stay", ok(MESSAGE),
          errors=(400,)),
    route("POST", "/api/v1/workflows/validate", "validateGraph", "All that is wrong with a graph",
          ok(answer_object(valid=FLAG, errors=list_of(ref("Finding")),
                           warnings=list_of(ref("Finding")), stats=FREE)), body=IN_GRAPH),
    route("POST", "/api/v1/workflows/batch", "createGraphs", "Save up to 100 graphs",
          ok(batch(index=COUNT, id=nullable(UUID), success=FLAG, error=nullable(TEXT))),
          body=request_object({"atomic": FLAG}, workflows=EACH_BY_ITSELF), errors=(409,)),
    route("DELETE", "/api/v1/workflows/batch", "deleteGraphs", "Delete up to 100 graphs",
          ok(batch(id=UUID, success=FLAG, error=nullable(TEXT))),
          body=request_object({"atomic": FLAG}, ids=IDS), errors=(404,)),
    route("POST", "/api/v1/workflows/batch/get", "getGraphs", "Up to 100 graphs by their ids",
          ok(answer_object(
              results=list_of(answer_object(id=UUID, workflow=nullable(FREE), found=FLAG)),
              total=COUNT, found=COUNT)),
          body=request_object(ids=IDS)),
    route("GET", GRAPH + "/export", "exportGraph", "A graph as a file",
          {200: Answer("The file", ref("Graph"), (JSON, "application/x-yaml"))},
          query=(Query("format", "json or yaml; json when absent.", TEXT),)),
    route("POST", "/api/v1/workflows/import", "importGraph", "Save a graph from a file's text",
          ok(answer_object(id=UUID, name=TEXT, message=TEXT), "Saved", 201),
          body=request_object({"generate_new_id": FLAG, "new_name": TEXT}, content=TEXT,
                              format=TEXT), errors=(409,)),
    route("POST", GRAPH + "/versions", "saveVersion", "Keep a graph as it is",
          ok(answer_object(id=UUID, version=COUNT, message=TEXT), "Kept", 201),
          body=request_object({"description": TEXT}), body_required=False),
    route("GET", GRAPH + "/versions", "listVersions", "The versions of a graph",
          ok(answer_object(versions=list_of(ref("GraphVersion")), total=COUNT)), errors=(400,)),
    route("GET", GRAPH + "/versions/compare", "compareVersions", "What differs, in numbers",
          ok(answer_object(
              version1=COUNT, version2=COUNT, nodes_added=COUNT, nodes_removed=COUNT,
              edges_added=COUNT, edges_removed=COUNT, name_changed=FLAG,
              description_changed=FLAG)),
          query=(Query("v1", "The number of the first.", TEXT),
                 Query("v2", "The number of the second.", TEXT))),
    route("GET", GRAPH + "/versions/{version}", "getVersion", "One version with its document",
          ok(answer_object(
              id=UUID, workflow_id=UUID, version=COUNT, description=nullable(TEXT),
              created_at=INSTANT, created_by=TEXT, workflow=ref("Graph"))), errors=(400,)),
    route("POST", GRAPH + "/versions/{version}/restore", "restoreVersion",
          "Make a graph what it was", ok(answer_object(message=TEXT, new_version=COUNT)),
          errors=(400,)),
)  # fmt: skip
EXECUTION_ROUTES = (
    route("POST", GRAPH + "/execute", "executeGraph", "Start an execution",
          ok(answer_object(execution_id=UUID, message=TEXT), "Started", 202),
          body=ref("ExecutionRequest"), body_required=False),
    route("POST", GRAPH + "/test", "testGraph", "Execute, wait, and compare the answer",
          ok(answer_object(
              passed=FLAG, execution_id=UUID, output=nullable(TEXT),
              expected_output=nullable(TEXT), execution_time_ms=COUNT, error=nullable(TEXT))),
          body=request_object({"inputs": FREE, "expected_output": TEXT,
                               "timeout_ms": whole(1, LONGEST_TEST_MS)}),
          body_required=False, errors=(503,)),
    route("POST", "/api/v1/executions/batch", "executeGraphs", "Start up to 50 executions",
          ok(batch(index=COUNT, workflow_id=nullable(TEXT), execution_id=nullable(UUID),
                   success=FLAG, error=nullable(TEXT))),
          body=request_object({"max_concurrent": MAX_CONCURRENT}, executions={
              **list_of({"anyOf": [ref("BatchExecution"), ANYTHING]}, minItems=1, maxItems=50),
              "description": "Each succeeds or fails by itself, also one of another shape."})),
    route("GET", "/api/v1/executions", "listExecutions", "All executions, the latest first",
          ok(ref("Executions")), query=PAGING),
    route("GET", GRAPH + "/executions", "listExecutionsOfGraph", "The executions of one graph",
          ok(ref("Executions")), query=PAGING),
    route("GET", EXECUTION, "getExecution", "One execution with variables and results",
          ok(ref("Execution")), errors=(400,)),
    route("GET", EXECUTION + "/stream", "streamExecution", "One execution as it goes",
          {200: Answer("Frames until the final state", None, (STREAM,))},
          query=(Query("events", "Named frames of these types.", TEXT),
                 Query("heartbeat", "Named frames, with or without heartbeats.", TEXT),
                 Query("heartbeat_interval", "Seconds between heartbeats.", TEXT),
                 Query("Last-Event-ID", "The last frame that was seen.", TEXT, "header")),
          errors=(503,)),
    route("POST", EXECUTION + "/cancel", "cancelExecution", "End an execution",
          ok(answer_object(message=TEXT, execution_id=UUID, state=TEXT)), errors=(400,)),
    route("POST", EXECUTION + "/pause", "pauseExecution", "Start no further node",
          ok(answer_object(checkpoint_id=UUID, message=TEXT)),
          body=request_object({"reason": TEXT}), body_required=False),
    route("POST", EXECUTION + "/resume", "resumeExecution", "Go on",
          ok(answer_object(execution_id=UUID, message=TEXT), "Going on", 202), errors=(400,)),
    route("GET", EXECUTION + "/checkpoints", "listCheckpoints", "When it was paused",
          ok(answer_object(checkpoints=list_of(ref("Checkpoint")), total=COUNT)), errors=(400,)),
    route("DELETE", EXECUTION + "/checkpoints", "deleteCheckpoints", "Forget the checkpoints",
          ok(answer_object(deleted_count=COUNT, message=TEXT)), errors=(400,)),
    route("GET", "/api/v1/approvals", "listApprovals", "Approvals that wait",
          ok(list_of(ref("Approval")))),
    route("GET", EXECUTION + "/approvals", "listApprovalsOfExecution", "Approvals that wait",
          ok(list_of(ref("Approval"))), errors=(400,)),
    route("GET", "/api/v1/approvals/{approval_id}", "getApproval", "One approval",
          ok(ref("Approval")), errors=(400,)),
    route("POST", "/api/v1/approvals/{approval_id}/approve", "approve", "Say yes", ok(SUCCESS),
          body=request_object({"comments": TEXT}), body_required=False),
    route("POST", "/api/v1/approvals/{approval_id}/reject", "reject", "Say no", ok(SUCCESS),
          body=request_object({"comments": TEXT}), body_required=False),
    route("GET", "/api/v1/forms", "listForms", "Forms that wait", ok(list_of(ref("Form")))),
    route("GET", EXECUTION + "/forms", "listFormsOfExecution", "Forms that wait",
          ok(list_of(ref("Form"))), errors=(400,)),
    route("GET", "/api/v1/forms/{form_id}", "getForm", "One form", ok(ref("Form")),
          errors=(400,)),
    route("POST", "/api/v1/forms/{form_id}/submit", "submitForm", "Fill a form in", ok(SUCCESS),
          body=request_object(form_data=FREE)),
)  # fmt: skip
COLLECTION = "/api/v1/vectors/collections/{name}"
OTHER_ROUTES = (
    route("POST", "/api/v1/vectors/collections", "createCollection", "Make a collection",
          ok(ref("Collection"), "Made", 201),
          body=request_object({"config": ANYTHING}, name=TEXT, dimension=whole(0, 8192),
                              provider=TEXT),
          errors=(409,)),
    route("GET", "/api/v1/vectors/collections", "listCollections", "One's own collections",
          ok(list_of(ref("Collection")))),
    route("GET", COLLECTION, "getCollection", "One collection", ok(ref("Collection"))),
    route("DELETE", COLLECTION, "deleteCollection", "Remove a collection",
          {204: Answer("Removed", None, ())}),
    route("POST", COLLECTION + "/vectors", "addVectors", "Add entries",
          {201: Answer("Added", None, ())}, body=request_object(vectors=list_of(
              request_object({"metadata": FREE}, id=TEXT, vector=list_of(NUMBER)),
              minItems=1, maxItems=1000))),
    route("POST", COLLECTION + "/search", "searchVectors", "The nearest entries",
          ok(list_of(answer_object(id=TEXT, score=NUMBER, metadata=FREE))),
          body=request_object({"filter": FREE, "score_threshold": NUMBER},
                              query=list_of(NUMBER), top_k=whole(1, 1000))),
    route("DELETE", COLLECTION + "/vectors/{entry_id}", "deleteVector", "Remove an entry",
          {204: Answer("Removed", None, ())}),
    route("GET", "/api/v1/mcp/servers", "listToolServers", "One's own tool servers",
          ok(answer_object(servers=list_of(ref("ToolServer"))))),
    route("POST", "/api/v1/mcp/servers/register", "registerToolServer", "Register a tool server",
          ok(answer_object(server_id=TEXT, message=TEXT), "Registered", 201),
          body=request_object(
              {"endpoint": TEXT, "command": list_of(TEXT, minItems=1, maxItems=100),
               "weight": WHOLE, "tags": list_of(TEXT)},
              server_id=TEXT, server_type=TEXT), errors=(409,)),
    route("DELETE", "/api/v1/mcp/servers/unregister", "unregisterToolServer",
          "Forget a tool server", ok(answer_object(server_id=TEXT, message=TEXT)),
          body=request_object(server_id=TEXT), errors=(404,)),
    route("POST", "/api/v1/auth/register", "oxifyRegister", "Make an account",
          ok(ref("OxifyLogin"), "Made", 201), role="admin",
          body=request_object({"name": TEXT}, email=TEXT, password=TEXT), errors=(409,)),
    route("POST", "/api/v1/auth/login", "oxifyLogin", "Open a session", ok(ref("OxifyLogin")),
          role=None, body=request_object(email=TEXT, password=TEXT), errors=(401,)),
    route("GET", "/api/v1/auth/me", "oxifyMe", "The account behind the token",
          ok(answer_object(id=UUID, email=TEXT, name=TEXT, roles=list_of(TEXT)))),
    route("GET", "/health", "oxifyHealth", "Whether the server answers",
          ok(answer_object(status=TEXT, version=TEXT)), role=None),
    route("GET", "/livez", "oxifyAlive", "Whether the process lives",
          ok(answer_object(status=TEXT)), role=None),
    route("GET", "/readyz", "oxifyReady", "Whether the database answers too",
          ok(answer_object(status=TEXT)), role=None, errors=(503,)),
    route("GET", "/api-docs/openapi.json", "oxifyContract", "This document", ok(map_of(ANYTHING)),
          role=None),
)  # fmt: skip
ROUTES: tuple[Route, ...] = (*GRAPH_ROUTES, *EXECUTION_ROUTES, *OTHER_ROUTES)
