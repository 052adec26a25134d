"""Bundles: the files of a saved workflow, and zips that mean harm."""

import io
import stat
import zipfile

import pytest
from flask.testing import FlaskClient

from oxoflow.web import bundle
from oxoflow.web.bundle import read_bundle, write_bundle

SAVED = "/api/workflows/saved"
TEXT = "[workflow]\nname='x'"
FILES = {"scripts/a.py": b"print(1)\n", "envs/b.yml": b"name: b\n", "caf\u00e9.csv": b"\xff\x00"}


def save(client: FlaskClient, **more: object) -> str:
    body = {"name": "x", "toml_content": TEXT, **more}
    answer = client.post("/api/workflows/save", json=body)
    assert answer.status_code in (200, 201), answer.json
    return str(answer.json["id"])


def put(client: FlaskClient, workflow_id: str, data: bytes, kind: str = "application/zip"):
    url = f"{SAVED}/{workflow_id}/bundle"
    return client.put(url, data=data, headers={"Content-Type": kind})


def zipped(*entries: tuple[str, bytes], kind: int = 0) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = kind << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return data.getvalue()


def test_a_bundle_comes_back_as_it_was(user: FlaskClient) -> None:
    workflow_id = save(user)
    url = f"{SAVED}/{workflow_id}/bundle"
    assert user.get(url).status_code == 404
    answer = put(user, workflow_id, write_bundle(FILES))
    assert answer.status_code == 200
    assert (answer.json["status"], answer.json["revision"]) == ("stored", 2)
    assert [row["path"] for row in answer.json["files"]] == sorted(FILES)
    answer = user.get(url)
    assert answer.content_type == "application/zip"
    assert read_bundle(answer.data) == FILES
    assert user.get(f"{SAVED}/{workflow_id}").json["has_bundle"] is True
    assert user.delete(url).json == {"status": "deleted"}
    assert user.delete(url).status_code == 404
    assert user.get(f"{SAVED}/{workflow_id}").json["has_bundle"] is False


def test_small_files_can_be_saved_with_the_text_and_stay_until_replaced(user: FlaskClient) -> None:
    workflow_id = save(user, files={"a.txt": "é", "b/c.sh": "true"})
    url = f"{SAVED}/{workflow_id}/bundle"
    assert read_bundle(user.get(url).data) == {"a.txt": "é".encode(), "b/c.sh": b"true"}
    save(user, id=workflow_id)
    assert user.get(url).status_code == 200
    user.post(f"{SAVED}/{workflow_id}/rollback", json={"revision": 1})
    assert user.get(url).status_code == 200
    save(user, id=workflow_id, files={})
    assert user.get(url).status_code == 404


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "a/../../x", "~/x", "a\\..\\x", ".oxo-flow/run.json",
             "workflow.oxoflow", "execution.log", "a//../../b"],
)  # fmt: skip
def test_a_path_that_leads_elsewhere_is_refused(user: FlaskClient, name: str) -> None:
    workflow_id = save(user)
    assert put(user, workflow_id, zipped((name, b"x"))).status_code in (400, 422)
    body = {"name": "x", "toml_content": TEXT, "files": {name: "x"}}
    assert user.post("/api/workflows/save", json=body).status_code in (400, 422)
    assert user.get(f"{SAVED}/{workflow_id}/bundle").status_code == 404


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04 and nothing",
        zipped(("a", b"x"))[:-9],
        zipped(("a", b"/etc/passwd"), kind=stat.S_IFLNK | 0o777),
        zipped(("a", b""), kind=stat.S_IFIFO | 0o600),
        zipped(("a", b"x"), ("a/b", b"x")),
    ],
)
def test_what_is_no_usable_zip_is_400(user: FlaskClient, data: bytes) -> None:
    answer = put(user, save(user), data)
    assert (answer.status_code, answer.json["error"]) == (400, "Not a usable zip")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice_is_refused(user: FlaskClient) -> None:
    assert put(user, save(user), zipped(("a", b"x"), ("a", b"y"))).status_code == 400


def test_bombs_are_refused_by_what_they_unpack_to(
    user: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow_id = save(user)
    monkeypatch.setattr(bundle, "LARGEST_WHOLE", 100_000)
    answer = put(user, workflow_id, zipped(("a", b"\0" * 60_000), ("b", b"\0" * 60_000)))
    assert (answer.status_code, answer.json["error"]) == (413, "Bundle too large")
    many = zipped(*((f"f{number}", b"") for number in range(1001)))
    assert put(user, workflow_id, many).status_code == 413
    lying = zipped(("a", b"\0" * 200_000)).replace(
        (200_000).to_bytes(4, "little"), (10).to_bytes(4, "little")
    )
    assert put(user, workflow_id, lying).status_code in (400, 413)


def test_a_bundle_may_be_larger_than_a_json_body_but_not_boundless(user: FlaskClient) -> None:
    workflow_id = save(user)
    data = bytes(range(256)) * 16 * 1024
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as archive:
        archive.writestr("big", data)
    assert put(user, workflow_id, stored.getvalue()).status_code == 200
    answer = put(user, workflow_id, b"x" * (bundle.LARGEST_ZIP + 1))
    assert answer.status_code == 413


def test_only_a_zip_of_the_owner_is_taken(
    user: FlaskClient, viewer: FlaskClient, admin: FlaskClient
) -> None:
    workflow_id = save(user)
    data = write_bundle(FILES)
    assert put(user, workflow_id, data, "application/json").status_code == 415
    assert put(viewer, workflow_id, data).status_code == 403
    assert put(admin, workflow_id, data).status_code == 404
    assert admin.get(f"{SAVED}/{workflow_id}/bundle").status_code == 404


def test_the_same_files_give_the_same_bytes() -> None:
    assert write_bundle(FILES) == write_bundle(dict(reversed(FILES.items())))
