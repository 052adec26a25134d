import json
import threading
from pathlib import Path
from typing import Any

import pytest

from oxoflow.engine.events import timestamp
from oxoflow.errors import UsageError
from oxoflow.graph.execution import execute
from oxoflow.graph.journal import NAME
from oxoflow.graph.scope import node_key
from tests.graph.building import code, document, edge, if_else, line, node, node_id, shell
from tests.graph.conftest import Begin

START, END = node("Start", "Start"), node("End", "End")
ADD = code("Add", "result = x + y", "sum", ["x", "y"])


def loop(name: str, expression: str, collection: str = "xs", **config: Any) -> dict[str, Any]:
    kind = {"variant": "ForEach", "collection_path": collection, "item_variable": "x",
            "body_expression": expression}  # fmt: skip
    return node(name, "Loop", {"loop_type": kind, **config})


def test_start_code_end_completes_with_its_variables_and_results(begin: Begin) -> None:
    done = begin(line(ADD), variables={"x": 10, "y": 20}).run()
    assert done.state == "Completed"
    assert done.variables == {"x": 10, "y": 20, "sum": 30}
    assert done.results == {
        "Start": {"Success": {}},
        "Add": {"Success": {"runtime": "python", "output": "sum", "result": 30}},
        "End": {"Success": {}},
    }
    item = done.item("Add")
    assert set(item) == {
        "node_id", "node_name", "kind", "started_at", "completed_at", "result", "retry_count",
        "metrics",
    }  # fmt: skip
    assert (item["kind"], item["retry_count"]) == ("Code", 0)
    assert item["metrics"]["duration_ms"] >= 0
    assert item["metrics"]["memory_bytes"] > 1_000_000
    assert done.record is not None
    assert (done.record.exit_code, done.record.error) == (0, None)
    assert done.types() == [
        "run_started", "node.started", "node.completed", "node.started", "node.completed",
        "node.started", "node.completed", "run_completed",
    ]  # fmt: skip
    assert [event.seq for event in done.lines] == list(range(1, 9))


def test_the_variable_result_is_the_answer_of_end(begin: Begin) -> None:
    assert begin(line(code("C", "result = 5", "result"))).run().output("End") == {"result": 5}


@pytest.mark.parametrize(("x", "taken", "passed"), [(7, "Big", "Small"), (3, "Small", "Big")])
def test_only_the_branch_taken_runs(begin: Begin, x: int, taken: str, passed: str) -> None:
    doc = document(
        [START, if_else("If", "x > 5", "Big", "Small"), loop("Big", "b"), loop("Small", "s"), END],
        ["Start If", "Big End", "Small End"],
    )
    done = begin(doc, variables={"x": x, "xs": [1]}).run()
    assert done.state == "Completed"
    assert done.results[passed] == "Skipped"
    assert done.output(taken)["iterations"] == 1
    assert done.output("If") == {
        "expression": "x > 5",
        "condition_met": taken == "Big",
        "next_branch": "true" if taken == "Big" else "false",
        "next_node": node_id(taken),
    }
    assert done.types("End") == ["node.started", "node.completed"]


def test_skips_propagate_and_a_join_runs_once_when_one_edge_is_active(begin: Begin) -> None:
    doc = document(
        [START, *(loop(name, name) for name in ("A", "B", "C", "D")), END],
        [edge("Start", "A", condition="go == 'left'"), edge("Start", "B", condition="go != 'left'"),
         "A C D End", "B D"],
    )  # fmt: skip
    done = begin(doc, variables={"go": "right", "xs": []}).run()
    assert [name for name, result in done.results.items() if result == "Skipped"] == ["A", "C"]
    assert done.state == "Completed"


def test_an_end_that_nothing_reaches_is_a_failure(begin: Begin) -> None:
    doc = document([START, END], [edge("Start", "End", condition="false")])
    done = begin(doc).run()
    assert done.failure == "no path reached End"
    assert done.results["End"] == "Skipped"


def test_a_condition_without_truth_fails_the_execution(begin: Begin) -> None:
    done = begin(document([START, END], [edge("Start", "End", condition="nowhere")])).run()
    assert "Variable not found: nowhere" in done.failure


@pytest.mark.parametrize(
    ("status", "case", "result", "reached"),
    [
        ("ok", "ok", "fine 5", "A"),
        ("error 7", "regex:^err", "alert", "B"),
        ("else", "default", "none of them", "C"),
    ],
)
def test_a_switch_routes_by_labels(
    begin: Begin, status: str, case: str, result: str, reached: str
) -> None:
    cases = [
        {"match_value": "regex:(broken", "action": "never"},
        {"match_value": "ok", "action": "fine {{n}}"},
        {"match_value": "regex:^err", "action": "alert"},
    ]
    switch = node("S", "Switch", {"switch_on": "{{status}}", "cases": cases,
                                  "default_case": "none of them"})  # fmt: skip
    doc = document(
        [START, switch, loop("A", "a"), loop("B", "b"), loop("C", "c"), END],
        ["Start S", edge("S", "A", label="ok"), edge("S", "B", label="alert"),
         edge("S", "C", label="default"), "A End", "B End", "C End"],
    )  # fmt: skip
    done = begin(doc, variables={"status": status, "n": 5, "xs": []}).run()
    assert done.output("S") == {"matched_case": case, "result": result}
    assert [name for name in "ABC" if done.results[name] != "Skipped"] == [reached]


def test_a_switch_without_match_and_default_fails(begin: Begin) -> None:
    switch = node("S", "Switch", {"switch_on": "x", "cases": [{"match_value": "y", "action": "z"}]})
    assert "No case matches 'x'" in begin(line(switch)).run().failure


def test_the_first_failure_ends_the_execution_and_the_rest_keeps_no_entry(begin: Begin) -> None:
    doc = line(code("Bad", "raise ValueError('no such plate')"), loop("After", "a"))
    done = begin(doc).run()
    assert done.failure.startswith("Node 'Bad' failed: exit code 1:")
    assert "no such plate" in done.failure
    assert set(done.results) == {"Start", "Bad"}
    assert done.record is not None
    assert done.record.exit_code == 1


def test_a_failure_stops_what_runs_beside_it(begin: Begin) -> None:
    doc = document(
        [START, shell("Slow", "echo started; sleep 60"), shell("Bad", "exit 3"), END],
        ["Start Slow End", "Start Bad End"],
    )
    done = begin(doc).run()
    assert done.failure == "Node 'Bad' failed: exit code 3"
    assert set(done.results) == {"Start", "Bad"}


def test_continue_on_error_goes_on_beside_the_failure(begin: Begin) -> None:
    doc = document(
        [START, shell("Bad", "exit 3"), loop("Below", "b"), loop("Beside", "c"), END],
        ["Start Bad Below End", "Start Beside End"],
    )
    done = begin(doc, variables={"xs": [1]}, continue_on_error=True).run()
    assert done.failure == "Node 'Bad' failed: exit code 3"
    assert done.results["Below"] == "Skipped"
    assert done.output("Beside")["results"] == ["c"]
    assert done.output("End") == {}


def test_a_node_sees_what_its_ancestors_made_by_every_name(begin: Begin) -> None:
    doc = line(
        code("First step", "result = {'n': 3}", "made"),
        loop("Names", '{"v": {{made.n}}, "alias": {{first_step.result.n}}, "x": "{{x}}"}'),
        if_else("If", f"${node_key(node_id('First step'))}.result.n == 3", "End", "End"),
        code("Code", "result = made['n'] + first_step['result']['n'] + inputs['made']['n']", "sum",
             ["made"]),
    )  # fmt: skip
    done = begin(doc, variables={"xs": ["q"]}).run()
    assert done.output("Names")["results"] == [{"v": 3, "alias": 3, "x": "q"}]
    assert done.variables == {"xs": ["q"], "made": {"n": 3}, "sum": 9}


def test_branches_do_not_see_each_other(begin: Begin) -> None:
    doc = document(
        [START, code("A", "result = 1", "a"), loop("B", "{{a}}"), END],
        ["Start A End", "Start B End"],
    )
    done = begin(doc, variables={"xs": [1]}).run()
    assert "Node 'B' failed: Variable not found: a" in done.failure


def test_nodes_that_do_not_depend_on_each_other_run_at_a_time(begin: Begin, tmp_path: Path) -> None:
    meet = (
        "touch {own}; for i in $(seq 6000); do [ -e {other} ] && exit 0; sleep 0.05; done; exit 1"
    )
    a, b = tmp_path / "a", tmp_path / "b"
    doc = document(
        [
            START,
            shell("A", meet.format(own=a, other=b)),
            shell("B", meet.format(own=b, other=a)),
            END,
        ],
        ["Start A End", "Start B End"],
    )
    assert begin(doc).run().state == "Completed"


RETRY = {"max_retries": 2, "initial_delay_ms": 120, "backoff_multiplier": 2.0, "max_delay_ms": 200}


def test_a_node_that_fails_twice_succeeds_at_the_third_attempt(
    begin: Begin, tmp_path: Path
) -> None:
    count = tmp_path / "count"
    text = f"echo x >> {count}; [ $(wc -l < {count}) -ge 3 ]; echo 7"
    done = begin(line(shell("Flaky", text, "n", retry_config=RETRY))).run()
    assert done.state == "Completed"
    assert done.variables == {"n": 7}
    assert done.item("Flaky")["retry_count"] == 2
    retries = [event.data for event in done.lines if event.type == "node.retry"]
    assert [(each["attempt"], each["max_retries"], each["delay_ms"]) for each in retries] == [
        (1, 2, 120),
        (2, 2, 200),
    ]
    times = [event.time for event in done.lines if event.rule == "Flaky"]
    assert len(times) == 4


def test_retries_wait_as_long_as_they_say(begin: Begin) -> None:
    done = begin(line(shell("Bad", "exit 1", retry_config=RETRY))).run()
    assert done.failure == "Node 'Bad' failed: Failed after 2 retries: exit code 1"
    assert done.item("Bad")["metrics"]["duration_ms"] >= 120 + 200


def test_what_trying_again_cannot_cure_is_not_tried_again(begin: Begin) -> None:
    done = begin(line(loop("L", "{{gone}}", retry_config=None) | {"retry_config": RETRY}),
                 variables={"xs": [1]}).run()  # fmt: skip
    assert done.failure == "Node 'L' failed: Variable not found: gone"
    assert "node.retry" not in done.types()


def timed(name: str, action: Any, **more: Any) -> dict[str, Any]:
    timeout = {"execution_timeout_ms": 300, "timeout_action": action}
    return shell(name, "echo before; sleep 60", "out", timeout_config=timeout, **more)


def test_a_timeout_fails_skips_or_takes_a_default(begin: Begin) -> None:
    failed = begin(line(timed("T", "Fail"))).run()
    assert failed.failure == "Node 'T' failed: Timed out after 0.3 s"
    skipped = begin(line(timed("T", "Skip"), loop("After", "ran"))).run()
    assert skipped.results["T"] == "Skipped"
    skipped_on = begin(line(timed("T", "Skip"), loop("After", "ran")), variables={"xs": [1]}).run()
    assert skipped_on.output("After")["results"] == ["ran"]
    default = begin(line(timed("T", {"UseDefault": '{"n": 1}'}))).run()
    assert default.output("T") == {"n": 1}
    assert default.variables == {"out": {"n": 1}}


def test_silence_is_a_timeout_when_the_node_says_so(begin: Begin) -> None:
    timeout = {"execution_timeout_ms": 60000, "idle_timeout_ms": 400}
    talks = "for i in 1 2 3 4 5 6; do echo $i; sleep 0.1; done; sleep 60"
    done = begin(line(shell("Quiet", talks, timeout_config=timeout))).run()
    assert done.failure == "Node 'Quiet' failed: No output for 0.4 s"


def test_an_execution_that_ended_is_not_begun_again(begin: Begin) -> None:
    first = begin(line()).run()
    with pytest.raises(UsageError, match=r"has ended \(success\)"):
        execute(first.job, {})


def crash_after(run: Any, name: str) -> None:
    """Leave the directory as a runner leaves it that dies right after `name` was recorded."""
    kept = []
    for text in (run.directory.records / NAME).read_text().splitlines(keepends=True):
        kept.append(text)
        if json.loads(text).get("name") == name:
            break
    (run.directory.records / NAME).write_text("".join(kept) + '{"at":"torn')
    record = json.loads(run.directory.run_json.read_text())
    run.directory.run_json.write_text(json.dumps(record | {"state": "running"}))


def test_completed_nodes_never_run_again_after_a_crash(begin: Begin, tmp_path: Path) -> None:
    count = tmp_path / "count"
    doc = line(
        shell("One", f"echo one >> {count}; echo 1", "a"),
        if_else("If", "a == 1", "Two", "Other"),
        shell("Two", f"echo two >> {count}; echo 2", "b"),
        loop("Other", "never"),
    )
    doc["edges"] = document([], ["Start One If", "Two End", "Other End"])["edges"]
    first = begin(doc).run()
    assert first.state == "Completed"
    crash_after(first, "One")
    events = first.directory.events
    lines = events.read_text().splitlines(keepends=True)
    events.write_text("".join(lines[:3]))  # even the event of One's end is lost
    again = begin(doc, root=first.root, execution_id=first.id).run()
    assert again.state == "Completed"
    assert count.read_text().split() == ["one", "two", "two"]
    assert again.variables == {"a": 1, "b": 2}
    assert again.results["Other"] == "Skipped"
    types = again.types()
    assert types.count("run_started") == 1
    assert "run_resumed" in types
    assert again.types("One") == ["node.completed"]
    assert [event.seq for event in again.lines] == list(range(1, len(types) + 1))


def test_passes_of_a_body_and_nodes_of_a_sub_workflow_are_remembered(
    begin: Begin, tmp_path: Path
) -> None:
    count = tmp_path / "count"
    body = {"type": "Code", "config": {"runtime": "shell", "code": f"echo b$OXIFY_X >> {count}",
                                       "inputs": ["x"], "output": ""}}  # fmt: skip
    inner = line(shell("In", f"echo s >> {count}"), name="Inner")
    doc = line(
        loop("L", "1", body=body),
        node("Sub", "SubWorkflow", {"workflow_path": "workflow:x"}),
        shell("Last", "true"),
    )
    given: dict[str, Any] = {"variables": {"xs": [1, 2]}, "documents": {"workflow:x": inner}}
    first = begin(doc, **given).run()
    assert first.state == "Completed"
    journal = first.directory.records / NAME
    kept = [text for text in journal.read_text().splitlines() if '"at":' not in text]
    journal.write_text("\n".join(kept) + "\n")
    crash_after(first, "nobody")
    again = begin(doc, root=first.root, execution_id=first.id, **given).run()
    assert again.state == "Completed"
    assert count.read_text().split() == ["b1", "b2", "s"]
    assert again.output("L")["iterations"] == 2


def test_attempts_before_a_crash_count(begin: Begin) -> None:
    doc = line(shell("Bad", "exit 1", retry_config=RETRY | {"initial_delay_ms": 1}))
    first = begin(doc).run()
    journal = first.directory.records / NAME
    kept = [text for text in journal.read_text().splitlines() if '"name":"Bad"' not in text]
    journal.write_text("\n".join(kept) + "\n")
    crash_after(first, "nobody")
    again = begin(doc, root=first.root, execution_id=first.id).run()
    assert again.item("Bad")["retry_count"] == 2
    assert again.types().count("node.retry") == 2


def test_attempts_inside_a_sub_workflow_before_a_crash_count(begin: Begin, tmp_path: Path) -> None:
    count = tmp_path / "count"
    bad = shell("Bad", f"echo x >> {count}; exit 1", retry_config=RETRY | {"initial_delay_ms": 1})
    doc = line(node("Sub", "SubWorkflow", {"workflow_path": "workflow:x"}))
    given: dict[str, Any] = {"documents": {"workflow:x": line(bad)}}
    first = begin(doc, **given).run()
    assert count.read_text().split() == ["x"] * 3
    journal = first.directory.records / NAME
    kept = [text for text in journal.read_text().splitlines() if '"failed":' in text]
    journal.write_text("\n".join(kept) + "\n")
    crash_after(first, "nobody")
    again = begin(doc, root=first.root, execution_id=first.id, **given).run()
    assert "Failed after 2 retries" in again.failure
    assert count.read_text().split() == ["x"] * 4


def test_a_loop_of_many_passes_and_a_long_graph_end(begin: Begin) -> None:
    many = begin(line(loop("L", '{"i": {{x}}}')), variables={"xs": list(range(1000))}).run()
    assert many.output("L")["results"][999] == {"i": 999}
    steps = [loop(f"n{number}", "1") for number in range(300)]
    long = begin(line(*steps), variables={"xs": []}).run()
    assert long.state == "Completed"
    assert len(long.results) == 302


def test_times_are_rfc_3339(begin: Begin) -> None:
    done = begin(line()).run()
    started = done.item("Start")["started_at"]
    assert started.endswith("Z")
    assert len(started) == len(timestamp(0.0))


def test_a_key_never_reaches_programs_results_events_or_logs(begin: Begin) -> None:
    key = "sk-very-secret-0123456789"
    text = "import os\nprint(os.environ)\nresult = dict(os.environ)"
    doc = line(code("Env", text, "env"), shell("Say", f"echo {key}", "said"))
    environ = {
        "OPENAI_API_KEY": key,
        "OXO_FLOW_ADMIN_PASSWORD": "hush-hush",
        "PATH": "/usr/bin:/bin",
    }
    done = begin(doc, environ=environ).run()
    assert done.state == "Completed"
    seen = done.variables["env"]
    assert "OPENAI_API_KEY" not in seen
    assert not [name for name in seen if name.startswith("OXO_FLOW_")]
    assert done.variables["said"] == "***"
    for path in (done.directory.records / NAME, done.directory.events):
        assert key not in path.read_text()


def test_no_thread_is_left_behind(begin: Begin) -> None:
    before = threading.active_count()
    begin(line(ADD), variables={"x": 1, "y": 1}).run()
    assert threading.active_count() <= before
