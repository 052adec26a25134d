"""Send a live server generated requests by its own published contract, with every check on."""

import subprocess
import sys
from pathlib import Path

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


def fuzz(directory: Path, contract: str, examples: int, **settings: str) -> str:
    """Ask for the contract at this path and send all its routes `examples` requests of each kind.

    As an admin, to a server that queues runs and starts none. Returns the report; raises
    AssertionError with it when a check failed or the server does not answer any more.
    """
    server = ServerProcess(
        directory / "home", MAX_RUNS="0", MAX_PENDING_PER_USER="100000", **settings
    )
    (directory / "schemathesis.toml").write_text(CONFIG)
    (directory / "hooks.py").write_text(HOOKS)
    try:
        server.start()
        status, made = server.call(
            "POST", "/api/auth/keys", {"name": "fuzz", "scope": "admin"}, user="admin"
        )
        assert status == 201
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "st"), "run",
                f"http://127.0.0.1:{server.port}{contract}",
                "--header", f"X-API-Key: {made['key']}", "--checks", "all",
                "--max-examples", str(examples), "--continue-on-failure",
                "--request-timeout", "40", "--seed", "1", "--generation-database", "none",
            ],
            cwd=directory, env={**server.environ, "SCHEMATHESIS_HOOKS": "hooks"},
            capture_output=True, text=True, timeout=1500,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
        assert server.call("GET", "/api/health")[0] == 200
        return done.stdout
    finally:
        server.clean_up()
