"""The published OxiFY contract against a live server: generated requests, every check on."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.server_process import ServerProcess
from tests.web.test_fuzz import CONFIG


@pytest.mark.real
def test_the_live_server_keeps_the_oxify_contract(tmp_path: Path) -> None:
    server = ServerProcess(
        tmp_path / "home", MAX_RUNS="0", MAX_PENDING_PER_USER="100000", STREAMS_PER_USER="2000"
    )
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    try:
        server.start()
        status, made = server.call(
            "POST", "/api/auth/keys", {"name": "fuzz", "scope": "admin"}, user="admin"
        )
        assert status == 201
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "st"), "run",
                f"http://127.0.0.1:{server.port}/api-docs/openapi.json",
                "--header", f"X-API-Key: {made['key']}", "--checks", "all",
                "--max-examples", "40", "--continue-on-failure", "--request-timeout", "40",
                "--seed", "1", "--generation-database", "none",
            ],
            cwd=tmp_path, env=server.environ, capture_output=True, text=True, timeout=1200,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
        assert server.call("GET", "/health")[0] == 200
    finally:
        server.clean_up()
