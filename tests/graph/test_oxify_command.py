"""`oxoflow oxify …` without a server."""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from oxoflow.cli import main
from oxoflow.engine.rundir import RunDirectory, lock_holder
from tests.graph.building import code, document, if_else, line, node, shell
from tests.patience import PATIENCE

PLATE_QC = Path(__file__).parent / "plate_qc.json"
ADD = line(code("Add", "result = x + y", "sum", ["x", "y"]))
APPROVAL = line(node("Sign", "Approval", {"message": "ok?"}))


def write(path: Path, value: Any) -> str:
    path.write_text(json.dumps(value) if path.suffix == ".json" else yaml.safe_dump(value))
    return str(path)


def test_validate_names_what_is_wrong_and_exits_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["oxify", "validate", str(PLATE_QC)]) == 0
    assert "valid, 7 nodes, 7 edges" in capsys.readouterr().out
    bad = write(tmp_path / "bad.json", document([node("End", "End")], []))
    assert main(["oxify", "validate", bad]) == 1
    said = capsys.readouterr().out
    assert "error NoStartNode: Workflow must have at least one Start node" in said
    assert main(["oxify", "validate", "--json", bad]) == 1
    assert json.loads(capsys.readouterr().out)["valid"] is False


def test_execute_prints_the_execution(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph = write(tmp_path / "add.yaml", ADD)
    variables = write(tmp_path / "v.json", {"x": 1, "y": 1})
    words = ["oxify", "execute", graph, "--variables", variables, "--var", "y=41"]
    assert main(words) == 0
    done = json.loads(capsys.readouterr().out)
    assert done["state"] == "Completed"
    assert done["variables"] == {"x": 1, "y": 41, "sum": 42}
    assert set(done) == {"execution_id", "workflow_id", "state", "variables", "node_results"}


def test_a_directory_may_be_given_as_it_is_seen_from_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    child = '[workflow]\nname = "c"\n[[rules]]\nname = "r"\noutput = ["o"]\nshell = "touch o"'
    call = {"server_id": "oxo", "tool_name": "run", "parameters": {"toml_content": child}}
    steps = (code("Py", "result = 1", "a"), shell("Sh", "echo 2", "b"), node("Oxo", "Tool", call))
    graph = write(Path("g.json"), line(*steps))
    assert main(["oxify", "execute", graph, "--workdir", "here"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert done["variables"] == {"a": 1, "b": 2}
    assert done["node_results"][3]["result"]["Success"]["outputs"] == ["o"]


def test_a_failed_execution_exits_with_1_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = write(tmp_path / "g.json", line(shell("Bad", "echo broken >&2; exit 3")))
    assert main(["oxify", "execute", graph]) == 1
    told = capsys.readouterr()
    assert "Bad: exit code 3: broken" in told.err
    assert "Failed" in json.loads(told.out)["state"]


def test_yes_approves_and_a_kept_directory_is_not_executed_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = write(tmp_path / "g.json", APPROVAL)
    words = ["oxify", "execute", graph, "--yes", "--workdir", str(tmp_path / "work")]
    assert main(words) == 0
    capsys.readouterr()
    assert main(words) == 2
    assert "has ended (success); take another directory" in capsys.readouterr().err


def test_a_question_is_answered_from_another_terminal(tmp_path: Path) -> None:
    graph, work = write(tmp_path / "g.json", APPROVAL), tmp_path / "work"
    process = subprocess.Popen(
        [sys.executable, "-m", "oxoflow", "oxify", "execute", graph, "--workdir", str(work)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = process.stderr.readline().strip()
    words = said.partition("oxoflow oxify ")[2].split()
    assert words[:3] == ["answer", str(work), "--approve"]
    assert lock_holder(RunDirectory(work).lock) == process.pid
    second = ["oxify", "execute", graph, "--workdir", str(work)]
    assert subprocess.run([sys.executable, "-m", "oxoflow", *second], check=False).returncode == 1
    assert main(["oxify", *words, "--comments", "fine"]) == 0
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert json.loads(out)["node_results"][1]["result"]["Success"]["comments"] == "fine"


@pytest.mark.parametrize("form", ["body", "list", "texts"])
def test_a_retriever_searches_collections_from_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    texts = ["How to clean a pipette", "Ordering gloves", "The centrifuge rotor"]
    entries: list[Any] = [{"id": f"d{n}", "metadata": {"text": t}} for n, t in enumerate(texts)]
    body = {"body": {"vectors": entries}, "list": entries, "texts": texts}[form]
    file = write(tmp_path / "sops.json", body)
    config = {"db_type": "fts5", "collection": "sops", "query": "{{q}}", "top_k": 2}
    graph = write(tmp_path / "g.json", line(node("R", "Retriever", config)))
    words = ["oxify", "execute", graph, "--var", "q=clean a rotor"]
    assert main([*words, "--collection", f"sops={file}"]) == 0
    done = json.loads(capsys.readouterr().out)
    found = done["node_results"][1]["result"]["Success"]
    assert set(found) == {"db_type", "collection", "query", "results", "count"}
    assert (found["count"], found["results"][0]["payload"]["text"]) == (2, texts[0])
    assert 0 < found["results"][1]["score"] < found["results"][0]["score"] < 1
    assert main(words) == 1
    assert "--collection sops=FILE" in capsys.readouterr().err


def test_a_tool_server_is_named_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], servers: dict[str, Any]
) -> None:
    config = {"server_id": "calc", "tool_name": "add", "parameters": {"a": 40, "b": 2}}
    words = ["oxify", "execute", write(tmp_path / "g.json", line(node("T", "Tool", config)))]
    assert main([*words, "--tool-server", f"calc={shlex.join(servers['calc']['command'])}"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert done["node_results"][1]["result"]["Success"]["content"][0]["text"] == "42"
    for wrong, said in (("calc", "give it as ID=COMMAND or ID=URL"), ("calc='", "is no command")):
        assert main([*words, "--tool-server", wrong]) == 2
        assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "content", "said"),
    [
        ("sops", "[]", "--collection sops: give it as NAME=FILE"),
        ("sops=FILE", "{}", "holds no collection"),
        ("sops=FILE", '[{"id": 1}]', "holds no collection"),
        ("sops=FILE", "[", "not JSON"),
        ("sops=gone.json", "", "cannot be read"),
    ],
)
def test_a_collection_that_cannot_be_read_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], word: str, content: str, said: str
) -> None:
    file = tmp_path / "sops.json"
    file.write_text(content)
    graph = write(tmp_path / "g.json", ADD)
    words = ["oxify", "execute", graph, "--collection", word.replace("FILE", str(file))]
    assert main(words) == 2
    assert said in capsys.readouterr().err


def test_show_prints_levels_and_ways(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    doc = document(
        [node("Start", "Start"), if_else("If", "x > 1", "A", "End"), code("A", "1"),
         node("End", "End")],
        ["Start If", "A End"],
    )  # fmt: skip
    assert main(["oxify", "show", write(tmp_path / "g.json", doc)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "  0  Start        Start -> If",
        "  1  IfElse       If -> A [true], End [false]",
        "  2  Code         A -> End",
        "  3  End          End",
    ]
    assert main(["oxify", "show", "--json", write(tmp_path / "g.json", doc)]) == 0
    assert json.loads(capsys.readouterr().out)["levels"] == 4


def test_export_prints_a_workflow_as_a_valid_graph(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = '[workflow]\nname = "w"\n[[rules]]\nname = "a"\noutput = ["a"]\nshell = "touch a"\n'
    (tmp_path / "w.oxoflow").write_text(rules)
    assert main(["oxify", "export", str(tmp_path / "w.oxoflow")]) == 0
    graph = tmp_path / "g.json"
    graph.write_text(capsys.readouterr().out)
    assert main(["oxify", "execute", str(graph), "--var", f"workdir={tmp_path}"]) == 0
    assert (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["execute"], "the following arguments are required: FILE"),
        (["execute", "none.json"], "'none.json' cannot be read"),
        (["dance", "x"], "invalid choice"),
        (["execute", "{graph}", "--var", "x"], "are given as NAME=VALUE"),
        (["execute", "{graph}", "--variables", "none"], "is not a JSON object"),
        (["answer", ".", "--approve", "x"], "has no question x"),
        (["answer", "."], "give one of --approve"),
        (["execute", "{broken}"], "not JSON"),
    ],
)
def test_wrong_words_are_told_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    (tmp_path / "broken.json").write_text("{")
    files = {"{graph}": write(tmp_path / "g.json", ADD), "{broken}": str(tmp_path / "broken.json")}
    assert main(["oxify", *(files.get(word, word) for word in words)]) == 2
    assert said in capsys.readouterr().err
