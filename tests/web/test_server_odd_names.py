"""Files whose names are no text: listed, and taken by their bytes, one by one or together."""

import contextlib
import io
import os
import zipfile
from urllib.parse import quote

from oxoflow.client import Client
from tests.patience import wait_until
from tests.server_process import ServerProcess
from tests.web.test_server_runs import detail

ODD = r"""
[workflow]
name = "odd"
[[rules]]
name = "odd"
output = ["d"]
shell = '''
mkdir -p d/$'d\xff'
for name in $'d\xff/a%\xe9.txt' $'\xfe' $'\xfd' $'real \uFFFD'; do
    printf %s "$name" >d/"$name"
done
'''
"""
NAMES = (b"d/d\xff/a%\xe9.txt", b"d/\xfe", b"d/\xfd", "d/real \ufffd".encode())
ENCODED = ["d/%FD", "d/%FE", "d/d%FF/a%25%E9.txt"]


def test_a_file_whose_name_is_no_text_is_listed_and_taken_by_its_bytes(
    server: ServerProcess,
) -> None:
    run_id = server.submit(ODD)
    wait_until(lambda: detail(server, run_id)["status"] == "success")
    _, listing = server.call("GET", f"/api/runs/{run_id}/files", user="user")
    for listed in (listing["files"], detail(server, run_id)["outputs"]):
        assert sorted(each["encoded_path"] for each in listed if "encoded_path" in each) == ENCODED
        assert {each["path"] for each in listed} == {
            "d/d\ufffd/a%\ufffd.txt", "d/\ufffd", "d/real \ufffd"
        }  # fmt: skip
    url = f"http://127.0.0.1:{server.port}{server.prefix}"
    with contextlib.closing(Client(url, server.token("user"))) as client:
        for name in NAMES:
            path, content = f"/api/runs/{run_id}/files/{quote(name)}", name.removeprefix(b"d/")
            assert server.call("GET", path, user="user") == (200, content)
            assert client.file(run_id, os.fsdecode(name)) == content
    for wrong in ("d/%FC", "d/d%FF", "d/%FF/../x", "d/%EF%BF%BD", "%FF" * 300):
        status, answer = server.call("GET", f"/api/runs/{run_id}/files/{wrong}", user="user")
        assert (status, answer["error"]) == (404, "File not found"), wrong
    _, data = server.call("GET", f"/api/runs/{run_id}/files.zip", user="user")
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert sorted(archive.namelist()) == [*ENCODED, "d/real \ufffd"]
    assert archive.read("d/d%FF/a%25%E9.txt") == b"d\xff/a%\xe9.txt"
