"""How many files the server may open, and how many its rules."""

import socket
from contextlib import ExitStack
from pathlib import Path

from tests.patience import PATIENCE
from tests.server_process import ServerProcess

FEW = 128
TEXT = """
[workflow]
name = "w"
[[rules]]
name = "a"
output = ["limits.txt"]
shell = "ulimit -S -n > {output}; ulimit -H -n >> {output}"
"""


def test_the_server_takes_more_connections_than_its_shell_allowed_and_rules_get_what_it_allowed(
    tmp_path: Path,
) -> None:
    server = ServerProcess(tmp_path / "home")
    server.wrapper = ["bash", "-c", f'ulimit -S -n {FEW} && ulimit -H -n 4096 && exec "$@"', "-"]
    try:
        server.start()
        with ExitStack() as stack:
            for _ in range(2 * FEW):
                client = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
                stack.enter_context(client)
            client.sendall(b"GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 200")
            run_id = server.submit(TEXT)
            assert server.finish(run_id)["status"] == "success"
        _, found = server.call("GET", f"/api/runs/{run_id}/files/limits.txt", user="user")
        assert found.split() == [str(FEW).encode(), b"4096"]
    finally:
        server.clean_up()
