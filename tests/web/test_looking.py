"""Test how findings about a text are worded and shown over HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from oxoflow.errors import WorkflowError
from oxoflow.lang.faults import error
from oxoflow.openapi.contract import complaint_of
from oxoflow.openapi.schemas import SCHEMAS
from oxoflow.web.looking import placed, shown
from oxoflow.web.planning import plan_launch


def test_a_finding_says_which_included_file_it_is_about_and_else_has_no_such_key() -> None:
    finding = error("E004", "memory is odd", rule="a", line=5, column=1)
    assert placed(finding) == "memory is odd (line 5 column 1)"
    included = replace(finding, file="mods/qc.oxoflow")
    assert placed(included) == "memory is odd ('mods/qc.oxoflow' line 5 column 1)"
    assert "file" not in shown(finding)
    assert shown(included) == {**shown(finding), "file": "mods/qc.oxoflow"}
    assert {*shown(included)} == {*SCHEMAS["Diagnostic"]["properties"]}
    assert complaint_of("Diagnostic", shown(finding)) is None
    assert complaint_of("Diagnostic", shown(included)) is None


def test_a_launch_that_is_refused_names_the_included_file_and_its_line(tmp_path: Path) -> None:
    head = '[workflow]\nname = "w"\n'
    rule = '[[rules]]\nname = "a"\nmemory = "eight"\nshell = "true"\n'
    (tmp_path / "m.oxoflow").write_text(head + rule)
    asked = {
        "toml_content": f'{head}[[include]]\npath = "m.oxoflow"\n',
        "directory": str(tmp_path),
        "data_roots": [],
        "overrides": {},
        "samples": [],
    }
    with pytest.raises(WorkflowError, match=r"rule 'a': memory .*'m.oxoflow' line 5 column 1"):
        plan_launch(asked)
