"""What a killed runner leaves lying about does not stand in the way of its next life."""

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
