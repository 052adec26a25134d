"""Execute graphs in this process, in a directory of the test, and follow their events."""

import os
import queue
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from oxoflow.engine.events import Event, EventLine, read_events
from oxoflow.engine.rundir import RunDirectory, RunRecord, write_control
from oxoflow.graph.detail import execution_detail
from oxoflow.graph.execution import Job, execute
from oxoflow.graph.supplies import Supplies
from oxoflow.graph.validate import read_graph
from oxoflow.graph.work import Limits
from tests.graph.building import node_id
from tests.graph.fakes import Fake, Reply, fake_server
from tests.graph.oxify_server import KEY, OxifyServer
from tests.patience import PATIENCE
from tests.web.conftest import admin, app, client, make_app, services, user, viewer

__all__ = ["admin", "app", "client", "make_app", "services", "user", "viewer"]


class Execution:
    """One execution: started by `run` or `start`, looked at afterwards."""

    def __init__(self, root: Path, document: Any, **options: Any) -> None:
        self.root = root
        self.directory = RunDirectory(root)
        self.id = options.pop("execution_id", None) or str(uuid.uuid4())
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.environ: Mapping[str, str] = options.pop("environ", None) or dict(os.environ)
        variables = options.pop("variables", {})
        nonce, library = options.pop("nonce", None), options.pop("library", None)
        supply = {
            key: options.pop(key) for key in ("continue_on_error", "documents", "servers")
            if key in options
        }  # fmt: skip
        self.supplies = Supplies("w", variables, limits=Limits(**options), **supply)
        self.job = Job(
            self.id, read_graph(document), self.supplies, root, nonce, library, self.events.put
        )
        self.record: RunRecord | None = None
        self._thread: threading.Thread | None = None

    def run(self) -> "Execution":
        self.record = execute(self.job, self.environ)
        return self

    def start(self) -> "Execution":
        self._thread = threading.Thread(target=self.run)
        self._thread.start()
        return self

    def finish(self) -> "Execution":
        assert self._thread is not None
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the execution hangs"
        return self

    def await_event(self, type_: str, name: str | None = None) -> Event:
        while True:
            event = self.events.get(timeout=PATIENCE)
            if event.type == type_ and name in (None, event.rule):
                return event

    def await_nothing(self) -> None:
        """Let the execution go on for a moment, for tests that look at files of its programs."""
        time.sleep(0.02)

    def control(self, type_: str, **body: Any) -> None:
        write_control(self.directory.control, {"type": type_, **body})

    @property
    def detail(self) -> dict[str, Any]:
        assert self.record is not None
        return execution_detail(self.root, self.record, self.supplies)

    @property
    def state(self) -> Any:
        return self.detail["state"]

    @property
    def failure(self) -> str:
        return str(self.state["Failed"])

    @property
    def variables(self) -> Any:
        return self.detail["variables"]

    @property
    def results(self) -> dict[str, Any]:
        """Node name to its result, in the order of the API."""
        return {item["node_name"]: item["result"] for item in self.detail["node_results"]}

    def output(self, name: str) -> Any:
        return self.results[name]["Success"]

    def item(self, name: str) -> Any:
        wanted = node_id(name)
        return next(item for item in self.detail["node_results"] if item["node_id"] == wanted)

    @property
    def lines(self) -> list[EventLine]:
        return read_events(self.directory.events)[0]

    def types(self, name: str | None = None) -> list[str]:
        return [line.type for line in self.lines if name in (None, line.rule)]


Begin = Callable[..., Execution]


@pytest.fixture
def begin(tmp_path: Path) -> Begin:
    """Make an execution of a document; keywords are variables=, slots=, nonce= and so on."""
    made = iter(range(100))

    def make(document: Any, **options: Any) -> Execution:
        root = options.pop("root", None) or tmp_path / f"run{next(made)}"
        return Execution(root, document, **options)

    return make


@pytest.fixture
def fake() -> Iterator[Fake]:
    with fake_server() as server:
        yield server


LOOSE = {"MAX_RUNS": "4", "STREAMS_PER_USER": "100"}


@pytest.fixture(scope="module")
def models() -> Iterator[Fake]:
    with fake_server() as made:
        yield made


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, models: Fake) -> Iterator[OxifyServer]:
    """One server for all tests that do not kill it; it starts before settings are taken away."""
    made = OxifyServer(tmp_path_factory.mktemp("shared") / "home", **LOOSE)
    made.environ |= {"OLLAMA_BASE_URL": models.url, "OPENAI_API_KEY": KEY}
    try:
        yield made.start()
    finally:
        made.clean_up()


@pytest.fixture
def server(shared: OxifyServer, models: Fake) -> OxifyServer:
    models.seen.clear()
    models.replies, models.answer = [Reply()], None
    return shared


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[OxifyServer]:
    """A server of the test's own, to be killed."""
    made = OxifyServer(tmp_path / "home", **LOOSE)
    try:
        yield made.start()
    finally:
        made.clean_up()


STDIO = """
import json, sys
for text in sys.stdin:
    m = json.loads(text)
    if m["method"] == "initialize":
        print("a line that is no JSON")
        print(json.dumps({"jsonrpc": "2.0", "id": m["id"], "result": {}}), flush=True)
    elif m["method"] == "tools/call":
        if m["params"]["name"] == "die":
            sys.exit(1)
        if m["params"]["name"] == "hang":
            continue
        a = m["params"]["arguments"]
        body = {"content": [{"type": "text", "text": str(a["a"] + a["b"])}]}
        print(json.dumps({"jsonrpc": "2.0", "id": m["id"], "result": body}), flush=True)
"""


@pytest.fixture
def servers(tmp_path: Path) -> dict[str, Any]:
    script = tmp_path / "server.py"
    script.write_text(STDIO)
    return {"calc": {"server_type": "stdio", "command": [sys.executable, str(script)]}}
