"""Files of an execution: what a Tool node writes besides text."""

from typing import Any

from tests.graph.building import line, node
from tests.graph.conftest import Begin


def test_a_value_that_is_no_text_is_written_as_json(begin: Begin) -> None:
    def tool(name: str, **parameters: Any) -> dict[str, Any]:
        config = {"server_id": "fs", "tool_name": name, "parameters": parameters}
        return node(f"{name} {parameters['path']}", "Tool", config)

    doc = line(
        tool("fs_write", path="stats.json", content="{{stats}}"),
        tool("fs_write", path="n", content="{{n}}"),
        tool("fs_read", path="stats.json"),
        tool("fs_read", path="n"),
    )
    done = begin(doc, variables={"stats": {"mean": 0.5}, "n": 3}).run()
    assert done.output("fs_read stats.json")["content"] == '{"mean":0.5}'
    assert done.output("fs_read n")["content"] == "3"
