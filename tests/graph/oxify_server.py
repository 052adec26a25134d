"""The real server as the tests of graphs use it: asked without a login, followed to the end."""

import http.client
import json
import subprocess
from pathlib import Path
from typing import Any

from tests.graph.building import code, node
from tests.patience import PATIENCE, wait_until
from tests.server_process import ServerProcess

ADD = code("Add", "result = x + y", "sum", ["x", "y"])
APPROVAL = node("Sign", "Approval", {"message": "Release {{plate}}?", "approvers": ["pi"]})
KEY = "sk-0123456789abcdef"  # of the servers; it must stand in no file


class OxifyServer(ServerProcess):
    """A server asked without a login, as curl on the same machine asks it."""

    def api(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        return self.call(method, f"/api/v1{path}", body, **headers)

    def ok(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        status, answer = self.api(method, path, body, **headers)
        assert status < 300, answer
        return answer

    def save(self, doc: Any) -> str:
        return str(self.ok("POST", "/workflows", {"workflow": doc})["id"])

    def begin(self, doc: Any, variables: Any = None, **options: Any) -> str:
        """Save and execute; the id of the execution."""
        body = {"variables": variables or {}, "options": options}
        return str(self.ok("POST", f"/workflows/{self.save(doc)}/execute", body)["execution_id"])

    def detail(self, execution: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ok("GET", f"/executions/{execution}")
        return found

    def until(self, execution: str, *states: str) -> dict[str, Any]:
        """Follow the stream until the execution is over; its detail."""
        self.frames(execution)
        detail = self.detail(execution)
        if states:
            assert detail["state"] in states, detail["state"]
        return detail

    def frames(self, execution: str, query: str = "", **headers: str) -> list[str]:
        """The frames of a stream that ends."""
        status, data = self.api("GET", f"/executions/{execution}/stream{query}", **headers)
        assert status == 200, data
        return [frame for frame in data.decode().split("\n\n") if frame]

    def followed(self, execution: str, query: str = "") -> list[str]:
        """The frames of a stream that is open before its execution's approval is given."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", f"/api/v1/executions/{execution}/stream{query}")
            response = connection.getresponse()
            first = b"".join(iter(response.readline, b"\n"))
            self.ok("POST", f"/approvals/{self.question(execution)['id']}/approve")
            text = (first + b"\n" + response.read()).decode()
        finally:
            connection.close()
        return [frame for frame in text.split("\n\n") if frame]

    def await_(self, look: Any) -> Any:
        """Ask again and again until there is something."""
        return wait_until(look)

    def question(self, execution: str, kind: str = "approvals") -> dict[str, Any]:
        found = self.await_(lambda: self.ok("GET", f"/executions/{execution}/{kind}"))
        return dict(found[0])

    def runner_of(self, execution: str) -> int:
        """The pid of an execution's runner."""
        path = self.run_directory(execution) / ".oxo-flow/run.json"
        found = self.await_(lambda: path.exists() and json.loads(path.read_text()))
        return int(found["pid"])

    def run_directory(self, execution: str) -> Path:
        return self.home / "workspace/users/local/runs" / execution


def alive_with(marker: str) -> bool:
    found = subprocess.run(["pgrep", "-f", marker], capture_output=True, check=False).stdout
    return bool(found.strip())
