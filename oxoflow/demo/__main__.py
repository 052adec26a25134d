"""Show the whole way in one command: start a server, log in, submit, follow, check the outcome.

Owns a temporary home and the server it starts, and removes both. Exits with 0 only when the
workflow found exactly the variants that it planted.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from oxoflow.client import Client, ServerEvent
from oxoflow.errors import OxoflowError

ROOT = Path(__file__).resolve().parents[2]
TRUTH = "found 40 of 40 planted variants, 0 missed, 0 false"
ADDRESS = re.compile(r"listens on (\S+)")
BAR = 24  # characters


@contextmanager
def server(home: Path, password: str) -> Iterator[str]:
    """Run a server on a free port with a fresh home; gives its address."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("OXO_FLOW_")}
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "app.py"), "--port", "0", "--home", str(home)],
        env=environ | {"OXO_FLOW_ADMIN_PASSWORD": password, "OXO_FLOW_LOG_LEVEL": "warning"},
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        found = ADDRESS.search(process.stdout.readline())
        if found is None:
            raise OxoflowError("the server did not start; it says why above")
        yield found[1]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


class Progress:
    """Events as lines, with a bar of how many jobs are done; on a terminal the bar moves."""

    def __init__(self) -> None:
        self._total = 0
        self._done = 0
        self._moving = sys.stdout.isatty()

    def show(self, event: ServerEvent) -> None:
        """Print what a person wants to see of one event."""
        data = event.data
        if event.type == "run_started":
            self._total = int(data.get("jobs_total") or 0)
        elif event.type == "rule_completed":
            self._done += 1
            self._line(f"done    {data.get('job')}  {data.get('duration_secs', 0):.2f} s")
        elif event.type == "rule_failed":
            self._line(f"failed  {data.get('job')}: {data.get('error')}")

    def _line(self, text: str) -> None:
        total = max(self._total, self._done, 1)
        full = BAR * self._done // total
        bar = f"[{'#' * full}{'.' * (BAR - full)}] {self._done:>2}/{total}"
        if self._moving:
            print(f"\r\x1b[K  {text}\n{bar}", end="", flush=True)
            if self._done == total:
                print()
        else:
            print(f"{bar}  {text}", flush=True)


def show_demo(client: Client, text: str) -> bool:
    """Run the workflow and say how it ended; True when the outcome is the known truth."""
    run_id = client.submit(text)
    print(f"submitted the demo workflow: run {run_id}")
    progress = Progress()
    try:
        for event in client.events(run_id):
            progress.show(event)
    except KeyboardInterrupt:
        client.cancel(run_id)  # it would go on without us and without the server
        raise
    run = client.run(run_id)
    if run["status"] != "success":
        print(f"the run ended as {run['status']}; the end of its log:\n{run['log_tail']}")
        return False
    verdict = client.file(run_id, "verdict.txt").decode().strip()
    print(f"outcome: {verdict}")
    return verdict == TRUTH


def main() -> int:
    """Run the demo; returns the exit code."""
    argparse.ArgumentParser(prog="./run.sh demo", description=__doc__).parse_args()
    text = resources.files("oxoflow.demo").joinpath("demo.oxoflow").read_text()
    password = secrets.token_hex(8)
    try:
        with tempfile.TemporaryDirectory(prefix="oxoflow-demo-") as directory:
            with server(Path(directory) / "home", password) as address:
                print(f"started a server at {address}")
                client = Client(address)
                client.log_in("admin", password)
                right = show_demo(client, text)
    except (OxoflowError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndemo: interrupted; the run is cancelled", file=sys.stderr)
        return 130
    print("this is the known truth" if right else f"expected: {TRUTH}")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
