"""Executions on a real server: started, followed, answered, paused, cancelled, killed, revived."""

import http.client
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.graph.building import code, line, node, node_id, shell
from tests.graph.fakes import Fake, Reply, fake_server
from tests.server_process import ServerProcess

START, END = node("Start", "Start"), node("End", "End")
ADD = code("Add", "result = x + y", "sum", ["x", "y"])
FINAL = ("Completed", "Cancelled")
PATIENCE = 60.0
KEY = "sk-0123456789abcdef"
LOOSE = {"STREAMS_PER_USER": "100"}


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

    def await_(self, look: Any) -> Any:
        """Ask again and again until there is something."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = look()
            if found:
                return found
            time.sleep(0.03)
        raise AssertionError("it did not happen")

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


@pytest.fixture(scope="module")
def models() -> Iterator[Fake]:
    with fake_server() as made:
        yield made


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, models: Fake) -> Iterator[OxifyServer]:
    """One server for all tests that do not kill it; it starts before settings are taken away."""
    made = OxifyServer(tmp_path_factory.mktemp("shared") / "home", MAX_RUNS="4", **LOOSE)
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
    made = OxifyServer(tmp_path / "home", MAX_RUNS="4", **LOOSE)
    try:
        yield made.start()
    finally:
        made.clean_up()


def test_execute_answers_with_an_id_that_the_next_request_knows(server: OxifyServer) -> None:
    workflow = server.save(line(ADD))
    status, begun = server.api(
        "POST", f"/workflows/{workflow}/execute", {"variables": {"x": 10, "y": 20}}
    )
    assert (status, begun["message"]) == (202, "Workflow execution started")
    assert set(begun) == {"execution_id", "message"}
    at_once = server.detail(begun["execution_id"])
    assert set(at_once) == {"execution_id", "workflow_id", "state", "variables", "node_results"}
    assert at_once["workflow_id"] == workflow
    done = server.until(begun["execution_id"], "Completed")
    assert done["variables"] == {"x": 10, "y": 20, "sum": 30}
    assert [item["node_name"] for item in done["node_results"]] == ["Start", "Add", "End"]
    for path in ("/executions", f"/workflows/{workflow}/executions"):
        listed = server.ok("GET", path)
        assert listed["total"] >= 1
        summary = listed["executions"][0]
        assert set(summary) == {
            "execution_id", "workflow_id", "state", "started_at", "completed_at",
        }  # fmt: skip
        assert summary["state"] == "Completed"
        assert summary["started_at"] <= summary["completed_at"]


def test_a_running_execution_keeps_the_definition_it_began_with(server: OxifyServer) -> None:
    workflow = server.save(line(shell("Wait", "sleep 0.5"), shell("Say", "echo old", "said")))
    begun = server.ok("POST", f"/workflows/{workflow}/execute")["execution_id"]
    server.ok("PUT", f"/workflows/{workflow}", {"workflow": line(shell("Say", "echo new", "said"))})
    server.ok("DELETE", f"/workflows/{workflow}")
    assert server.until(begun, "Completed")["variables"] == {"said": "old"}


def test_a_failure_has_its_reason_as_state(server: OxifyServer) -> None:
    done = server.until(server.begin(line(shell("Bad", "echo broken >&2; exit 3"))))
    assert done["state"] == {"Failed": "Node 'Bad' failed: exit code 3: broken"}


def test_twenty_executions_at_once_do_not_mix(server: OxifyServer) -> None:
    workflow = server.save(line(ADD))

    def one(number: int) -> tuple[str, Any]:
        body = {"variables": {"x": number, "y": 1000}}
        begun = server.ok("POST", f"/workflows/{workflow}/execute", body)["execution_id"]
        return begun, server.until(begun, "Completed")["variables"]["sum"]

    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(one, range(20)))
    assert len({begun for begun, _ in found}) == 20
    assert [total for _, total in found] == [number + 1000 for number in range(20)]


def test_a_plain_stream_has_bare_rising_frames_and_ends_with_the_end(server: OxifyServer) -> None:
    execution = server.begin(line(shell("Wait", "sleep 0.6"), ADD), {"x": 1, "y": 2})
    frames = server.frames(execution)
    ids, bodies = [], []
    for frame in frames:
        number, data = frame.splitlines()
        ids.append(int(number.removeprefix("id: ")))
        bodies.append(json.loads(data.removeprefix("data: ")))
    assert ids == sorted(set(ids))
    assert {frozenset(body) for body in bodies} == {
        frozenset({"execution_id", "workflow_id", "state", "node_results_count", "timestamp"})
    }
    assert bodies[0]["state"] == "Running"
    assert (bodies[-1]["state"], bodies[-1]["node_results_count"]) == ("Completed", 4)
    counts = [body["node_results_count"] for body in bodies]
    assert counts == sorted(counts)

    late = server.frames(execution)
    assert len(late) == 1
    assert '"Completed"' in late[0]
    middle = ids[1]
    again = server.frames(execution, Last_Event_ID=str(middle))
    assert [int(frame.splitlines()[0][4:]) for frame in again] == ids[2:]
    beyond = server.frames(execution, Last_Event_ID=str(ids[-1]))
    assert [frame.splitlines()[0] for frame in beyond] == [f"id: {ids[-1] + 1}"]


def test_a_typed_stream_names_its_frames(server: OxifyServer) -> None:
    execution = server.begin(line(shell("Wait", "sleep 0.4")))
    frames = server.frames(execution, "?events=state_change,progress,node_complete")
    names = [frame.splitlines()[0].removeprefix("event: ") for frame in frames]
    assert names[0] == names[-1] == "state_change"
    assert set(names) == {"state_change", "progress", "node_complete"}
    told = [
        json.loads(frame.splitlines()[1].removeprefix("data: "))
        for frame, name in zip(frames, names, strict=True)
        if name == "node_complete"
    ]
    assert told[-1]["node_name"] == "End"
    assert told[-1]["result"] == {"Success": {}}
    unknown = "00000000-0000-4000-8000-000000000000"
    status, data = server.api("GET", f"/executions/{unknown}/stream?heartbeat=true")
    assert (status, data.decode().splitlines()[0]) == (200, "event: error")
    status, _ = server.api("GET", f"/executions/{unknown}/stream")
    assert status == 404
    status, _ = server.api("GET", f"/executions/{execution}/stream?events=nonsense")
    assert status == 400


def test_streamed_tokens_are_frames_of_a_typed_stream(server: OxifyServer, models: Fake) -> None:
    parts = [{"response": "All "}, {"response": "fine."}, {"response": "", "done": True}]
    pieces = [json.dumps(part).encode() + b"\n" for part in parts]
    models.replies = [Reply(200, None, {"Content-Type": "application/x-ndjson"}, pieces)]
    llm = {"provider": "ollama", "model": "m", "prompt_template": "x"}
    doc = line(shell("Wait", "sleep 0.5"), node("Ask", "LLM", llm | {"extra_params": STREAM}))
    execution = server.begin(doc)
    frames = server.frames(execution, "?events=token,state_change")
    told = [frame.splitlines() for frame in frames if frame.startswith("event: token\n")]
    bodies = [json.loads(lines[-1].removeprefix("data: ")) for lines in told]
    assert "".join(body["text"] for body in bodies) == "All fine."
    assert {body["node_name"] for body in bodies} == {"Ask"}
    assert {body["execution_id"] for body in bodies} == {execution}
    ids = [int(lines[1].removeprefix("id: ")) for lines in told]
    assert ids == sorted(set(ids))
    again = server.frames(execution, "?events=token", Last_Event_ID="1")
    assert [frame.splitlines()[-1] for frame in again] == [lines[-1] for lines in told]


STREAM = {"stream": True}
APPROVAL = node("Sign", "Approval", {"message": "Release {{plate}}?", "approvers": ["pi"]})


def test_an_approval_waits_for_its_answer_and_takes_one(server: OxifyServer) -> None:
    execution = server.begin(line(APPROVAL), {"plate": "A7"})
    ask = server.question(execution)
    assert (ask["message"], ask["status"], ask["approvers"]) == ("Release A7?", "Pending", ["pi"])
    assert ask["node_id"] == node_id("Sign")
    assert ask in server.ok("GET", "/approvals")
    assert server.detail(execution)["state"] == "Running"
    path = f"/approvals/{ask['id']}"
    body = {"comments": "fine"}
    assert server.ok("POST", f"{path}/approve", body, X_User="ann") == {
        "success": True,
        "message": "Approval approved successfully",
    }
    done = server.until(execution, "Completed")
    signed = done["node_results"][1]["result"]["Success"]
    assert (signed["approved_by"], signed["comments"]) == ("ann", "fine")
    shown = server.ok("GET", path)
    assert (shown["status"], shown["resolved_by"]) == ("Approved", "ann")
    status, again = server.api("POST", f"{path}/reject")
    assert (status, again["error"]) == (400, "InvalidState")
    assert server.ok("GET", f"/executions/{execution}/approvals") == []


def test_a_rejected_approval_fails_the_execution(server: OxifyServer) -> None:
    execution = server.begin(line(APPROVAL), {"plate": 1})
    server.ok("POST", f"/approvals/{server.question(execution)['id']}/reject")
    done = server.until(execution)
    assert done["state"] == {"Failed": "Node 'Sign' failed: Approval rejected by anonymous"}


def test_executions_that_wait_hold_no_slot(server: OxifyServer) -> None:
    waiting = [server.begin(line(APPROVAL), {"plate": number}) for number in range(6)]
    asks = [server.question(execution) for execution in waiting]
    done = server.until(server.begin(line(ADD), {"x": 1, "y": 1}), "Completed")
    assert done["variables"]["sum"] == 2
    for ask in asks:
        server.ok("POST", f"/approvals/{ask['id']}/approve")
    for execution in waiting:
        server.until(execution, "Completed")


def test_a_form_is_checked_and_completes_the_node(server: OxifyServer) -> None:
    fields = [
        {"id": "vol", "label": "Volume", "field_type": "Number", "required": True,
         "validation": {"min": 1}},
        {"id": "who", "label": "Who", "field_type": "Email"},
        {"id": "buffer", "label": "Buffer", "field_type": "Select", "options": ["TE", "PBS"],
         "default_value": "TE"},
        {"id": "code", "label": "Code", "field_type": "Text",
         "validation": {"pattern": "[A-Z]{2}"}},
    ]  # fmt: skip
    execution = server.begin(line(node("Ask", "Form", {"title": "Sample", "fields": fields})))
    ask = server.question(execution, "forms")
    assert [field["id"] for field in ask["fields"]] == ["vol", "who", "buffer", "code"]
    path = f"/forms/{ask['id']}/submit"
    for bad, said in (
        ({}, "'vol' is required"),
        ({"vol": "5"}, "'vol' must be a number"),
        ({"vol": 0}, "'vol' must be at least 1"),
        ({"vol": 5, "who": "nobody"}, "'who' must be an e-mail address"),
        ({"vol": 5, "buffer": "water"}, "'buffer' must be one of its options"),
        ({"vol": 5, "code": "abc"}, "'code' must fit the pattern"),
    ):
        status, answer = server.api("POST", path, {"form_data": bad})
        assert (status, answer["error"]) == (400, "ValidationError")
        assert said in answer["message"]
    server.ok("POST", path, {"form_data": {"vol": 5, "code": "AB"}})
    done = server.until(execution, "Completed")
    assert done["variables"]["form_data"] == {"vol": 5, "code": "AB", "buffer": "TE"}
    assert server.ok("GET", f"/forms/{ask['id']}")["status"] == "Submitted"


def alive_with(marker: str) -> bool:
    found = subprocess.run(["pgrep", "-f", marker], capture_output=True, check=False).stdout
    return bool(found.strip())


def test_a_cancel_ends_programs_waits_and_calls(server: OxifyServer, models: Fake) -> None:
    gate = threading.Event()
    models.replies = [Reply(200, {}, gate=gate)]
    llm = {"provider": "ollama", "model": "m", "prompt_template": "x"}
    sleeping = server.begin(line(shell("Sleep", "trap '' TERM; sleep 4321 & sleep 4321")))
    waiting = server.begin(line(APPROVAL), {"plate": 1})
    calling = server.begin(line(node("Ask", "LLM", llm)))
    server.await_(lambda: alive_with("sleep 4321"))
    server.question(waiting)
    server.await_(lambda: models.seen)
    for execution in (sleeping, waiting, calling):
        answer = server.ok("POST", f"/executions/{execution}/cancel")
        assert answer == {
            "message": "Execution cancelled successfully",
            "execution_id": execution,
            "state": "Cancelled",
        }
        assert server.detail(execution)["state"] == "Cancelled"
        status, again = server.api("POST", f"/executions/{execution}/cancel")
        assert (status, again["error"]) == (400, "InvalidState")
    gate.set()
    assert not alive_with("sleep 4321")
    server.await_(lambda: server.ok("GET", f"/executions/{waiting}/approvals") == [])


def test_pause_writes_a_checkpoint_and_resume_goes_on_under_the_same_id(
    server: OxifyServer, tmp_path: Path
) -> None:
    gate, count = tmp_path / "gate", tmp_path / "count"
    wait = f"echo one >> {count}; while [ ! -e {gate} ]; do sleep 0.05; done"
    execution = server.begin(line(shell("One", wait), shell("Two", f"echo two >> {count}")))
    server.await_(count.exists)
    with ThreadPoolExecutor(1) as pool:
        paused = pool.submit(server.ok, "POST", f"/executions/{execution}/pause", {"reason": "tea"})
        events = server.run_directory(execution) / ".oxo-flow/events.jsonl"
        server.await_(lambda: '"run_pausing"' in events.read_text())
        assert server.ok("GET", f"/executions/{execution}/checkpoints")["total"] == 1
        gate.touch()
        answer = paused.result()
    assert answer["message"] == "Execution paused successfully"
    server.await_(lambda: server.detail(execution)["state"] == "Paused")
    kept = server.await_(
        lambda: [
            each
            for each in server.ok("GET", f"/executions/{execution}/checkpoints")["checkpoints"]
            if each["completed_nodes_count"] == 2
        ]
    )
    assert (kept[0]["id"], kept[0]["reason"]) == (answer["checkpoint_id"], "tea")
    assert count.read_text() == "one\n"
    status, refused = server.api("POST", f"/executions/{execution}/pause")
    assert (status, refused["error"]) == (400, "InvalidState")
    assert server.ok("POST", f"/executions/{execution}/resume") == {
        "execution_id": execution,
        "message": "Execution resume initiated",
    }
    _, audit = server.call("GET", "/api/audit", user="admin")
    told = [row["action"] for row in audit["entries"] if execution in row["resource"]]
    assert sorted(told) == ["pause_execution", "resume_execution"]
    server.until(execution, "Completed")
    assert count.read_text() == "one\ntwo\n"
    status, refused = server.api("POST", f"/executions/{execution}/resume")
    assert (status, refused["error"]) == (400, "InvalidState")
    assert server.ok("DELETE", f"/executions/{execution}/checkpoints")["deleted_count"] == 1


CALLS = line(
    *(
        node(name, "Tool", {"server_id": "{{url}}", "tool_name": f"POST /{name}"})
        for name in ("one", "two", "three", "four")
    )
)


def called(fake: Fake) -> list[str]:
    return [seen.path for seen in fake.seen]


def test_a_killed_server_repeats_no_completed_node(mortal: OxifyServer, fake: Fake) -> None:
    gate = threading.Event()
    fake.answer = lambda seen: Reply(200, {}, gate=gate if seen.path == "/two" else None)
    execution = mortal.begin(CALLS, {"url": fake.url})
    mortal.await_(lambda: "/two" in called(fake))
    mortal.kill()
    gate.set()
    mortal.start()
    mortal.until(execution, "Completed")
    assert called(fake) == ["/one", "/two", "/three", "/four"]


def test_a_killed_runner_is_revived_once_and_then_paused(mortal: OxifyServer, fake: Fake) -> None:
    gates = {path: threading.Event() for path in ("/two", "/three")}
    fake.answer = lambda seen: Reply(200, {}, gate=gates.get(seen.path))
    execution = mortal.begin(CALLS, {"url": fake.url})
    for path in ("/two", "/three"):
        mortal.await_(lambda path=path: path in called(fake))
        pid = mortal.runner_of(execution)
        os.kill(pid, signal.SIGKILL)
        mortal.await_(lambda: not Path(f"/proc/{pid}/exe").exists())  # noqa: B023
        gates[path].set()
    mortal.await_(lambda: mortal.detail(execution)["state"] == "Paused")
    checkpoints = mortal.ok("GET", f"/executions/{execution}/checkpoints")["checkpoints"]
    assert checkpoints[0]["reason"] == "its runner died twice"
    mortal.ok("POST", f"/executions/{execution}/resume")
    mortal.until(execution, "Completed")
    assert called(fake).count("/one") == 1
    assert called(fake).count("/four") == 1
    assert sorted(set(called(fake))) == ["/four", "/one", "/three", "/two"]


def test_the_bridge_runs_a_child_of_its_owner(server: OxifyServer) -> None:
    text = '[workflow]\nname = "child"\n[config]\nword = "w"\n[[rules]]\nname = "say"\n'
    text += 'output = ["said.txt"]\nshell = "echo {config.word} > {output}"\n'
    parameters = {"toml_content": text, "config": {"word": "{{word}}"}}
    tool = {"server_id": "oxo", "tool_name": "run", "parameters": parameters}
    done = server.until(server.begin(line(node("Run", "Tool", tool)), {"word": "hi"}), "Completed")
    result = done["node_results"][1]["result"]["Success"]
    assert (result["state"], result["outputs"]) == ("success", ["said.txt"])
    assert (server.run_directory(result["run_id"]) / "said.txt").read_text() == "hi\n"
    parameters["toml_content"] = "not toml ["
    failed = server.until(server.begin(line(node("Run", "Tool", tool)), {"word": "hi"}))
    assert "ended failed" in failed["state"]["Failed"]


def test_a_retriever_finds_the_owners_texts(server: OxifyServer) -> None:
    base = "/vectors/collections"
    server.ok("POST", base, {"name": "sops", "dimension": 0, "provider": "sqlite"})
    texts = ["How to clean a pipette", "Ordering gloves", "The centrifuge rotor"]
    vectors = [{"id": f"d{n}", "vector": [], "metadata": {"text": t}} for n, t in enumerate(texts)]
    server.ok("POST", f"{base}/sops/vectors", {"vectors": vectors})

    def ask(question: str, collection: str = "sops") -> Any:
        config = {"db_type": "fts5", "collection": collection, "query": "{{q}}", "top_k": 2}
        doc = line(node("R", "Retriever", config))
        return server.until(server.begin(doc, {"q": question}))

    found = ask('pipette" OR NEAR(rotor* gloves) - AND')["node_results"][1]["result"]["Success"]
    assert found["count"] == 2
    assert found["results"][0]["payload"]["text"] in texts
    assert 0 < found["results"][0]["score"] < 1
    assert ask("pipette")["node_results"][1]["result"]["Success"]["results"][0]["id"] == "d0"
    assert "collection 'none' does not exist" in ask("x", "none")["state"]["Failed"]


def test_sub_workflows_are_copied_when_the_execution_begins(server: OxifyServer) -> None:
    inner = server.save(line(code("Square", "result = n * n", "y", ["n"]), name="Square"))
    config = {"workflow_path": f"workflow:{inner}", "input_mappings": {"n": "{{x}}"},
              "output_variable": "y"}  # fmt: skip
    outer = server.save(line(shell("Wait", "sleep 0.3"), node("Sub", "SubWorkflow", config)))
    body = {"variables": {"x": 7}}
    begun = server.ok("POST", f"/workflows/{outer}/execute", body)["execution_id"]
    server.ok("DELETE", f"/workflows/{inner}")
    assert server.until(begun, "Completed")["variables"]["y"] == 49


def test_a_trial_executes_waits_and_compares(server: OxifyServer) -> None:
    workflow = server.save(line(code("C", "result = x * 2", "result", ["x"])))
    path = f"/workflows/{workflow}/test"
    passed = server.ok("POST", path, {"inputs": {"x": "21"}, "expected_output": " 42 "})
    assert {key: passed[key] for key in ("passed", "output", "expected_output", "error")} == {
        "passed": True, "output": "42", "expected_output": " 42 ", "error": None,
    }  # fmt: skip
    assert server.detail(passed["execution_id"])["state"] == "Completed"
    other = server.ok("POST", path, {"inputs": {"x": "21"}, "expected_output": "43"})
    assert (other["passed"], other["output"]) == (False, "42")
    failed = server.ok("POST", path, {})
    assert (failed["passed"], failed["output"]) == (False, None)
    assert "Variable not found: x" in failed["error"]
    slow = server.save(line(shell("Slow", "sleep 60")))
    late = server.ok("POST", f"/workflows/{slow}/test", {"timeout_ms": 300})
    assert (late["passed"], late["error"]) == (False, "Timed out after 300 ms")
    server.await_(lambda: server.detail(late["execution_id"])["state"] == "Cancelled")


def test_a_batch_starts_what_it_can(server: OxifyServer) -> None:
    workflow = server.save(line(ADD))
    items = [
        {"workflow_id": workflow, "variables": {"x": 1, "y": 1}},
        {"workflow_id": "00000000-0000-4000-8000-000000000000"},
        {"workflow_id": workflow, "variables": []},
    ]
    answer = server.ok("POST", "/executions/batch", {"executions": items, "max_concurrent": 2})
    assert (answer["total"], answer["succeeded"], answer["failed"]) == (3, 1, 2)
    assert [each["success"] for each in answer["results"]] == [True, False, False]
    begun = answer["results"][0]["execution_id"]
    assert server.until(begun, "Completed")["variables"]["sum"] == 2
    status, _ = server.api("POST", "/executions/batch", {"executions": [{}] * 51})
    assert status == 400


def test_the_example_runs_against_a_model_and_no_secret_leaks(
    server: OxifyServer, models: Fake
) -> None:
    doc = json.loads((Path(__file__).parent / "plate_qc.json").read_text())["workflow"]
    models.replies = [Reply(200, {"response": "All fine.", "model": "llama3.2"})]
    variables = {"readings": [0.41, 0.43, 0.42], "cv_limit": 10}
    execution = server.begin(doc, variables)
    done = server.until(execution, "Completed")
    results = {item["node_name"]: item["result"] for item in done["node_results"]}
    assert results["Sign off"] == "Skipped"
    assert results["Report"]["Success"]["response"] == "All fine."
    assert set(done["variables"]) == {"readings", "cv_limit", "stats"}
    leaked = subprocess.run(["grep", "-r", KEY, str(server.home)], capture_output=True, check=False)
    assert leaked.stdout == b""


@pytest.mark.parametrize(
    "name",
    ["Forwarded", "X_Forwarded_For", "X_Forwarded_Host", "X_Forwarded_Proto", "X_Forwarded_Port",
     "X_Forwarded_By", "X_Forwarded_Server", "X_Real_IP"],
)  # fmt: skip
def test_a_forwarded_header_reaches_the_rule_through_the_real_server(
    server: OxifyServer, name: str
) -> None:
    """waitress would take most of them away by default."""
    for method, path in (("GET", "/workflows"), ("POST", "/workflows/validate")):
        status, answer = server.api(method, path, {"workflow": line()}, **{name: "127.0.0.1"})
        assert (status, answer["error"]) == (401, "Unauthorized")


def test_the_missions_curl_lines_work_when_pasted(server: OxifyServer, tmp_path: Path) -> None:
    body = {
        "workflow": {
            "metadata": {
                "id": "550e8400-e29b-41d4-a716-446655440000",
                "name": "My RAG Workflow",
                "version": "1.0.0",
                "tags": ["rag"],
            },
            **{key: line(shell("Wait", "sleep 0.5"))[key] for key in ("nodes", "edges")},
        }
    }
    (tmp_path / "workflow.json").write_text(json.dumps(body))
    base = f"http://localhost:{server.port}/api/v1"
    script = f"""
curl -sf -X POST {base}/workflows \\
-H "Content-Type: application/json" \\
-d @workflow.json
curl -sf -X POST {base}/workflows/550e8400-e29b-41d4-a716-446655440000/execute \\
-H "Content-Type: application/json" \\
-d '{{"variables": {{"input": "Hello"}}}}' | tee begun.json
id=$(python3 -c 'import json; print(json.load(open("begun.json"))["execution_id"])')
curl -sfN {base}/executions/$id/stream
"""
    done = subprocess.run(
        ["bash", "-eu", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert '{"id":"550e8400-e29b-41d4-a716-446655440000","message":' in done.stdout
    frames = re.findall(r"^data: (.*)$", done.stdout, re.MULTILINE)
    assert json.loads(frames[-1])["state"] == "Completed"


def test_a_stream_survives_the_death_of_the_server(mortal: OxifyServer) -> None:
    execution = mortal.begin(line(APPROVAL, shell("After", "true")), {"plate": 1})
    mortal.question(execution)
    connection = http.client.HTTPConnection("127.0.0.1", mortal.port, timeout=PATIENCE)
    connection.request("GET", f"/api/v1/executions/{execution}/stream")
    response = connection.getresponse()
    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert response.headers["Cache-Control"] == "no-cache"
    assert response.headers["X-Accel-Buffering"] == "no"
    last = response.readline().decode().strip().removeprefix("id: ")
    mortal.kill()
    connection.close()
    mortal.start()
    ask = mortal.question(execution)
    mortal.ok("POST", f"/approvals/{ask['id']}/approve")
    frames = mortal.frames(execution, Last_Event_ID=last)
    assert '"Completed"' in frames[-1]
    assert all(int(frame.splitlines()[0][4:]) > int(last) for frame in frames)
