import json
from pathlib import Path

import pytest

from oxoflow.engine.load import load_text
from oxoflow.errors import GraphError, WorkflowError
from oxoflow.graph import fromrules
from oxoflow.graph.document import dump
from oxoflow.graph.fromrules import graph_of, graph_of_text
from oxoflow.graph.validate import validate
from tests.graph.conftest import Begin

TEXT = """
[workflow]
name = "pair"
version = "2.0.0"
[config]
word = "hello"
[[sample_groups]]
name = "lab"
samples = ["a", "b"]
[[rules]]
name = "greet"
output = ["out/{sample}.txt"]
shell = "echo {config.word} {sample} > {output}"
retries = 2
retry_delay = "5s"
[rules.resources]
time_limit = "2m"
[[rules]]
name = "join"
output = ["all.txt"]
expand_inputs = [{ pattern = "out/{s}.txt", variables = { s = "config.samples_list" } }]
shell = "cat {input} > {output}"
"""


def test_jobs_become_nodes_and_dependencies_edges() -> None:
    graph = graph_of_text(TEXT)
    document = dump(graph)
    report = validate(document)
    assert report.valid
    assert not report.warnings
    assert graph.metadata.name == "pair"
    names = {node.id: node.name for node in graph.nodes}
    jobs = [name for name in names.values() if name not in ("Start", "End")]
    assert len(jobs) == 3
    pairs = {(names[edge.source], names[edge.target]) for edge in graph.edges}
    last = next(name for name in jobs if name.startswith("join"))
    firsts = [name for name in jobs if name != last]
    assert pairs == {
        *(("Start", name) for name in firsts), *((name, last) for name in firsts), (last, "End"),
    }  # fmt: skip
    greet = next(node for node in document["nodes"] if node["name"] == firsts[0])
    assert greet["retry_config"]["max_retries"] == 2
    assert greet["retry_config"]["initial_delay_ms"] == 5000
    assert greet["timeout_config"]["execution_timeout_ms"] == 120_000
    assert graph_of_text(TEXT) == graph  # ids follow from names


def test_the_exported_graph_runs_in_the_directory_it_is_given(begin: Begin, tmp_path: Path) -> None:
    workdir = tmp_path / "work"
    workdir.mkdir()
    document = json.loads(json.dumps(dump(graph_of_text(TEXT))))
    done = begin(document, variables={"workdir": str(workdir)}).run()
    assert done.state == "Completed"
    assert (workdir / "all.txt").read_text() == "hello a\nhello b\n"


def test_a_workflow_without_rules_is_start_and_end() -> None:
    loaded = load_text('[workflow]\nname = "empty"\n', to_run=False)
    graph = graph_of(loaded)
    assert [node.name for node in graph.nodes] == ["Start", "End"]
    assert len(graph.edges) == 1


def test_too_many_jobs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fromrules, "MAX_NODES", 4)
    with pytest.raises(GraphError, match="has 3 jobs; a graph holds 2"):
        graph_of_text(TEXT)


def test_a_text_that_is_no_workflow_says_so() -> None:
    with pytest.raises(WorkflowError):
        graph_of_text("not toml [")
