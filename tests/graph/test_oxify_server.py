"""Executions on a real server: started, paused, cancelled, tried out, with all they call."""

import json
import os
import re
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.graph.building import code, line, node, shell
from tests.graph.fakes import Fake, Reply
from tests.graph.oxify_server import ADD, APPROVAL, KEY, OxifyServer, alive_with
from tests.patience import PATIENCE
from tests.web.test_server_runs import several_at_a_time


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


def wait_for(gate: Path) -> dict[str, Any]:
    """A node that ends when a file is there."""
    return shell("Wait", f"until [ -e {gate} ]; do sleep 0.05; done")


def test_a_running_execution_keeps_the_definition_it_began_with(
    server: OxifyServer, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    workflow = server.save(line(wait_for(gate), shell("Say", "echo old", "said")))
    begun = server.ok("POST", f"/workflows/{workflow}/execute")["execution_id"]
    server.ok("PUT", f"/workflows/{workflow}", {"workflow": line(shell("Say", "echo new", "said"))})
    server.ok("DELETE", f"/workflows/{workflow}")
    gate.touch()
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


@several_at_a_time
def test_a_cancel_ends_programs_waits_and_calls(server: OxifyServer, models: Fake) -> None:
    gate = threading.Event()
    models.replies = [Reply(200, {}, gate=gate)]
    llm = {"provider": "ollama", "model": "m", "prompt_template": "x"}
    long = f"4321.{os.getpid()}"  # the seconds of this test alone
    sleeping = server.begin(line(shell("Sleep", f"trap '' TERM; sleep {long} & sleep {long}")))
    waiting = server.begin(line(APPROVAL), {"plate": 1})
    calling = server.begin(line(node("Ask", "LLM", llm)))
    server.await_(lambda: alive_with(f"sleep {long}"))
    server.question(waiting)
    server.await_(lambda: models.seen)
    for execution in (sleeping, waiting, calling):
        answer = server.ok("POST", f"/executions/{execution}/cancel")
        if answer["message"] == "Execution is being cancelled":  # on a slow machine
            server.until(execution, "Cancelled")
        else:
            assert answer == {
                "message": "Execution cancelled successfully",
                "execution_id": execution,
                "state": "Cancelled",
            }
        assert server.detail(execution)["state"] == "Cancelled"
        status, again = server.api("POST", f"/executions/{execution}/cancel")
        assert (status, again["error"]) == (400, "InvalidState")
    gate.set()
    assert not alive_with(f"sleep {long}")
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
    assert "the workflow was not run: not valid TOML" in failed["state"]["Failed"]


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


def test_sub_workflows_are_copied_when_the_execution_begins(
    server: OxifyServer, tmp_path: Path
) -> None:
    inner = server.save(line(code("Square", "result = n * n", "y", ["n"]), name="Square"))
    config = {"workflow_path": f"workflow:{inner}", "input_mappings": {"n": "{{x}}"},
              "output_variable": "y"}  # fmt: skip
    gate = tmp_path / "gate"
    outer = server.save(line(wait_for(gate), node("Sub", "SubWorkflow", config)))
    body = {"variables": {"x": 7}}
    begun = server.ok("POST", f"/workflows/{outer}/execute", body)["execution_id"]
    server.ok("DELETE", f"/workflows/{inner}")
    gate.touch()
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
        ["bash", "-eu", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    assert '{"id":"550e8400-e29b-41d4-a716-446655440000","message":' in done.stdout
    frames = re.findall(r"^data: (.*)$", done.stdout, re.MULTILINE)
    assert json.loads(frames[-1])["state"] == "Completed"
