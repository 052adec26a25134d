"""Templates: the gallery over HTTP."""

from flask.testing import FlaskClient

from oxoflow import gallery


def test_every_example_is_listed_and_valid(client: FlaskClient) -> None:
    listed = client.get("/api/templates").json["templates"]
    assert [row["id"] for row in listed] == list(gallery.names())
    for row in listed:
        body = client.get(f"/api/templates/{row['id']}").json
        assert {**row, "toml_content": gallery.read(row["id"])} == body
        answer = client.post(
            "/api/workflows/validate", json={"toml_content": body["toml_content"]}
        ).json
        assert answer["valid"], (row["id"], answer["errors"])


def test_an_unknown_example_is_404(client: FlaskClient) -> None:
    for name in ("x", "01-hello-world", "..", "%2e%2e%2fapp"):
        assert client.get(f"/api/templates/{name}").status_code == 404


def test_the_workflows_to_start_from_are_ones_own_and_the_examples(
    user: FlaskClient, admin: FlaskClient, client: FlaskClient
) -> None:
    body = {"name": "mine", "version": "3", "toml_content": "[workflow]\nname='x'"}
    workflow_id = user.post("/api/workflows/save", json=body).json["id"]
    rows = user.get("/api/workflows").json["workflows"]
    assert rows[0] == {
        "name": "mine",
        "version": "3",
        "rules_count": 0,
        "id": workflow_id,
        "source": "saved",
    }
    assert [row["id"] for row in rows[1:]] == list(gallery.names())
    assert len(admin.get("/api/workflows").json["workflows"]) == len(gallery.names())
    assert client.get("/api/workflows").status_code == 401
