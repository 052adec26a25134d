"""The routes of saved graphs, without any execution; every answer is held to the contract."""

import json
import sqlite3
import uuid
from typing import Any

import pytest
import yaml
from flask.testing import FlaskClient
from msgspec.structs import replace

from oxoflow.db.graphs import find_graph, insert_graph
from oxoflow.graph.reading import parse_text
from oxoflow.graph.renewing import renewed
from oxoflow.graph.supplies import read_supplies
from oxoflow.graph.validate import read_graph
from oxoflow.openapi.contract import path_of
from oxoflow.web.services import Services
from tests.graph.building import code, document, if_else, line, node, node_id
from tests.web.conftest import MakeApp

NOBODY = "00000000-0000-4000-8000-000000000000"
MISSION = {
    "metadata": {
        "id": "550e8400-e29b-41d4-a716-446655440000",
        "name": "My RAG Workflow",
        "description": "Retrieval-Augmented Generation workflow",
        "version": "1.0.0",
        "tags": ["rag", "production"],
    },
    **{key: line()[key] for key in ("nodes", "edges")},
}


def save(client: FlaskClient, doc: Any) -> str:
    answer = client.post("/api/v1/workflows", json={"workflow": doc})
    assert answer.status_code == 201, answer.json
    return str(answer.json["id"])


def test_the_missions_sample_is_created_and_comes_back_with_dates(client: FlaskClient) -> None:
    answer = client.post("/api/v1/workflows", json={"workflow": MISSION})
    assert answer.status_code == 201
    assert answer.json == {
        "id": "550e8400-e29b-41d4-a716-446655440000",
        "message": "Workflow created successfully",
    }
    assert answer.headers["X-API-Version"] == "v1"
    found = client.get(f"/api/v1/workflows/{answer.json['id']}").json
    assert set(found) == {"workflow"}
    about = found["workflow"]["metadata"]
    assert about["created_at"].endswith("Z")
    assert {key: about[key] for key in MISSION["metadata"]} == MISSION["metadata"]
    assert all(uuid.UUID(edge["id"]) for edge in found["workflow"]["edges"])


def test_an_id_is_made_when_none_is_given_and_refused_when_taken(client: FlaskClient) -> None:
    made = save(client, line())
    assert uuid.UUID(made).version == 4
    save(client, MISSION)
    again = client.post("/api/v1/workflows", json={"workflow": MISSION})
    assert (again.status_code, again.json["error"]) == (409, "Conflict")


def test_lists_are_in_order_of_making_and_paged(client: FlaskClient) -> None:
    ids = [save(client, line(name=f"n{number}")) for number in range(3)]
    every = client.get("/api/v1/workflows").json
    assert [each["metadata"]["id"] for each in every["workflows"]] == ids
    assert every["total"] == 3
    paged = client.get("/api/v1/workflows?limit=1&offset=1").json
    assert [each["metadata"]["id"] for each in paged["workflows"]] == ids[1:2]
    assert paged["total"] == 3


def test_a_list_comes_whole_unless_a_part_is_asked_for(
    client: FlaskClient, services: Services
) -> None:
    def work(connection: sqlite3.Connection) -> None:
        row = find_graph(connection, None, first)
        assert row is not None
        for _ in range(1200):
            insert_graph(connection, replace(row, id=str(uuid.uuid4())))

    first = save(client, line())
    services.db.write(work)
    every = client.get("/api/v1/workflows").json
    assert (len(every["workflows"]), every["total"]) == (1201, 1201)
    part = client.get("/api/v1/workflows?limit=1100&offset=200").json
    assert (len(part["workflows"]), part["total"]) == (1001, 1201)
    assert client.get("/api/v1/workflows?limit=0").json["workflows"] == []


def test_a_put_replaces_all_but_id_and_creation(client: FlaskClient) -> None:
    made = save(client, line(code("Old", "1")))
    before = client.get(f"/api/v1/workflows/{made}").json["workflow"]["metadata"]
    new = line(name="New") | {"metadata": {"name": "New", "id": NOBODY}}
    answer = client.put(f"/api/v1/workflows/{made}", json={"workflow": new})
    assert (answer.status_code, answer.json) == (200, {"message": "Workflow updated successfully"})
    after = client.get(f"/api/v1/workflows/{made}").json["workflow"]
    assert after["metadata"]["id"] == made
    assert after["metadata"]["name"] == "New"
    assert after["metadata"]["created_at"] == before["created_at"]
    assert after["metadata"]["updated_at"] >= before["updated_at"]
    assert len(after["nodes"]) == 2


def test_a_put_is_judged_before_its_target_is_looked_for(client: FlaskClient) -> None:
    bad, good = document([], []), line()
    assert client.put(f"/api/v1/workflows/{NOBODY}", json={"workflow": bad}).status_code == 400
    assert client.put(f"/api/v1/workflows/{NOBODY}", json={"workflow": good}).status_code == 404


def test_a_deleted_graph_is_gone(client: FlaskClient) -> None:
    made = save(client, line())
    answer = client.delete(f"/api/v1/workflows/{made}")
    assert (answer.status_code, answer.json) == (200, {"message": "Workflow deleted successfully"})
    for verb in (client.get, client.delete):
        gone = verb(f"/api/v1/workflows/{made}")
        assert (gone.status_code, gone.json["error"]) == (404, "NotFound")


@pytest.mark.parametrize(
    ("content", "status", "error"),
    [
        (b"", 400, "ParseError"),
        (b"{", 400, "ParseError"),
        (b"[" * 50_000, 400, "ParseError"),
        (b'{"workflow": NaN}', 400, "ParseError"),
        (b"\xff", 400, "ParseError"),
        (b"[]", 400, "ValidationError"),
        (b"{}", 400, "ValidationError"),
        (b'{"workflow": 5}', 400, "ValidationError"),
        (b'{"workflow": {}}', 400, "ValidationError"),
        (b'{"workflow": {"metadata": {"name": "\\ud800"}}}', 400, "ValidationError"),
        (b" " * 3_000_000, 413, "PayloadTooLarge"),
    ],
)
def test_bad_bodies_are_answered_in_two_keys(
    client: FlaskClient, content: bytes, status: int, error: str
) -> None:
    answer = client.post("/api/v1/workflows", data=content, content_type="application/json")
    assert (answer.status_code, answer.json["error"]) == (status, error)
    assert set(answer.json) == {"error", "message"}


def test_a_body_needs_no_content_type(client: FlaskClient) -> None:
    content = json.dumps({"workflow": line()}).encode()
    assert client.post("/api/v1/workflows", data=content).status_code == 201


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "/api/v1/workflows/not-a-uuid", 400, "ValidationError"),
        ("GET", f"/api/v1/workflows/{NOBODY}", 404, "NotFound"),
        ("POST", f"/api/v1/workflows/{NOBODY}/execute", 404, "NotFound"),
        ("POST", "/api/v1/workflows/x/execute", 400, "ValidationError"),
        ("GET", f"/api/v1/executions/{NOBODY}", 404, "NotFound"),
        ("GET", f"/api/v1/executions/{NOBODY}/stream", 404, "NotFound"),
        ("POST", f"/api/v1/executions/{NOBODY}/cancel", 404, "NotFound"),
        ("POST", f"/api/v1/approvals/{NOBODY}/approve", 404, "NotFound"),
        ("GET", f"/api/v1/forms/{NOBODY}", 404, "NotFound"),
        ("GET", "/api/v1/nothing", 404, "NotFound"),
        ("PATCH", "/api/v1/workflows", 405, "MethodNotAllowed"),
        ("GET", "/api/v1/workflows?limit=many", 400, "ValidationError"),
        ("GET", "/swagger-ui", 404, "NotFound"),
    ],
)
def test_what_is_not_there_is_told_in_two_keys(
    client: FlaskClient, method: str, path: str, status: int, error: str
) -> None:
    answer = client.open(path, method=method)
    assert (answer.status_code, answer.json["error"]) == (status, error)
    assert set(answer.json) == {"error", "message"}
    assert answer.headers.getlist("X-API-Version") == ["v1"]


@pytest.mark.parametrize("word", ["batch", "import", "validate"])
def test_a_fixed_path_answers_to_its_own_methods_only(client: FlaskClient, word: str) -> None:
    answer = client.get(f"/api/v1/workflows/{word}")
    assert answer.status_code == 405
    assert "GET" not in answer.headers["Allow"]
    assert client.get(f"/api/v1/workflows/{word}ed").status_code == 400


def test_an_execution_takes_its_limits_from_the_settings(make_app: MakeApp) -> None:
    app = make_app(GRAPH_NODES="2", ALLOWED_HOSTS="api.lab.example")
    client = app.test_client()
    begun = client.post(f"/api/v1/workflows/{save(client, line())}/execute").json["execution_id"]
    services = app.extensions["oxoflow"]
    limits = read_supplies(services.workspace.run_directory("local", begun)).limits
    assert (limits.slots, limits.allowed_hosts) == (2, ("api.lab.example",))


def test_an_unknown_graph_has_an_empty_history(client: FlaskClient) -> None:
    answer = client.get(f"/api/v1/workflows/{NOBODY}/executions")
    assert answer.json == {"executions": [], "total": 0}


def test_health_and_life(client: FlaskClient) -> None:
    assert client.get("/health").json == {"status": "healthy", "version": "0.1.0"}
    assert client.get("/livez").json == {"status": "alive"}
    assert client.get("/readyz").json == {"status": "ready"}


def test_the_contract_is_openapi_30_and_names_every_route(client: FlaskClient) -> None:
    found = client.get("/api-docs/openapi.json").json
    assert found["openapi"] == "3.0.3"
    assert found["info"]["title"] == "OxiFY API"
    assert found["info"]["version"] == "0.1.0"
    served = {
        path_of(rule.rule)
        for rule in client.application.url_map.iter_rules()
        if rule.rule.startswith(("/api/v1/", "/health", "/livez", "/readyz", "/api-docs"))
    }
    assert set(found["paths"]) == served


def test_the_validate_route_lists_everything_and_saves_nothing(client: FlaskClient) -> None:
    broken = line(node("A", "Approval", {"message": ""}), code("C", "1", runtime="rhai"))
    broken["nodes"].pop(0)
    answer = client.post("/api/v1/workflows/validate", json={"workflow": broken})
    assert answer.status_code == 200
    assert answer.json["valid"] is False
    codes = [error["code"] for error in answer.json["errors"]]
    assert codes == ["NoStartNode", "InvalidNodeReference", "ApprovalEmptyMessage"]
    assert client.get("/api/v1/workflows").json["total"] == 0


def test_the_first_error_is_the_message(client: FlaskClient) -> None:
    broken = document([node("End", "End")], [])
    answer = client.post("/api/v1/workflows", json={"workflow": broken})
    assert answer.json == {
        "error": "ValidationError",
        "message": "Workflow must have at least one Start node",
    }


BRANCHED = document(
    [node("Start", "Start"), if_else("If", "x > 1", "A", "B"), code("A", "1"), code("B", "2"),
     node("End", "End")],
    ["Start If", "A End", "B End"],
)  # fmt: skip


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_export_and_import_under_new_ids_keep_branches(client: FlaskClient, form: str) -> None:
    made = save(client, BRANCHED)
    exported = client.get(f"/api/v1/workflows/{made}/export?format={form}")
    kind = {"json": "application/json", "yaml": "application/x-yaml"}[form]
    assert exported.content_type == kind
    assert exported.headers["Content-Disposition"] == (
        f'attachment; filename="workflow_{made}.{form}"'
    )
    text = exported.get_data(as_text=True)
    value = json.loads(text) if form == "json" else yaml.safe_load(text)
    assert value == client.get(f"/api/v1/workflows/{made}").json["workflow"]
    given = {"content": text, "format": form.upper(), "new_name": "Copy"}
    answer = client.post("/api/v1/workflows/import", json=given)
    assert answer.status_code == 201
    assert set(answer.json) == {"id", "name", "message"}
    assert answer.json["name"] == "Copy"
    copy = client.get(f"/api/v1/workflows/{answer.json['id']}").json["workflow"]
    ids = {each["name"]: each["id"] for each in copy["nodes"]}
    assert not set(ids.values()) & {node_id(name) for name in ids}
    branch = next(each for each in copy["nodes"] if each["name"] == "If")["kind"]["config"]
    assert (branch["true_branch"], branch["false_branch"]) == (ids["A"], ids["B"])
    assert {edge["from"] for edge in copy["edges"]} <= set(ids.values())


def test_an_import_may_keep_its_ids_unless_they_are_taken(client: FlaskClient) -> None:
    content = json.dumps(MISSION)
    given = {"content": content, "format": "json", "generate_new_id": False}
    first = client.post("/api/v1/workflows/import", json=given)
    assert first.json["id"] == MISSION["metadata"]["id"]
    assert client.post("/api/v1/workflows/import", json=given).status_code == 409


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"content": "{", "format": "json"}, "ParseError"),
        ({"content": "a: [", "format": "yaml"}, "ParseError"),
        ({"content": "a: &x [1]\nb: *x", "format": "yaml"}, "ParseError"),
        ({"content": "a: !!python/object:os.system {}", "format": "yaml"}, "ParseError"),
        ({"content": "? [1]\n: 2", "format": "yaml"}, "ParseError"),
        ({"content": "{}", "format": "toml"}, "InvalidFormat"),
        ({"content": "{}", "format": "json"}, "ValidationError"),
        ({"format": "json"}, "ValidationError"),
    ],
)
def test_an_import_that_cannot_be_read_is_refused_by_name(
    client: FlaskClient, given: dict[str, Any], error: str
) -> None:
    answer = client.post("/api/v1/workflows/import", json=given)
    assert (answer.status_code, answer.json["error"]) == (400, error)


def test_export_knows_two_formats(client: FlaskClient) -> None:
    made = save(client, line())
    answer = client.get(f"/api/v1/workflows/{made}/export?format=xml")
    assert (answer.status_code, answer.json["error"]) == (400, "InvalidFormat")


def test_dates_and_yes_in_yaml_stay_what_they_mean() -> None:
    assert parse_text("a: 2026-05-26\nb: yes\nc: 1.5", True) == {
        "a": "2026-05-26", "b": True, "c": 1.5,
    }  # fmt: skip


def test_renewing_gives_ids_in_order_and_changes_nothing_else() -> None:
    numbers = iter(range(100))
    graph = read_graph(BRANCHED)
    new = renewed(graph, lambda: f"{next(numbers):032x}")
    assert [each.name for each in new.nodes] == [each.name for each in graph.nodes]
    assert new.metadata.name == graph.metadata.name
    assert len({each.id for each in new.nodes} | {each.id for each in new.edges}) == 8


def test_many_are_saved_fetched_and_deleted_at_a_time(client: FlaskClient) -> None:
    given = {"workflows": [line(name="a"), document([], []), line(name="b")]}
    saved = client.post("/api/v1/workflows/batch", json=given).json
    assert (saved["total"], saved["succeeded"], saved["failed"]) == (3, 2, 1)
    assert saved["results"][1] == {
        "index": 1, "id": None, "success": False, "error": "Workflow must have at least one node",
    }  # fmt: skip
    ids = [result["id"] for result in saved["results"] if result["success"]]
    found = client.post("/api/v1/workflows/batch/get", json={"ids": [*ids, NOBODY]}).json
    assert [each["found"] for each in found["results"]] == [True, True, False]
    assert (found["total"], found["found"]) == (3, 2)
    gone = client.delete("/api/v1/workflows/batch", json={"ids": [ids[0], NOBODY]}).json
    assert [each["success"] for each in gone["results"]] == [True, False]
    assert client.get("/api/v1/workflows").json["total"] == 1


def test_an_atomic_batch_does_all_or_nothing(client: FlaskClient) -> None:
    taken = save(client, MISSION)
    for documents in ([line(), document([], [])], [line(), MISSION]):
        given = {"workflows": documents, "atomic": True}
        answer = client.post("/api/v1/workflows/batch", json=given)
        assert answer.status_code in (400, 409)
    given = {"ids": [taken, NOBODY], "atomic": True}
    assert client.delete("/api/v1/workflows/batch", json=given).status_code == 404
    assert client.get("/api/v1/workflows").json["total"] == 1


@pytest.mark.parametrize("ids", [[], [NOBODY] * 101, ["x"], "x", None])
def test_batches_have_limits(client: FlaskClient, ids: Any) -> None:
    assert client.post("/api/v1/workflows/batch/get", json={"ids": ids}).status_code == 400
    assert client.delete("/api/v1/workflows/batch", json={"ids": ids}).status_code == 400


@pytest.mark.parametrize("name", ["", "   ", "x" * 256])
def test_an_import_under_a_name_that_no_graph_can_have_is_refused(
    client: FlaskClient, name: str
) -> None:
    body = {"content": json.dumps(line()), "format": "json", "new_name": name}
    for more in ({}, {"generate_new_id": False}):
        answer = client.post("/api/v1/workflows/import", json=body | more)
        assert answer.status_code == 400
        message = "new_name: must have 1 to 255 characters besides blanks"
        assert answer.json == {"error": "ValidationError", "message": message}
