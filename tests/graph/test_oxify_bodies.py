"""Every request body of the graph routes, as written here by hand, against the contract.

What the table says of a body must be in its schema: loosening a schema lets one of these through.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from oxoflow.openapi.contract import BODY_CHECKS
from oxoflow.openapi.oxify import ROUTES
from tests.graph.building import line

NOBODY = "00000000-0000-4000-8000-000000000000"
PATHS = dict.fromkeys(("workflow_id", "execution_id", "approval_id", "form_id", "name"), NOBODY) | {
    "version": "1"
}
GRAPH, V1 = "/api/v1/workflows/{workflow_id}", "/api/v1"
CREDENTIALS = {"email": "ann@lab.example", "password": "long enough"}
EXECUTE = {"variables": {"x": 1}, "options": {"continue_on_error": True}}

# Method and path to the members that must be there, and those that may.
BODIES: dict[tuple[str, str], tuple[dict[str, Any], dict[str, Any]]] = {
    ("POST", f"{V1}/workflows"): ({"workflow": {}}, {}),
    ("PUT", GRAPH): ({"workflow": {}}, {}),
    ("POST", f"{V1}/workflows/validate"): ({"workflow": {}}, {}),
    ("POST", f"{V1}/workflows/batch"): ({"workflows": [{}]}, {"atomic": False}),
    ("DELETE", f"{V1}/workflows/batch"): ({"ids": [NOBODY]}, {"atomic": False}),
    ("POST", f"{V1}/workflows/batch/get"): ({"ids": [NOBODY]}, {}),
    ("POST", f"{V1}/workflows/import"): (
        {"content": "{}", "format": "json"}, {"generate_new_id": True, "new_name": "n"},
    ),
    ("POST", f"{GRAPH}/versions"): ({}, {"description": "first"}),
    ("POST", f"{GRAPH}/execute"): ({}, EXECUTE),
    ("POST", f"{GRAPH}/test"): (
        {}, {"inputs": {"x": 1}, "expected_output": "1", "timeout_ms": 1000},
    ),
    ("POST", f"{V1}/executions/batch"): ({"executions": [{}]}, {"max_concurrent": 2}),
    ("POST", f"{V1}/executions/{{execution_id}}/pause"): ({}, {"reason": "lunch"}),
    ("POST", f"{V1}/approvals/{{approval_id}}/approve"): ({}, {"comments": "fine"}),
    ("POST", f"{V1}/approvals/{{approval_id}}/reject"): ({}, {"comments": "no"}),
    ("POST", f"{V1}/forms/{{form_id}}/submit"): ({"form_data": {"vol": 5}}, {}),
    ("POST", f"{V1}/vectors/collections"): (
        {"name": "sops", "dimension": 2, "provider": "sqlite"}, {},
    ),
    ("POST", f"{V1}/vectors/collections/{{name}}/vectors"): (
        {"vectors": [{"id": "a", "vector": [1.0, 2]}]}, {},
    ),
    ("POST", f"{V1}/vectors/collections/{{name}}/search"): (
        {"query": [1.0, 2], "top_k": 3}, {"filter": {"kind": "b"}, "score_threshold": 0.5},
    ),
    ("POST", f"{V1}/mcp/servers/register"): (
        {"server_id": "calc", "server_type": "stdio"},
        {"endpoint": "http://x", "command": ["calc"], "weight": 2, "tags": ["a"]},
    ),
    ("DELETE", f"{V1}/mcp/servers/unregister"): ({"server_id": "calc"}, {}),
    ("POST", f"{V1}/auth/register"): (CREDENTIALS, {"name": "Ann"}),
    ("POST", f"{V1}/auth/login"): (CREDENTIALS, {}),
}  # fmt: skip
# What has the right type and does not fit.
BAD: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("POST", f"{V1}/workflows/batch", {"workflows": []}),
    ("POST", f"{V1}/workflows/batch", {"workflows": [{}] * 101}),
    ("DELETE", f"{V1}/workflows/batch", {"ids": [NOBODY] * 101}),
    ("DELETE", f"{V1}/workflows/batch", {"ids": [5]}),
    ("POST", f"{V1}/workflows/batch/get", {"ids": []}),
    ("POST", f"{V1}/workflows/batch/get", {"ids": [NOBODY, None]}),
    ("POST", f"{GRAPH}/execute", {"options": {"continue_on_error": "yes"}}),
    ("POST", f"{GRAPH}/test", {"timeout_ms": 0}),
    ("POST", f"{GRAPH}/test", {"timeout_ms": 600_001}),
    ("POST", f"{GRAPH}/test", {"timeout_ms": 5.5}),
    ("POST", f"{V1}/executions/batch", {"executions": []}),
    ("POST", f"{V1}/executions/batch", {"executions": [{}], "max_concurrent": 0}),
    ("POST", f"{V1}/executions/batch", {"executions": [{}] * 51}),
    ("POST", f"{V1}/vectors/collections", {"name": "s", "dimension": -1, "provider": "sqlite"}),
    ("POST", f"{V1}/vectors/collections", {"name": "s", "dimension": 8193, "provider": "sqlite"}),
    ("POST", f"{V1}/vectors/collections", {"name": "s", "dimension": True, "provider": "sqlite"}),
    ("POST", f"{V1}/vectors/collections/{{name}}/vectors", {"vectors": []}),
    ("POST", f"{V1}/vectors/collections/{{name}}/vectors", {"vectors": [5]}),
    ("POST", f"{V1}/vectors/collections/{{name}}/vectors", {"vectors": [{"vector": [1]}]}),
    ("POST", f"{V1}/vectors/collections/{{name}}/vectors", {"vectors": [{"id": "a"}]}),
    (
        "POST", f"{V1}/vectors/collections/{{name}}/vectors",
        {"vectors": [{"id": "a", "vector": ["x"]}]},
    ),
    (
        "POST", f"{V1}/vectors/collections/{{name}}/vectors",
        {"vectors": [{"id": "a", "vector": [1], "metadata": []}]},
    ),
    ("POST", f"{V1}/vectors/collections/{{name}}/search", {"query": [1], "top_k": 0}),
    ("POST", f"{V1}/vectors/collections/{{name}}/search", {"query": [1], "top_k": 1001}),
    ("POST", f"{V1}/vectors/collections/{{name}}/search", {"query": [True], "top_k": 1}),
    (
        "POST", f"{V1}/mcp/servers/register",
        {"server_id": "a", "server_type": "stdio", "command": [5]},
    ),
    (
        "POST", f"{V1}/mcp/servers/register",
        {"server_id": "a", "server_type": "stdio", "command": ["a"], "tags": [5]},
    ),
)  # fmt: skip


def wrong(value: Any) -> Any:
    """A value of another type than the given one has."""
    return "x" if not isinstance(value, str) else 5


def broken() -> Iterator[tuple[str, str, Any]]:
    """Bodies with one fault each."""
    for (method, path), (needed, more) in BODIES.items():
        yield method, path, []
        for name in needed:
            yield method, path, {key: value for key, value in needed.items() if key != name}
        for name, value in (needed | more).items():
            yield method, path, needed | {name: wrong(value)}
    yield from BAD


def test_the_table_has_every_body_of_the_graph_routes() -> None:
    assert set(BODIES) == {(route.method, route.path) for route in ROUTES if route.body is not None}


@pytest.mark.parametrize("key", sorted(BODIES))
def test_the_contract_takes_what_the_table_says(key: tuple[str, str]) -> None:
    needed, more = BODIES[key]
    for fits in (needed, needed | more, needed | dict.fromkeys(more), needed | {"unknown": 1}):
        assert BODY_CHECKS[key](fits, "") is None


@pytest.mark.parametrize(("method", "path", "body"), list(broken()))
def test_a_body_that_does_not_fit_is_refused_by_the_contract(
    admin: FlaskClient, method: str, path: str, body: Any
) -> None:
    said = BODY_CHECKS[method, path](body, "")
    assert said is not None
    answer = admin.open(path.format_map(PATHS), method=method, json=body)
    assert answer.status_code == 400
    assert answer.json == {"error": "ValidationError", "message": f"Invalid request body: {said}"}


def test_an_execution_of_a_batch_that_does_not_fit_fails_by_itself(client: FlaskClient) -> None:
    made: Any = client.post(f"{V1}/workflows", json={"workflow": line()}).json
    begins = {"workflow_id": made["id"]}
    unfit = {
        "the body must be an object": 5,
        "the field 'workflow_id' is missing": {},
        "the field 'variables' must be an object or null": begins | {"variables": []},
        "the field 'options' must be an object or null": begins | {"options": 5},
    }
    given = {"executions": [begins, *unfit.values()]}
    answer: Any = client.post(f"{V1}/executions/batch", json=given).json
    assert [result["success"] for result in answer["results"]] == [True] + [False] * len(unfit)
    for said, result in zip(unfit, answer["results"][1:], strict=True):
        assert result["error"] == f"Invalid execution: {said}"
