from __future__ import annotations

import pytest

from oxoflow.commands.format_large import format_any
from oxoflow.errors import ParseError, WorkflowError
from oxoflow.lang.format import format_workflow

RULE = '[[rules]]\nshell = "true"\nname = "r{}" # c\n'
TEXT = '[workflow]\nname = "w"\n' + "".join(RULE.format(i) for i in range(50))


def test_a_long_text_formats_in_a_child_exactly_as_a_short_one_does_in_process():
    assert format_any(TEXT, large=100) == format_workflow(TEXT) == format_any(TEXT)


def test_a_fault_in_a_long_text_arrives_with_its_diagnostics():
    with pytest.raises(ParseError) as short:
        format_any(TEXT + "x = ")
    with pytest.raises(ParseError) as long:
        format_any(TEXT + "x = ", large=100)
    assert long.value.message == short.value.message
    assert long.value.diagnostics == short.value.diagnostics
    assert long.value.diagnostics[0].line == 153


def test_a_child_that_takes_too_long_is_stopped():
    with pytest.raises(WorkflowError, match=r"took longer than 0\.001 s"):
        format_any(TEXT, large=100, seconds=0.001)
