"""Sample and pair sheets that come with a run, by every way in which files can come."""

import http.client
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.patience import wait_until
from tests.server_process import ServerProcess
from tests.web.test_server_runs import detail

TEXT = """
[workflow]
name = "sheets"
sample_groups_file = "sheets/groups.csv"
pairs_file = "pairs.tsv"
metadata_file = "ages.csv"
[[rules]]
name = "one"
output = ["one/{sample}.txt"]
shell = "echo {sample} {group} {tissue} {meta.age} > {output}"
[[rules]]
name = "two"
input = ["one/{experiment}.txt", "one/{control}.txt"]
output = ["two/{pair_id}.txt"]
shell = "cat {input} > {output}"
"""
SHEETS = {
    "sheets/groups.csv": '\ufeffname,samples,tissue\ng,"s1,s2",liver\nh,s3,lung\n',
    "pairs.tsv": "pair_id\ttumor\tnormal\np1\ts1\ts2\n",
    "ages.csv": "sample,age\ns1,3\ns2,4\ns3,5\n",
}


def upload(server: ServerProcess, name: str, text: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    headers = {"Authorization": f"Bearer {server.token('user')}"}
    connection.request("PUT", f"/api/uploads/{name}", text.encode(), headers)
    assert connection.getresponse().status == 201
    connection.close()


def saved(server: ServerProcess) -> str:
    body = {"name": "sheets", "toml_content": TEXT, "files": SHEETS}
    return str(server.call("POST", "/api/workflows/save", body, user="user")[1]["id"])


def launch(server: ServerProcess, **body: Any) -> str:
    status, answer = server.call("POST", "/api/workflows/run", body, user="user")
    assert status == 200, answer
    run_id = str(answer["run_id"])
    wait_until(lambda: detail(server, run_id)["status"] not in ("pending", "running"))
    return run_id


def made(server: ServerProcess, run_id: str) -> dict[str, bytes]:
    assert detail(server, run_id)["status"] == "success", detail(server, run_id)
    files = [path for path in detail(server, run_id)["output_files"] if path not in SHEETS]
    place = f"/api/runs/{run_id}/files/"
    return {path: server.call("GET", place + path, user="user")[1] for path in files}


ALL = {
    "one/s1.txt": b"s1 g liver 3\n",
    "one/s2.txt": b"s2 g liver 4\n",
    "one/s3.txt": b"s3 h lung 5\n",
    "two/p1.txt": b"s1 g liver 3\ns2 g liver 4\n",
}


def test_sheets_come_with_the_text_as_uploads_and_from_the_library(server: ServerProcess) -> None:
    run_id = launch(server, toml_content=TEXT, files=SHEETS)
    assert made(server, run_id) == ALL
    plan = server.call("GET", f"/api/runs/{run_id}/plan", user="user")[1]
    assert {job["verdict"] for job in plan["jobs"]} == {"skip"}
    for number, text in enumerate(SHEETS.values()):
        upload(server, f"sheet{number}", text)
    uploads = {path: f"sheet{number}" for number, path in enumerate(SHEETS)}
    assert made(server, launch(server, toml_content=TEXT, uploads=uploads)) == ALL
    assert made(server, launch(server, workflow_id=saved(server))) == ALL


def test_samples_and_pairs_are_chosen_from_the_sheets(server: ServerProcess) -> None:
    body: dict[str, Any] = {"toml_content": TEXT, "files": SHEETS}
    assert list(made(server, launch(server, **body, samples=["s3"]))) == ["one/s3.txt"]
    chosen = made(server, launch(server, **body, samples=["p1"]))
    assert list(chosen) == ["one/s1.txt", "one/s2.txt", "two/p1.txt"]
    status, refused = server.call(
        "POST", "/api/workflows/run", body | {"samples": ["s1,nobody", "s9"]} | {"dry_run": True},
        user="user",
    )  # fmt: skip
    assert (status, [job["job"] for job in refused["jobs"]]) == (200, ["one_g_s1"])
    assert "nobody, s9 named" in " ".join(refused["warnings"])


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        ("sheets/groups.csv", "name,sample\ng,s\n", "there is no column 'samples'"),
        ("sheets/groups.csv", "", "it is empty"),
        ("pairs.tsv", "pair_id\ttumor\tnormal\np1\ts1\n", "row 2 has 2 cells"),
        ("pairs.tsv", None, "there is no such file"),
        ("ages.csv", "sample,age\n,3\n", "row 2 has no sample"),
    ],
)
def test_a_sheet_that_cannot_be_used_is_told_with_its_place(
    user: FlaskClient, path: str, text: str | None, words: str
) -> None:
    files = {name: old for name, old in SHEETS.items() if name != path}
    files |= {} if text is None else {path: text}
    answer = user.post("/api/workflows/run", json={"toml_content": TEXT, "files": files})
    assert answer.status_code == 422, answer.json
    line = next(at for at, text in enumerate(TEXT.split("\n"), 1) if path in text)
    detail: str = answer.json["detail"]  # type: ignore[index]
    assert all(each in detail for each in (path, words, f"(line {line} ")), detail
    assert user.get("/api/runs").json == []
