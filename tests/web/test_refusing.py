"""What is no request, or too large a one, is refused in JSON like everything else."""

import json
from collections.abc import Iterator
from uuid import UUID

import pytest

from oxoflow.web.cors import ALWAYS
from tests.web.test_handover import Served

HEAD = b"Host: x\r\nConnection: close\r\n"
TOO_MANY_BYTES = b"Content-Length: 5000000000\r\n"


@pytest.fixture
def served() -> Iterator[Served]:
    server = Served()
    server.server.adj.max_request_header_size = 1000  # read in one piece, so that none is left
    yield server
    server.stop()


def send(served: Served, data: bytes) -> tuple[int, dict[str, str], dict[str, str]]:
    """One request, byte for byte; status, headers and body of the answer."""
    with served.connect() as client:
        client.sendall(data)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(first.split()[1]), headers, json.loads(body)


@pytest.mark.parametrize(
    ("data", "status", "error"),
    [
        (b"nonsense\r\n\r\n", 400, "Bad request"),
        (b"GET / HTTP/1.1\r\n" + HEAD + b"Bad Name: x\r\n\r\n", 400, "Bad request"),
        (b"GET / HTTP/1.1\r\n" + HEAD + b"Content-Length: x\r\n\r\n", 400, "Bad request"),
        (b"GET / HTTP/1.1\r\n" + HEAD + b"A: " + b"x" * 2000 + b"\r\n\r\n", 431,
         "Request header fields too large"),
        (b"PUT / HTTP/1.1\r\n" + HEAD + TOO_MANY_BYTES + b"\r\n", 413, "Request body too large"),
        (b"PUT / HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: odd\r\n\r\n", 501, "Not implemented"),
        (b"GET /fails HTTP/1.1\r\n" + HEAD + b"\r\n", 500, "Internal server error"),
    ],
)  # fmt: skip
def test_a_refusal_of_the_server_itself_is_json(
    served: Served, data: bytes, status: int, error: str
) -> None:
    found, headers, body = send(served, data)
    assert (found, body["error"], set(body)) == (status, error, {"error", "detail"})
    assert headers["content-type"] == "application/json"
    assert headers["connection"] == "close"
    UUID(headers["x-request-id"])
    for name, text in ALWAYS:
        assert headers[name.lower()] == text.lower()
    assert (body["detail"] is None) == (status == 500)


def test_graph_routes_speak_their_own_shape_here_too(served: Served) -> None:
    for prefix in (b"", b"/oxo-flow"):
        start = b"PUT " + prefix + b"/api/v1/workflows/x HTTP/1.1\r\n"
        status, _, body = send(served, start + HEAD + TOO_MANY_BYTES + b"\r\n")
        assert (status, body["error"], set(body)) == (413, "PayloadTooLarge", {"error", "message"})
    assert served.ask("/plain").endswith(b"ok")
