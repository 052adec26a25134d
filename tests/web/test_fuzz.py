"""The contract against the live server: thousands of generated requests, every check on."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server_process import ServerProcess

# Whether a string is a workflow, a name is free or an id is one's own, no schema can say.
CONFIG = """
[checks]
positive_data_acceptance.expected-statuses = [
  "2xx", "304", "400", "401", "403", "404", "409", "413", "416", "422", "429",
]
"""
HOOKS = """
import schemathesis

schemathesis.serializer.alias("application/zip", "application/octet-stream")
"""


@pytest.mark.real
def test_the_live_server_keeps_its_contract(tmp_path: Path) -> None:
    server = ServerProcess(
        tmp_path / "home",
        MAX_RUNS="0",  # runs are queued and never started
        MAX_PENDING_PER_USER="100000",
        STREAMS_PER_USER="0",  # a stream would not end: whoever may have one is told 429
        TRUSTED_PROXIES="192.0.2.1",  # else a loopback server lets anybody use graphs
    )
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    (tmp_path / "hooks.py").write_text(HOOKS)
    try:
        server.start()
        status, made = server.call(
            "POST", "/api/auth/keys", {"name": "fuzz", "scope": "admin"}, user="admin"
        )
        assert status == 201
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "st"), "run",
                f"http://127.0.0.1:{server.port}/api/openapi.json",
                "--header", f"X-API-Key: {made['key']}",
                "--checks", "all", "--max-examples", "30", "--continue-on-failure",
                "--request-timeout", "20", "--seed", "1", "--generation-database", "none",
            ],
            cwd=tmp_path, env={**server.environ, "SCHEMATHESIS_HOOKS": "hooks"},
            capture_output=True, text=True, timeout=1500,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
        generated = re.search(r"([\d,]+) generated", done.stdout)
        assert generated, done.stdout[-2000:]
        assert int(generated[1].replace(",", "")) > 3000
        assert server.call("GET", "/api/health")[0] == 200
    finally:
        server.clean_up()
