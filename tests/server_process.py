"""Start the real server as a process on loopback, talk to it, kill it, and leave nothing behind."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

from tests.patience import PATIENCE

ROOT = Path(__file__).parent.parent
PASSWORDS = {
    "OXO_FLOW_ADMIN_PASSWORD": "admin-secret",
    "OXO_FLOW_USER_PASSWORD": "user-secret",
    "OXO_FLOW_VIEWER_PASSWORD": "viewer-secret",
}
ADDRESS = re.compile(r"listens on http://127\.0\.0\.1:(\d+)(\S*)/")


class ServerProcess:
    """A server over `home`; `variables` are OXO_FLOW_ settings without the prefix."""

    def __init__(self, home: Path, **variables: str) -> None:
        self.home = home
        self.port = 0
        self.prefix = ""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("OXO_FLOW_")}
        wanted = {"RATE_LIMIT": "0"} | variables
        chosen = {f"OXO_FLOW_{name}": text for name, text in wanted.items()}
        self.environ = inherited | PASSWORDS | chosen
        self.wrapper: list[str] = []  # words before the server's own command
        self.process: subprocess.Popen[str] | None = None
        self._tokens: dict[str, str] = {}

    def start(self) -> "ServerProcess":
        """Start, and return when the address is printed, which is after the socket is bound."""
        server = [sys.executable, str(ROOT / "app.py")]
        with (self.home.parent / f"{self.home.name}.stderr").open("a") as log:
            self.process = subprocess.Popen(
                [*self.wrapper, *server, "--port", "0", "--home", str(self.home)],
                env=self.environ,
                stdout=subprocess.PIPE,
                stderr=log,
                stdin=subprocess.DEVNULL,
                text=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = ADDRESS.search(line)
        if found is None:
            self.kill()
            log = (self.home.parent / f"{self.home.name}.stderr").read_text()
            raise AssertionError(f"the server did not start: {line!r}\n{log}")
        self.port, self.prefix = int(found[1]), found[2]
        return self

    def kill(self) -> None:
        """What a power cut does to the server; runs go on."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Ask it to stop; returns its exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: int) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        if self.process.stdout:
            self.process.stdout.close()
        return code

    def clean_up(self) -> None:
        """End the server and every runner and rule that works below its home."""
        if self.process is not None:
            self.kill()
        for process in self.descendants_of_home():
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue

    def descendants_of_home(self) -> list[psutil.Process]:
        """Processes whose working directory or command line lies below the home."""
        home, found = str(self.home), []
        for process in psutil.process_iter():
            try:
                inside = home in process.cwd() or any(home in word for word in process.cmdline())
            except psutil.Error:
                continue
            if inside and process.pid != os.getpid():
                found.append(process)
        return found

    def call(
        self, method: str, path: str, body: Any = None, *, user: str | None = None, **headers: str
    ) -> tuple[int, Any]:
        """Make one request; JSON answers come parsed, others as bytes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        sent = {name.replace("_", "-"): text for name, text in headers.items()}
        if user is not None:
            sent["Authorization"] = f"Bearer {self.token(user)}"
        if body is not None:
            sent["Content-Type"] = "application/json"
        try:
            connection.request(
                method, self.prefix + path, None if body is None else json.dumps(body), sent
            )
            answer = connection.getresponse()
            data = answer.read()
            kind = answer.getheader("Content-Type") or ""
            return answer.status, json.loads(data) if kind.startswith("application/json") else data
        finally:
            connection.close()

    def token(self, user: str) -> str:
        """Log in once per account and process."""
        if user not in self._tokens:
            status, answer = self.call(
                "POST", "/api/auth/login", {"username": user, "password": f"{user}-secret"}
            )
            assert status == 200, answer
            self._tokens[user] = answer["token"]
        return self._tokens[user]

    def forget_tokens(self) -> None:
        """Log in anew when next asked."""
        self._tokens.clear()

    def submit(self, text: str, user: str = "user", **more: Any) -> str:
        """Submit a workflow; returns the run's id."""
        body = {"toml_content": text, **more}
        status, answer = self.call("POST", "/api/workflows/run", body, user=user)
        assert status == 200, answer
        return str(answer["run_id"])

    def events(self, run_id: str, user: str = "user") -> list[dict[str, Any]]:
        """Follow a run's own stream to its end."""
        status, data = self.call("GET", f"/api/runs/{run_id}/events", user=user)
        assert status == 200, data
        frames = [line[6:] for line in data.decode().splitlines() if line.startswith("data: ")]
        return [json.loads(frame) for frame in frames]

    def finish(self, run_id: str, user: str = "user") -> dict[str, Any]:
        """Wait for the end of a run, which its stream tells; returns its detail."""
        self.events(run_id, user)
        status, detail = self.call("GET", f"/api/runs/{run_id}", user=user)
        assert status == 200, detail
        return detail  # type: ignore[no-any-return]
