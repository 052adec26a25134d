"""What a killed runner leaves lying about does not stand in the way of its next life."""

from pathlib import Path

from oxoflow.engine.rundir import RunDirectory
from oxoflow.graph.supplies import INPUTS, Supplies, pack, read_supplies
from tests.graph.building import code, line
from tests.graph.conftest import Begin
from tests.graph.test_execution import crash_after


def test_a_node_that_was_killed_in_the_middle_runs_again(begin: Begin) -> None:
    doc = line(code("Look", "import os\nresult = os.listdir('.')", "seen"))
    first = begin(doc).run()
    scratch = first.directory.records / "scratch"
    assert list(scratch.iterdir()) == []
    for number in range(4):  # as they are named, and as they might be
        left = scratch / f"{number}-{doc['nodes'][1]['id']}" / "work"
        left.mkdir(parents=True)
        (left / "half-done").touch()
    crash_after(first, "Start")
    again = begin(doc, root=first.root, execution_id=first.id).run()
    assert again.state == "Completed"
    assert again.variables == {"seen": []}
    assert list(scratch.iterdir()) == []


def test_half_a_character_kept_by_an_older_server_stops_no_execution(tmp_path: Path) -> None:
    broken = {"old": {"server_type": "stdio", "command": ["\ud83d"]}}
    directory = RunDirectory(tmp_path)
    directory.create()
    (directory.records / INPUTS).write_bytes(pack(Supplies("w", servers=broken)))
    assert read_supplies(tmp_path).servers["old"]["command"] == ["\ufffd"]
