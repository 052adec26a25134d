"""Loop, TryCatch, Parallel, SubWorkflow, Code: what they come to, and how they fail."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.graph.building import code, document, line, node, node_id, shell
from tests.graph.conftest import Begin

START, END = node("Start", "Start"), node("End", "End")


def body(text: str, *inputs: str, runtime: str = "shell") -> dict[str, Any]:
    config = {"runtime": runtime, "code": text, "inputs": list(inputs), "output": ""}
    return {"type": "Code", "config": config}


def for_each(expression: str, **more: Any) -> dict[str, Any]:
    config: dict[str, Any] = {
        key: more.pop(key) for key in ("body", "max_iterations") if key in more
    }
    kind = {"variant": "ForEach", "collection_path": "xs", "item_variable": "x",
            "index_variable": "i", "body_expression": expression} | more  # fmt: skip
    return node("L", "Loop", config | {"loop_type": kind})


def while_(condition: str, expression: str, **more: Any) -> dict[str, Any]:
    kind = {"variant": "While", "condition": condition, "body_expression": expression,
            "counter_variable": "n"}  # fmt: skip
    return node("L", "Loop", {"loop_type": kind, **more})


def repeat(count: str, expression: str, **more: Any) -> dict[str, Any]:
    kind = {"variant": "Repeat", "count": count, "body_expression": expression,
            "index_variable": "i"}  # fmt: skip
    return node("L", "Loop", {"loop_type": kind, **more})


@pytest.mark.parametrize(
    ("loop", "variables", "kind", "results"),
    [
        (for_each('{"well": {{i}}, "od": {{x}}}'), {"xs": [0.4, 0.5]}, "foreach",
         [{"well": 0, "od": 0.4}, {"well": 1, "od": 0.5}]),
        (for_each("{{x}}", collection_path="plate.wells.0"), {"plate": {"wells": [["a", "b"]]}},
         "foreach", ["a", "b"]),
        (for_each("{{x}}"), {"xs": []}, "foreach", []),
        (for_each("{{x}}", parallel=True, max_concurrency=3), {"xs": list(range(9))}, "foreach",
         list(range(9))),
        (while_("n < 3", "{{n}}"), {}, "while", [0, 1, 2]),
        (while_("typeof(last) == 'empty' || last < 8", "{{n}}"), {}, "while", list(range(9))),
        (while_("false", "never"), {}, "while", []),
        (repeat("{{times}}", "{{i}}-{{last}}"), {"times": 3}, "repeat", ["0-", "1-0-", "2-1-0-"]),
        (repeat("0", "x"), {}, "repeat", []),
    ],
)  # fmt: skip
def test_loops_run_their_passes_in_order(
    begin: Begin, loop: Any, variables: Any, kind: str, results: list[Any]
) -> None:
    done = begin(line(loop), variables=variables).run()
    expected = {"loop_type": kind, "iterations": len(results), "results": results}
    assert done.output("L") == expected


@pytest.mark.parametrize(
    ("loop", "variables", "said"),
    [
        (for_each("{{x}}"), {}, "Variable not found: xs"),
        (for_each("{{x}}"), {"xs": "abc"}, "'xs' is not a list"),
        (for_each("{{x}}", max_iterations=2), {"xs": [1, 2, 3]}, "max_iterations is 2"),
        (for_each("{{y}}"), {"xs": [1]}, "Variable not found: y"),
        (while_("true", "{{n}}", max_iterations=4), {}, "after max_iterations = 4 passes"),
        (while_("n", "1"), {}, "must be true or false"),
        (repeat("minus one", "x"), {}, "count 'minus one' is not a whole number"),
        (repeat("-1", "x"), {}, "count '-1' is not a whole number"),
        (repeat("{{huge}}", "x"), {"huge": 10**30}, "is not a whole number"),
        (repeat("5", "x", max_iterations=4), {}, "count is 5, max_iterations is 4"),
    ],
)
def test_loops_that_cannot_run_say_why(begin: Begin, loop: Any, variables: Any, said: str) -> None:
    done = begin(line(loop), variables=variables).run()
    assert said in done.failure


def test_item_and_index_are_seen_in_the_body_only(begin: Begin) -> None:
    after = node("After", "Loop", {"loop_type": {
        "variant": "Repeat", "count": "1", "body_expression": "{{x}}"}})  # fmt: skip
    done = begin(line(for_each("{{x}}"), after), variables={"xs": [1]}).run()
    assert "Node 'After' failed: Variable not found: x" in done.failure


def test_a_body_runs_instead_of_the_expression(begin: Begin) -> None:
    loop = for_each("unused", body=body("echo $((OXIFY_X * 2))", "x"))
    done = begin(line(loop), variables={"xs": [1, 2, 3]}).run()
    assert [each["result"] for each in done.output("L")["results"]] == [2, 4, 6]


def test_passes_of_a_parallel_loop_run_at_a_time(begin: Begin, tmp_path: Path) -> None:
    meet = (
        f"touch {tmp_path}/$OXIFY_X; for i in $(seq 6000); do [ $(ls {tmp_path} | grep -c ^m) = 3 ]"
    )
    meet += " && exit 0; sleep 0.05; done; exit 1"
    loop = for_each("unused", parallel=True, max_concurrency=3, body=body(meet, "x"))
    done = begin(line(loop), variables={"xs": ["m1", "m2", "m3"]}, slots=1).run()
    assert done.state == "Completed"


def test_a_loop_is_cancelled_in_the_middle(begin: Begin, tmp_path: Path) -> None:
    text = f"echo $OXIFY_I >> {tmp_path}/log; [ $OXIFY_I -lt 2 ] || sleep 60"
    run = begin(line(repeat("1000", "x", body=body(text, "i")))).start()
    run.await_event("node.started", "L")
    while not (tmp_path / "log").exists() or "2" not in (tmp_path / "log").read_text():
        run.await_nothing()
    run.control("cancel")
    assert run.finish().state == "Cancelled"
    assert "L" not in run.results


def try_catch(expression: str, **config: Any) -> dict[str, Any]:
    return node("T", "TryCatch", {"try_expression": expression, **config})


@pytest.mark.parametrize(
    ("config", "tried", "caught", "finally_", "handled"),
    [
        ({}, 5, None, None, False),
        ({"finally_expression": "done"}, 5, None, "done", False),
        ({"try_expression": "{{gone}}", "catch_expression": "caught {{error}}"}, None,
         "caught Variable not found: gone", None, True),
        ({"try_expression": "{{gone}}", "catch_expression": '{"e": "{{why}}"}',
          "error_variable": "why", "finally_expression": "{{x}}"}, None,
         {"e": "Variable not found: gone"}, 5, True),
        ({"try_body": body("exit 3"), "catch_body": body("echo saved")}, None,
         {"runtime": "shell", "output": "", "result": "saved"}, None, True),
    ],
)  # fmt: skip
def test_try_catch_handles_what_fails(
    begin: Begin, config: Any, tried: Any, caught: Any, finally_: Any, handled: bool
) -> None:
    done = begin(line(try_catch("{{x}}") | {"kind": {"type": "TryCatch", "config": {
        "try_expression": "{{x}}", **config}}}), variables={"x": 5}).run()  # fmt: skip
    assert done.output("T") == {
        "try_result": tried,
        "catch_result": caught,
        "finally_result": finally_,
        "error_handled": handled,
    }


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, "Variable not found: gone"),
        ({"catch_expression": "c", "rethrow": True}, "Variable not found: gone"),
        ({"catch_expression": "{{worse}}"},
         "Variable not found: gone; catch failed: Variable not found: worse"),
        ({"catch_expression": "c", "finally_expression": "{{last}}"},
         "finally failed: Variable not found: last"),
        ({"finally_expression": "{{error}}"},
         "Variable not found: gone; finally failed: Variable not found: error"),
    ],
)  # fmt: skip
def test_try_catch_fails_with_all_that_went_wrong(begin: Begin, config: Any, said: str) -> None:
    assert begin(line(try_catch("{{gone}}", **config))).run().failure == f"Node 'T' failed: {said}"


def test_finally_runs_after_a_failure(begin: Begin, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    config = {"try_body": body("exit 1"), "finally_body": body(f"touch {trace}")}
    assert "exit code 1" in begin(line(try_catch("x", **config))).run().failure
    assert trace.exists()


def parallel(strategy: str, tasks: dict[str, Any], **more: Any) -> dict[str, Any]:
    told = [
        {"id": name, "expression": "x", "body": task}
        if isinstance(task, dict)
        else {"id": name, "expression": task}
        for name, task in tasks.items()
    ]
    return node("P", "Parallel", {"strategy": strategy, "tasks": told, **more})


def test_wait_all_collects_every_value(begin: Begin) -> None:
    done = begin(
        line(parallel("WaitAll", {"a": "{{x}}", "b": "[{{x}}]"})), variables={"x": 1}
    ).run()
    assert done.output("P") == {
        "strategy": "WaitAll",
        "results": {
            "a": {"status": "success", "value": 1},
            "b": {"status": "success", "value": [1]},
        },
    }


def test_wait_all_fails_with_the_first_error_and_ends_the_rest(begin: Begin) -> None:
    tasks = {"slow": body("sleep 60"), "bad": body("exit 4")}
    done = begin(line(parallel("WaitAll", tasks))).run()
    assert done.failure == "Node 'P' failed: Task 'bad' failed: exit code 4"


def test_a_race_is_won_by_the_first_success(begin: Begin) -> None:
    tasks = {"slow": body("sleep 60"), "bad": "{{gone}}", "quick": body("echo 7")}
    race = line(parallel("Race", tasks, max_concurrency=2))  # so the bad one ends before the quick
    results = begin(race).run().output("P")["results"]
    assert results["quick"]["value"]["result"] == 7
    assert results["bad"] == {"status": "error", "error": "Variable not found: gone"}
    assert "slow" not in results


def test_a_race_without_a_winner_fails(begin: Begin) -> None:
    done = begin(line(parallel("Race", {"a": "{{gone}}", "b": "{{gone}}"}))).run()
    assert "All tasks failed; the last: Variable not found: gone" in done.failure


def test_all_settled_never_fails_and_a_timeout_is_an_error_of_its_task(begin: Begin) -> None:
    tasks = {"slow": body("sleep 60"), "bad": "{{gone}}", "ok": "1"}
    done = begin(line(parallel("AllSettled", tasks, timeout_ms=2000, max_concurrency=3))).run()
    assert done.output("P")["results"] == {
        "slow": {"status": "error", "error": "Timed out after 2 s"},
        "bad": {"status": "error", "error": "Variable not found: gone"},
        "ok": {"status": "success", "value": 1},
    }


def test_tasks_beyond_max_concurrency_wait_their_turn(begin: Begin, tmp_path: Path) -> None:
    busy = tmp_path / "busy"
    one = f"[ ! -e {busy} ]; touch {busy}; sleep 0.05; rm {busy}"
    tasks = {name: body(one) for name in "abc"}
    assert begin(line(parallel("WaitAll", tasks, max_concurrency=1))).run().state == "Completed"


def test_a_timeout_of_a_parallel_node_fails_it(begin: Begin) -> None:
    done = begin(line(parallel("WaitAll", {"a": body("sleep 60")}, timeout_ms=300))).run()
    assert done.failure == "Node 'P' failed: Task 'a' failed: Timed out after 0.3 s"


SQUARE = line(code("Square", "result = n * n", "y", ["n"]), name="Square")


def sub(path: str, **config: Any) -> dict[str, Any]:
    return node("Sub", "SubWorkflow", {"workflow_path": path, **config})


def test_values_go_into_a_sub_workflow_and_come_out(begin: Begin) -> None:
    given = sub("workflow:sq", input_mappings={"n": "{{x}}"}, output_variable="y")
    done = begin(line(given), variables={"x": 7}, documents={"workflow:sq": SQUARE}).run()
    assert done.variables == {"x": 7, "y": 49}
    assert done.output("Sub") == {
        "sub_workflow_id": None,
        "execution_state": "Completed",
        "node_count": 3,
        "output": 49,
    }
    assert set(done.results) == {"Start", "Sub", "End"}


def test_without_mappings_only_an_inherited_context_is_seen(begin: Begin) -> None:
    options: Any = {"variables": {"n": 3}, "documents": {"workflow:sq": SQUARE}}
    alone = begin(line(sub("workflow:sq")), **options).run()
    assert "sub-workflow 'Square' failed: Node 'Square' failed: Variable not found" in alone.failure
    heir = begin(line(sub("workflow:sq", inherit_context=True)), **options).run()
    assert heir.output("Sub")["output"] == {"n": 3, "y": 9}


def test_a_sub_workflow_that_calls_itself_stops(begin: Begin) -> None:
    documents = {"workflow:me": line(sub("workflow:me"), name="Me")}
    done = begin(line(sub("workflow:me")), documents=documents).run()
    assert "sub-workflows are nested deeper than 8" in done.failure


def test_a_sub_workflow_beside_the_graph_is_read_and_others_are_refused(
    begin: Begin, tmp_path: Path
) -> None:
    library = tmp_path / "library"
    library.mkdir()
    (library / "sq.json").write_text(json.dumps({"workflow": SQUARE}))
    (tmp_path / "secret.json").write_text(json.dumps(SQUARE))
    (library / "link.json").symlink_to(tmp_path / "secret.json")
    good = sub("sq.json", input_mappings={"n": "2"}, output_variable="y")
    assert begin(line(good), library=library).run().variables == {"y": 4}
    for path, said in (
        ("../secret.json", "must be a relative path inside"),
        (str(tmp_path / "secret.json"), "must be a relative path inside"),
        ("link.json", "lies outside"),
        ("none.json", "No such file"),
        ("workflow:unknown", "is not known here"),
    ):
        assert said in begin(line(sub(path)), library=library).run().failure


def test_an_invalid_sub_workflow_is_told(begin: Begin) -> None:
    documents = {"workflow:bad": document([END], [])}
    done = begin(line(sub("workflow:bad")), documents=documents).run()
    assert "is not valid: Workflow must have at least one Start node" in done.failure


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("result = inputs['x'] + x", 14),
        ("a = 1\nx * 2", 14),
        ("pass", None),
        ("result = [1, {'a': None}]", [1, {"a": None}]),
        ("import sys\nresult = 3\nsys.exit(0)", 3),
        ("open('here', 'w').write('x')\nimport os\nresult = os.listdir('.')", ["here"]),
        ("'ü' * 2", "üü"),
    ],
)
def test_python_code_gives_result_or_its_last_expression(
    begin: Begin, text: str, expected: Any
) -> None:
    done = begin(line(code("C", text, "out", ["x"])), variables={"x": 7}).run()
    assert done.variables["out"] == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise ValueError('no plate')", "ValueError: no plate"),
        ("result = object()", "the result is not JSON"),
        ("result = float('nan')", "the result is not JSON"),
        ("import sys\nsys.exit('stopped here')", "stopped here"),
        ("import os\nos._exit(0)", "ended its process before its result was written"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "exit code 137"),
        ("def f(:", "SyntaxError"),
        ("x = bytearray(10**11)", "MemoryError"),
        ("print('y' * 2_000_000)", "wrote more than 1048576 bytes to stdout"),
        ("result = 'y' * 9_000_000", "the result is larger than"),
    ],
)
def test_python_code_that_fails_says_why(begin: Begin, text: str, said: str) -> None:
    done = begin(line(code("C", text, "out"))).run()
    assert said in done.failure
    assert "pychild" not in done.failure  # the frames of our own are left out


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("echo $OXIFY_X-$OXIFY_LIST", '7-[1,"a"]'),
        ('echo "{\\"n\\": $OXIFY_X}"', {"n": 7}),
        ("printf '  text  \\n'", "text"),
        ("true", ""),
    ],
)
def test_shell_code_gives_its_output(begin: Begin, text: str, expected: Any) -> None:
    variables = {"x": 7, "list": [1, "a"]}
    done = begin(line(shell("C", text, "out", ["x", "list"])), variables=variables).run()
    assert done.variables["out"] == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo oops >&2; exit 3", "exit code 3: oops"),
        ("false | true; echo reached", "exit code 1"),
        ("echo $UNSET_VARIABLE", "UNSET_VARIABLE"),
        ("yes", "wrote more than 1048576 bytes"),
    ],
)
def test_shell_code_is_strict(begin: Begin, text: str, said: str) -> None:
    assert said in begin(line(shell("C", text))).run().failure


@pytest.mark.parametrize("runtime", ["rhai", "wasm", "rust", "cobol"])
def test_other_runtimes_are_no_success(begin: Begin, runtime: str) -> None:
    done = begin(line(code("C", "1", runtime=runtime))).run()
    assert done.failure == f"Node 'C' failed: Unsupported runtime: {runtime}"


def test_a_missing_input_fails_before_anything_runs(begin: Begin) -> None:
    done = begin(line(code("C", "1", "out", ["gone"]))).run()
    assert done.failure == "Node 'C' failed: Variable not found: gone"


def test_an_input_too_large_for_a_shell_is_refused_with_a_cure(begin: Begin) -> None:
    done = begin(line(shell("C", "true", "", ["big"])), variables={"big": "x" * 200_000}).run()
    assert "use runtime python" in done.failure
    python = line(code("C", "result = len(big)", "n", ["big"]))
    assert begin(python, variables={"big": "x" * 200_000}).run().variables["n"] == 200_000


def test_what_code_wrote_stands_in_the_logs(begin: Begin) -> None:
    done = begin(line(shell("C", "echo out; echo err >&2"))).run()
    logs = done.directory.logs
    assert (logs / f"{node_id('C')}.out").read_text() == "out\n"
    assert (logs / f"{node_id('C')}.err").read_text() == "err\n"
    assert not any((done.directory.records / "scratch").iterdir())


def test_code_can_be_switched_off(begin: Begin) -> None:
    assert "switched off" in begin(line(code("C", "1")), code=False).run().failure
