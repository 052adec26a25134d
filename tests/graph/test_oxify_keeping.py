"""Versions of graphs, collections and tool servers over HTTP, without any execution."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.graph.building import code, line


def test_versions_are_kept_compared_and_restored(client: FlaskClient) -> None:
    given = {"workflow": line(code("A", "1"), name="One")}
    made = client.post("/api/v1/workflows", json=given).json["id"]
    path = f"/api/v1/workflows/{made}/versions"
    first = client.post(path, json={"description": "the first"})
    assert (first.status_code, first.json["version"]) == (201, 1)
    client.put(f"/api/v1/workflows/{made}", json={"workflow": line(name="Two")})
    assert client.post(path).json["version"] == 2
    listed = client.get(path).json
    assert [each["version"] for each in listed["versions"]] == [2, 1]
    assert listed["versions"][1]["description"] == "the first"
    assert client.get(f"{path}/compare?v1=1&v2=2").json == {
        "version1": 1, "version2": 2, "nodes_added": 0, "nodes_removed": 1, "edges_added": 1,
        "edges_removed": 2, "name_changed": True, "description_changed": False,
    }  # fmt: skip
    one = client.get(f"{path}/1").json
    assert one["workflow"]["metadata"]["name"] == "One"
    assert "workflow_name" not in one
    restored = client.post(f"{path}/1/restore")
    assert restored.json["new_version"] == 3
    now = client.get(f"/api/v1/workflows/{made}").json["workflow"]
    assert (now["metadata"]["name"], len(now["nodes"])) == ("One", 3)
    for missing in ("/9", "/compare?v1=1&v2=9"):
        assert client.get(path + missing).status_code == 404
    assert client.get(path + "/first").status_code == 400
    unnamed = client.get(f"{path}/compare?from=1&to=2")
    assert (unnamed.status_code, unnamed.json["message"]) == (
        400, "'v1' is missing in the query: compare with ?v1=NUMBER&v2=NUMBER",
    )  # fmt: skip


def test_collections_are_filled_and_searched_by_vector(client: FlaskClient) -> None:
    base = "/api/v1/vectors/collections"
    given = {"name": "sops", "dimension": 2, "provider": "sqlite"}
    made = client.post(base, json=given)
    assert made.status_code == 201
    assert {key: made.json[key] for key in given} == given
    assert client.post(base, json=given).status_code == 409
    vectors = [
        {"id": "up", "vector": [0, 1], "metadata": {"kind": "a"}},
        {"id": "right", "vector": [1, 0], "metadata": {"kind": "b"}},
    ]
    assert client.post(f"{base}/sops/vectors", json={"vectors": vectors}).status_code == 201
    assert client.get(f"{base}/sops").json["vector_count"] == 2
    query = {"query": [0.1, 1], "top_k": 5}
    found = client.post(f"{base}/sops/search", json=query).json
    assert [hit["id"] for hit in found] == ["up", "right"]
    only = client.post(f"{base}/sops/search", json=query | {"filter": {"kind": "b"}}).json
    assert [hit["id"] for hit in only] == ["right"]
    near = client.post(f"{base}/sops/search", json=query | {"score_threshold": 0.9}).json
    assert [hit["id"] for hit in near] == ["up"]
    assert client.delete(f"{base}/sops/vectors/up").status_code == 204
    assert client.delete(f"{base}/sops/vectors/up").status_code == 404
    assert client.get(base).json[0]["vector_count"] == 1
    assert client.delete(f"{base}/sops").status_code == 204
    assert client.get(f"{base}/sops").status_code == 404


@pytest.mark.parametrize(
    "given",
    [
        {"name": "a", "dimension": 0, "provider": "qdrant"},
        {"name": "a/b", "dimension": 0, "provider": "sqlite"},
        {"name": "a", "dimension": -1, "provider": "sqlite"},
        {"name": "a", "dimension": True, "provider": "sqlite"},
        {"name": "a"},
    ],
)
def test_a_collection_that_cannot_be_is_refused(client: FlaskClient, given: Any) -> None:
    assert client.post("/api/v1/vectors/collections", json=given).status_code == 400


def test_tool_servers_are_registered_once_and_forgotten(client: FlaskClient) -> None:
    base = "/api/v1/mcp/servers"
    given = {"server_id": "calc", "server_type": "stdio", "command": ["calc"], "tags": ["x"]}
    assert client.post(f"{base}/register", json=given).status_code == 201
    assert client.post(f"{base}/register", json=given).status_code == 409
    shown = client.get(base).json["servers"]
    assert [(each["server_id"], each["transport_type"]) for each in shown] == [("calc", "stdio")]
    assert client.delete(f"{base}/unregister", json={"server_id": "calc"}).status_code == 200
    assert client.delete(f"{base}/unregister", json={"server_id": "calc"}).status_code == 404
    for bad in ({"server_id": "fs"}, {"command": []}, {"server_type": "pipe"}):
        assert client.post(f"{base}/register", json=given | bad).status_code == 400


def test_a_search_with_a_vector_of_another_length_is_refused(client: FlaskClient) -> None:
    place = "/api/v1/vectors/collections"
    client.post(place, json={"name": "sops", "dimension": 2, "provider": "sqlite"})
    answer = client.post(f"{place}/sops/search", json={"query": [1], "top_k": 1})
    assert answer.status_code == 400
    assert answer.json == {
        "error": "ValidationError",
        "message": "'query' has 1 dimensions, the collection 2",
    }


def test_an_entry_whose_id_holds_a_slash_can_be_taken_out(client: FlaskClient) -> None:
    place = "/api/v1/vectors/collections"
    client.post(place, json={"name": "sops", "dimension": 0, "provider": "sqlite"})
    entry = {"id": "sops/pcr.md#1", "vector": [], "metadata": {"text": "PCR"}}
    assert client.post(f"{place}/sops/vectors", json={"vectors": [entry]}).status_code == 201
    assert client.delete(f"{place}/sops/vectors/sops%2Fpcr.md%231").status_code == 204
    assert client.delete(f"{place}/sops/vectors/sops%2Fpcr.md%231").status_code == 404
    found = client.get(f"{place}/sops")
    assert (found.json or {})["vector_count"] == 0
