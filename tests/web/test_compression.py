"""Compression: for those who ask, of what is worth it, never of what must flow."""

import gzip
import json

import brotli
import pytest
from flask import Flask, Response
from flask.testing import FlaskClient

TEXT = "[workflow]\nname='x'\n" + "# a comment that repeats itself\n" * 100
URL = "/api/workflows/format"


def ask(client: FlaskClient, accept: str | None, text: str = TEXT):
    headers = {"Accept-Encoding": accept} if accept is not None else {}
    return client.post(URL, json={"toml_content": text}, headers=headers)


@pytest.mark.parametrize(
    ("accept", "encoding"),
    [
        (None, None),
        ("identity", None),
        ("gzip", "gzip"),
        ("br", "br"),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip;q=1.0, br;q=0.5", "gzip"),
        ("gzip;q=0", None),
        ("br;q=0, gzip", "gzip"),
        ("*", "br"),
        ("compress", None),
    ],
)
def test_the_client_chooses_the_encoding(
    client: FlaskClient, accept: str | None, encoding: str | None
) -> None:
    answer = ask(client, accept)
    assert answer.headers.get("Content-Encoding") == encoding
    assert "Accept-Encoding" in answer.headers.getlist("Vary")
    decode = {"gzip": gzip.decompress, "br": brotli.decompress, None: lambda data: data}[encoding]
    assert json.loads(decode(answer.data))["formatted"].startswith("[workflow]")
    assert int(answer.headers["Content-Length"]) == len(answer.data)


def test_small_answers_and_errors_stay_as_they_are(client: FlaskClient) -> None:
    assert "Content-Encoding" not in ask(client, "gzip", "[workflow]\nname='x'").headers
    assert "Content-Encoding" not in ask(client, "gzip", "x" * 5000).headers


@pytest.mark.parametrize("kind", ["text/event-stream", "application/octet-stream", "image/png"])
def test_streams_and_files_stay_as_they_are(app: Flask, kind: str) -> None:
    app.add_url_rule("/long", view_func=lambda: Response(b"x" * 9999, content_type=kind))
    app.add_url_rule(
        "/flow", "flow", lambda: Response(iter([b"x" * 9999]), content_type="text/plain")
    )
    for path in ("/long", "/flow"):
        answer = app.test_client().get(path, headers={"Accept-Encoding": "gzip, br"})
        assert "Content-Encoding" not in answer.headers
        assert answer.data == b"x" * 9999
