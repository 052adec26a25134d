import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oxoflow.errors import InvalidInput
from oxoflow.graph.document import dump
from oxoflow.graph.jsontext import parse_json
from oxoflow.graph.validate import read_graph, validate
from tests.graph.building import code, document, edge, if_else, line, node, node_id

PLATE_QC = json.loads((Path(__file__).parent / "plate_qc.json").read_text())["workflow"]
START, END = node("Start", "Start"), node("End", "End")
FIELD = {"id": "vol", "label": "Volume", "field_type": "Number"}
TASK = {"id": "a", "expression": "1"}


def codes(found: Any) -> list[str]:
    return [finding.code for finding in found]


def test_the_example_of_the_specification_is_valid_without_a_warning() -> None:
    report = validate(PLATE_QC)
    assert report.as_json() == {
        "valid": True,
        "errors": [],
        "warnings": [],
        "stats": {
            "total_nodes": 7,
            "total_edges": 7,
            "start_nodes": 1,
            "end_nodes": 1,
            "max_depth": 6,
            "node_type_counts": {
                "Start": 1, "Code": 1, "IfElse": 1, "Approval": 1, "Loop": 1, "LLM": 1, "End": 1,
            },
        },
    }  # fmt: skip


def test_start_and_end_alone_are_a_graph() -> None:
    report = validate(document([START, END], []))
    assert report.valid
    assert set(codes(report.warnings)) == {"UnreachableNode", "DeadEndNode"}


def loop(**config: Any) -> dict[str, Any]:
    kind = {"variant": "ForEach", "collection_path": "xs", "item_variable": "x",
            "body_expression": "{{x}}"} | config  # fmt: skip
    return node("L", "Loop", {"loop_type": kind})


# One document that breaks exactly this rule
BROKEN: dict[str, dict[str, Any]] = {
    "EmptyWorkflow": document([], []),
    "DuplicateNodeId": document([START, code("A", "1"), code("A", "1"), END], ["Start A End"]),
    "UnknownNodeType": line(node("X", "Custom", {"plugin_id": "p"})),
    "InvalidField": line(node("X", "Code", {"runtime": "python", "code": 5, "output": "x"})),
    "NoStartNode": document([END], []),
    "MultipleStartNodes": document([START, node("S2", "Start"), END], []),
    "NoEndNode": document([START], []),
    "MultipleEndNodes": document([START, END, node("E2", "End")], []),
    "InvalidNodeReference": document([START, END], [edge("Start", "Nobody")]),
    "InvalidConditionalBranch": line(if_else("If", "true", "End", "Nobody")),
    "SwitchNodeEmptyExpression": line(
        node("S", "Switch", {"switch_on": " ", "cases": [], "default_case": "d"})
    ),
    "SwitchNodeNoCases": line(node("S", "Switch", {"switch_on": "{{x}}", "cases": []})),
    "SwitchCaseEmptyMatch": line(
        node("S", "Switch", {"switch_on": "x", "cases": [{"match_value": "", "action": "a"}]})
    ),
    "ParallelNodeNoTasks": line(node("P", "Parallel", {"strategy": "Race", "tasks": []})),
    "ParallelTaskEmptyExpression": line(
        node("P", "Parallel", {"strategy": "Race", "tasks": [{"id": "a", "expression": ""}]})
    ),
    "ParallelDuplicateTaskId": line(
        node("P", "Parallel", {"strategy": "WaitAll", "tasks": [TASK, TASK]})
    ),
    "ApprovalEmptyMessage": line(node("A", "Approval", {"message": "\t"})),
    "FormNoFields": line(node("F", "Form", {"title": "t", "fields": []})),
    "FormFieldEmptyLabel": line(
        node("F", "Form", {"title": "t", "fields": [FIELD | {"label": ""}]})
    ),
    "FormDuplicateFieldId": line(node("F", "Form", {"title": "t", "fields": [FIELD, FIELD]})),
    "LoopEmptyCollectionPath": line(loop(collection_path="")),
    "LoopEmptyBodyExpression": line(loop(body_expression=" ")),
    "TryCatchEmptyTryExpression": line(node("T", "TryCatch", {"try_expression": ""})),
    "SubWorkflowEmptyPath": line(node("W", "SubWorkflow", {"workflow_path": ""})),
    "CycleDetected": document(
        [START, code("A", "1"), code("B", "2"), END], ["Start A B A", "B End"]
    ),
}


@pytest.mark.parametrize("expected", BROKEN)
def test_each_rule_has_its_code(expected: str) -> None:
    report = validate(BROKEN[expected])
    assert codes(report.errors) == [expected]
    with pytest.raises(InvalidInput) as caught:
        read_graph(BROKEN[expected])
    assert caught.value.message == report.errors[0].message


def test_the_sentence_for_a_missing_start_is_the_missions() -> None:
    message = "Workflow must have at least one Start node"
    assert validate(document([END], [])).errors[0].message == message


ORDER = [code for code in BROKEN if code not in ("EmptyWorkflow", "DuplicateNodeId")]
CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "UnknownNodeType": lambda doc: doc["nodes"].append(node("Odd", "Odd", {})),
    "InvalidField": lambda doc: doc["metadata"].update(tags="none"),
    "NoStartNode": lambda doc: doc["nodes"][0].update(code("Start", "1")),
    "NoEndNode": lambda doc: doc["nodes"][2].update(code("End", "1")),
    "InvalidNodeReference": lambda doc: doc["edges"].append(edge("C", "Nobody")),
    "ApprovalEmptyMessage": lambda doc: doc["nodes"].append(node("A", "Approval", {"message": ""})),
    "CycleDetected": lambda doc: doc["edges"].append(edge("C", "C")),
}


@pytest.mark.parametrize(
    ("first", "second"),
    [(first, second) for at, first in enumerate(CHANGES) for second in list(CHANGES)[at + 1 :]],
)
def test_of_two_faults_the_first_row_is_told(first: str, second: str) -> None:
    broken = copy.deepcopy(line(code("C", "1")))
    CHANGES[second](broken)
    CHANGES[first](broken)
    found = codes(validate(broken).errors)
    assert found[0] == first
    # a cycle is looked for only among edges that resolve in a document of the right shape
    unseen = {"CycleDetected"} if first in ("InvalidField", "UnknownNodeType") else set()
    unseen |= {"CycleDetected"} if first == "InvalidNodeReference" else set()
    assert second in found or second in unseen


def test_rows_7_to_14_are_told_in_the_order_of_the_nodes() -> None:
    late, early = (
        BROKEN["ApprovalEmptyMessage"]["nodes"][1],
        BROKEN["SubWorkflowEmptyPath"]["nodes"][1],
    )
    assert codes(validate(line(early, late)).errors) == [
        "SubWorkflowEmptyPath",
        "ApprovalEmptyMessage",
    ]


def test_everything_wrong_is_listed_at_once() -> None:
    broken = line(
        code("C", "1", output=5),  # type: ignore[arg-type]
        node("A", "Approval", {"message": ""}),
        node("F", "Form", {"title": "t", "fields": [FIELD, FIELD]}),
    )
    broken["edges"].append(edge("Start", "Nobody"))
    assert set(codes(validate(broken).errors)) == {
        "InvalidField", "ApprovalEmptyMessage", "FormDuplicateFieldId", "InvalidNodeReference",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "path", "said"),
    [
        (lambda d: d.pop("metadata"), "workflow.metadata", "is missing"),
        (lambda d: d.pop("nodes"), "workflow.nodes", "is missing"),
        (lambda d: d.update(edges=None), "workflow.edges", "may not be null"),
        (lambda d: d.update(nodes={}), "workflow.nodes", "expected a list, found an object"),
        (lambda d: d["metadata"].update(name="  "), "workflow.metadata.name", "1 to 255"),
        (lambda d: d["metadata"].update(name="n" * 256), "workflow.metadata.name", "1 to 255"),
        (lambda d: d["metadata"].update(id="x"), "workflow.metadata.id", "expected a UUID"),
        (lambda d: d["metadata"].update(created_at="today"), "created_at", "expected a timestamp"),
        (lambda d: d["nodes"][1].pop("name"), "workflow.nodes[1].name", "is missing"),
        (lambda d: d["nodes"][1].update(position=[1]), "nodes[1].position", "two numbers"),
        (lambda d: d["nodes"][1].update(kind="Start"), "nodes[1].kind", "expected an object"),
        (lambda d: d["nodes"][1]["kind"].pop("config"), "nodes[1].kind.config", "is missing"),
        (
            lambda d: d["nodes"][1].update(retry_config={"max_retries": -1}),
            "nodes[1].retry_config.max_retries",
            "must be 0 to",
        ),
        (
            lambda d: d["nodes"][1].update(timeout_config={"timeout_action": "Fail"}),
            "timeout_config.execution_timeout_ms",
            "is missing",
        ),
        (
            lambda d: d["nodes"][1].update(
                timeout_config={"execution_timeout_ms": 5, "timeout_action": "Stop"}
            ),
            "timeout_config.timeout_action",
            'expected "Fail"',
        ),
        (lambda d: d["edges"][0].update({"from": 5}), "workflow.edges[0].from", "expected a UUID"),
        (lambda d: d["edges"][0].update(label=[]), "edges[0].label", "expected a string"),
    ],
)
def test_a_wrong_shape_is_named_by_its_path(
    change: Callable[[dict[str, Any]], object], path: str, said: str
) -> None:
    broken = copy.deepcopy(line(code("C", "1")))
    change(broken)
    error = validate(broken).errors[0]
    assert error.code == "InvalidField"
    assert path in error.message
    assert said in error.message


@pytest.mark.parametrize("odd", [None, [], "x", 5, True])
def test_what_is_no_object_is_refused(odd: object) -> None:
    assert codes(validate(odd).errors) == ["InvalidField"]


def test_a_document_with_strange_json_is_refused() -> None:
    deep: Any = []
    for _ in range(200):
        deep = [deep]
    for odd in (deep, float("nan"), "\ud800"):
        broken = line(node("A", "Approval", {"message": "m", "context_data": odd}))
        assert codes(validate(broken).errors) == ["InvalidField"]
    for text in ("[" * 100_000, "NaN", '{"a":1', b"\xff"):
        with pytest.raises(ValueError, match=r".+"):
            parse_json(text)


def test_ten_thousand_nodes_are_refused_with_a_cure() -> None:
    many = line(*(code(f"n{number}", "1") for number in range(10_000)))
    report = validate(many)
    assert "at most 5000 are taken; use SubWorkflows" in report.errors[0].message


def test_bodies_are_judged_like_nodes() -> None:
    inner = {"type": "Parallel", "config": {"strategy": "Race", "tasks": []}}
    kind = {"variant": "Repeat", "count": "2", "body_expression": "1"}
    broken = line(node("L", "Loop", {"loop_type": kind, "body": inner}))
    assert codes(validate(broken).errors) == ["ParallelNodeNoTasks"]


@pytest.mark.parametrize("kind", ["Start", "End", "IfElse", "Switch"])
def test_kinds_that_steer_are_no_bodies(kind: str) -> None:
    config = {
        "IfElse": {"expression": "true", "true_branch": node_id("a"), "false_branch": node_id("a")},
        "Switch": {"switch_on": "x", "cases": [], "default_case": ""},
    }.get(kind)
    body = {"type": kind} if config is None else {"type": kind, "config": config}
    broken = line(node("T", "TryCatch", {"try_expression": "1", "try_body": body}))
    assert "cannot be a body" in validate(broken).errors[0].message


def test_bodies_in_bodies_have_a_limit() -> None:
    body: dict[str, Any] = {
        "type": "Code",
        "config": {"runtime": "python", "code": "1", "output": ""},
    }
    for _ in range(12):
        body = {"type": "TryCatch", "config": {"try_expression": "1", "try_body": body}}
    broken = line(node("T", "TryCatch", {"try_expression": "1", "try_body": body}))
    assert "nested deeper" in validate(broken).errors[0].message


@pytest.mark.parametrize(
    ("doc", "code_"),
    [
        (document([START, END, code("Alone", "1")], ["Start End"]), "UnreachableNode"),
        (document([START, END, code("Dead", "1")], ["Start End", "Start Dead"]), "DeadEndNode"),
        (document([START, END], ["Start End", "Start End"]), "DuplicateEdge"),
        (
            document([START, code("A", "1"), code("B", "1") | {"name": "A"}, END],
                     ["Start A B End"]),
            "DuplicateNodeName",
        ),
        (
            document([START, if_else("If", "true", "End", "C"), code("C", "1"), END],
                     ["Start If End", "C End"]),
            "BranchWithoutEdge",
        ),
        (line(code("R", "1", runtime="rhai")), "UnsupportedRuntime"),
        (
            line(node("M", "LLM", {"provider": "parrot", "model": "m", "prompt_template": "p"})),
            "UnsupportedProvider",
        ),
        (
            line(node("S", "Switch", {"switch_on": "x", "cases": [
                {"match_value": "regex:(?<=a)b", "action": "a"}]})),
            "InvalidRegex",
        ),
        (
            document([START, if_else("If", "x >", "End", "End"), END], ["Start If End"]),
            "UnparsableExpression",
        ),
        (document([START, END], [edge("Start", "End", condition="{{x}}")]), "UnparsableExpression"),
        (
            line() | {"metadata": {"name": "w", "schedule": {"cron": "0 4 * * *"}}},
            "ScheduleIgnored",
        ),
    ],
)  # fmt: skip
def test_warnings_do_not_block(doc: dict[str, Any], code_: str) -> None:
    report = validate(doc)
    assert report.valid
    assert code_ in codes(report.warnings)


def test_an_implied_branch_closes_a_cycle() -> None:
    looped = document(
        [START, code("A", "1"), if_else("If", "true", "A", "End"), END], ["Start A If"]
    )
    report = validate(looped)
    assert codes(report.errors) == ["CycleDetected"]
    assert "'A', 'If'" in report.errors[0].message


def test_a_document_comes_back_with_all_its_defaults_and_without_unknown_keys() -> None:
    given = line(code("C", "1", output="x") | {"color": "red"}, loop())
    given["extra"] = 1
    graph = read_graph(given)
    back = dump(graph)
    assert read_graph(back) == graph
    assert back["nodes"][1] == {
        "id": node_id("C"), "name": "C",
        "kind": {"type": "Code", "config": {
            "runtime": "python", "code": "1", "inputs": [], "output": "x"}},
        "position": None, "retry_config": None, "timeout_config": None,
    }  # fmt: skip
    assert back["nodes"][0]["kind"] == {"type": "Start"}
    assert back["edges"][0] == {
        "id": None, "from": node_id("Start"), "to": node_id("C"), "label": None, "condition": None,
    }  # fmt: skip
    assert "body" not in back["nodes"][2]["kind"]["config"]
    assert "extra" not in back


@pytest.mark.parametrize("kind", [{"type": "Start"}, {"type": "Start", "config": None},
                                  {"type": "Start", "config": {}}])  # fmt: skip
def test_start_takes_no_null_or_empty_config(kind: dict[str, Any]) -> None:
    assert validate(document([START | {"kind": kind}, END], [])).valid


def test_ids_are_compared_in_lower_case() -> None:
    upper = document([START | {"id": node_id("Start").upper()}, END], ["Start End"])
    assert read_graph(upper).nodes[0].id == node_id("Start")
