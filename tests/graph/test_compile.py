import pytest

from oxoflow.errors import GraphError
from oxoflow.graph.compile import Link, Program, compile_graph, is_active, sort, unsortable
from oxoflow.graph.scope import Values, alias_of, node_key
from oxoflow.graph.validate import read_graph
from tests.graph.building import code, document, edge, if_else, line, node

START, END = node("Start", "Start"), node("End", "End")


def program(doc: dict) -> Program:
    return compile_graph(read_graph(doc))


def named(doc: dict) -> dict[str, tuple[int, list[str]]]:
    found = program(doc)
    names = [step.node.name for step in found.steps]
    return {
        step.node.name: (step.level, [names[link.target] for link in step.outgoing])
        for step in found.steps
    }


def test_levels_are_one_below_the_lowest_predecessor() -> None:
    nodes = [START, *(code(name, "1") for name in "ABCD"), END]
    edges = ["Start A B D End", "Start C D", "A D"]
    assert {name: level for name, (level, _) in named(document(nodes, edges)).items()} == {
        "Start": 0, "A": 1, "C": 1, "B": 2, "D": 3, "End": 4,
    }  # fmt: skip


def test_what_start_does_not_reach_is_left_out_and_holds_nobody_up() -> None:
    doc = document([START, code("A", "1"), code("Orphan", "1"), END], ["Start A End", "Orphan End"])
    found = program(doc)
    assert [step.node.name for step in found.steps] == ["Start", "A", "End"]
    assert len(found.steps[2].incoming) == 1


def test_branches_without_edges_are_implied() -> None:
    doc = document(
        [START, if_else("If", "x", "A", "B"), code("A", "1"), code("B", "1"), END],
        ["Start If", "A End", "B End"],
    )
    assert named(doc)["If"] == (1, ["A", "B"])


def test_ancestors_are_everything_on_a_path_to_a_node() -> None:
    doc = document(
        [START, code("A", "1"), code("B", "1"), code("C", "1"), END],
        ["Start A C End", "Start B End"],
    )
    steps = {step.node.name: step for step in program(doc).steps}
    bits = lambda *names: sum(1 << steps[name].number for name in names)  # noqa: E731
    assert steps["C"].ancestors == bits("Start", "A")
    assert steps["End"].ancestors == bits("Start", "A", "B", "C")


def test_a_cycle_and_an_unknown_node_are_refused() -> None:
    graph = read_graph(line(code("A", "1")))
    with pytest.raises(GraphError, match="unknown node"):
        compile_graph(type(graph)(graph.metadata, graph.nodes[:1], graph.edges))
    assert sort(["a", "b"], [("a", "b"), ("b", "a")]) is None
    assert unsortable(["a", "b", "c"], [("a", "b"), ("b", "a"), ("b", "c")]) == {"a", "b", "c"}


def links(doc: dict, source: str) -> dict[str, Link]:
    found = program(doc)
    names = [step.node.name for step in found.steps]
    step = found.steps[names.index(source)]
    return {names[link.target]: link for link in step.outgoing}


NAMES = [START, *(code(name, "1") for name in "ABCD"), END]
JOINED = ["A End", "B End", "C End", "D End"]


@pytest.mark.parametrize("verdict", [True, False])
def test_an_if_else_takes_one_branch_and_labelled_edges_follow_the_verdict(verdict: bool) -> None:
    drawn = [
        edge("If", "C", label="true"),
        edge("If", "D", label="other"),
        edge("If", "A", label="false"),
    ]
    doc = document([*NAMES, if_else("If", "x", "A", "B")], ["Start If", *drawn, *JOINED])
    output = {"condition_met": verdict}
    active = {name for name, link in links(doc, "If").items() if is_active(link, output, {}.get)}
    # the target decides for the branches, whatever the label says
    assert active == ({"A", "C", "D"} if verdict else {"B", "D"})


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ({"matched_case": "err", "result": "alert"}, {"A", "B", "D"}),
        ({"matched_case": "default", "result": "ok"}, {"C", "D"}),
    ],
)
def test_labelled_edges_of_a_switch_follow_case_or_result(output: dict, expected: set[str]) -> None:
    cases = [{"match_value": "err", "action": "alert"}]
    switch = node("S", "Switch", {"switch_on": "{{x}}", "default_case": "ok", "cases": cases})
    drawn = [
        edge("S", "A", label="err"), edge("S", "B", label="alert"),
        edge("S", "C", label="default"), edge("S", "D"),
    ]  # fmt: skip
    doc = document([*NAMES, switch], ["Start S", *drawn, *JOINED])
    active = {name for name, link in links(doc, "S").items() if is_active(link, output, {}.get)}
    assert active == expected


def test_a_condition_is_judged_on_what_the_source_left() -> None:
    drawn = [edge("A", "B", condition="x > 5"), edge("A", "C", condition=" ")]
    doc = document(NAMES, ["Start A", "Start D", *drawn, *JOINED])
    found = links(doc, "A")
    assert is_active(found["B"], None, {"x": 6}.__getitem__)
    assert not is_active(found["B"], None, {"x": 5}.__getitem__)
    assert found["C"].condition is None


@pytest.mark.parametrize(
    ("name", "alias"),
    [
        ("Label wells", "label_wells"),
        ("2nd run!", "_2nd_run"),
        ("---", ""),
        ("É", ""),
        ("A-b", "a_b"),
    ],
)
def test_aliases_come_from_names(name: str, alias: str) -> None:
    assert alias_of(name) == alias


def test_a_node_sees_its_ancestors_and_nobody_else() -> None:
    values = Values({"x": 1, "beta": "mine"}, ["i-0", "i-1", "i-2"], ["Alpha", "Beta", "Alpha"])
    values.record(0, {"result": 5}, {"v": 5})
    values.record(1, {"result": 6}, {"v": 6, "x": 2})
    values.record(2, {"result": 7}, {})
    seen = values.seen_by(0b001)
    assert seen.lookup("v") == 5
    assert seen.lookup("x") == 1
    assert seen.lookup(node_key("i-0")) == seen.lookup("alpha") == {"result": 5}
    for hidden in ("node_i_1", "gamma"):
        with pytest.raises(KeyError):
            seen.lookup(hidden)
    both = values.seen_by(0b111)
    assert (both.lookup("v"), both.lookup("x")) == (6, 2)
    assert both.lookup("beta") == "mine"  # an execute variable is never shadowed by an alias
    assert both.lookup("alpha") == {"result": 5}  # the first node of a name keeps the alias
    assert values.variables() == {"x": 2, "beta": "mine", "v": 6}
    assert seen.variables() == {"x": 1, "beta": "mine", "v": 5}
    inner = seen.inside({"v": "local"})
    assert inner.lookup("v") == "local"
    assert inner.inside({"w": 1}).variables() == {"x": 1, "beta": "mine", "v": "local", "w": 1}
    assert set(both.outputs()) == {"node_i_0", "node_i_1", "node_i_2", "alpha"}
