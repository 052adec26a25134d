"""Graphs are drawn as golden text, and no name leaves its label."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxoflow.engine.draw import (
    DRAWINGS,
    to_ascii,
    to_clustered_dot,
    to_dot,
    to_json,
    to_mermaid,
    to_tree,
)
from oxoflow.engine.select import RuleGraph

DIAMOND = RuleGraph(("src", "left", "right", "merge"), ((0, 1), (0, 2), (1, 3), (2, 3)))

ASCII = """\
┌────────────────────────────────────────────┐
│ Workflow DAG: 4 rules, 4 dependencies      │
│ Depth: 3, Width: 2, Critical path: 3 steps │
└────────────────────────────────────────────┘

Level 0 (sequential)
  src
    ↓

Level 1 (parallel: 2 rules)
  left [depends: src]
  right [depends: src]
    ↓

Level 2 (sequential)
  merge [depends: left, right]

Critical path: src → left → merge
"""
TREE = """\
1. src
   ↓ left
   ↓ right
2. left [src]
   ↓ merge
3. right [src]
   ↓ merge
4. merge [left, right]
"""
CLUSTERED = """\
digraph workflow {
    rankdir=TB
    node [shape=box, style="rounded,filled", fillcolor="#e8f0fe", fontname="Helvetica"]
    edge [color="#666666"]
    subgraph cluster_0 {
        label="Level 0"
        style=dashed
        "a"
    }
    subgraph cluster_1 {
        label="Level 1"
        style=dashed
        "b"
    }
    "a" -> "b"
}
"""


def test_ascii():
    assert to_ascii(DIAMOND) == ASCII


def test_tree():
    assert to_tree(DIAMOND) == TREE


def test_clustered_dot():
    assert to_clustered_dot(RuleGraph(("a", "b"), ((0, 1),))) == CLUSTERED


def test_mermaid():
    assert to_mermaid(RuleGraph(("a", "b"), ((0, 1),))) == (
        'flowchart TD\n    n0["a"]\n    n1["b"]\n    n0 --> n1\n'
    )


def test_json():
    found = to_json(DIAMOND)
    assert found["edges"][0] == {"from": "src", "to": "left"}
    assert found["nodes"][3] == {"id": 3, "name": "merge", "level": 2}
    assert found["metrics"] == {"node_count": 4, "edge_count": 4, "max_depth": 3, "max_width": 2}
    assert found["critical_path"] == ["src", "left", "merge"]


def test_an_empty_workflow_can_be_drawn():
    empty = RuleGraph((), ())
    assert to_dot(empty) == "digraph {\n}\n"
    for draw in DRAWINGS.values():
        assert isinstance(draw(empty), str)
    assert to_json(empty)["metrics"]["max_depth"] == 0


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ('a"b', '"a\\"b"'),
        ("a\\", '"a\\\\"'),
        ("a\nb", '"a\\nb"'),
        ('"]; x [ label="', '"\\"]; x [ label=\\""'),
    ],
)
def test_dot_labels_are_escaped(name, label):
    assert to_dot(RuleGraph((name,), ())) == f"digraph {{\n    0 [ label = {label} ]\n}}\n"


@given(st.lists(st.text(max_size=8), min_size=1, max_size=4, unique=True))
def test_no_name_adds_a_line_or_ends_a_label(names):
    plain = RuleGraph(tuple(f"n{at}" for at in range(len(names))), ())
    hostile = RuleGraph(tuple(names), ())
    for draw in (to_dot, to_mermaid, to_tree):
        assert draw(hostile).count("\n") == draw(plain).count("\n")
    for line in to_mermaid(hostile).splitlines()[1:]:
        assert line.count('"') == 2
    json.dumps(to_json(hostile))
