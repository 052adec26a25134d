"""What the author of a piece of code is told when it breaks: his own lines, and no others."""

import pytest

from tests.graph.building import code, line
from tests.graph.conftest import Begin


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\ndef (:", 'exit code 1: File "<code>", line 2'),
        ("x = '\0'", "exit code 1: SyntaxError: source code string cannot contain null bytes"),
        ("import json\njson.loads('{')", "exit code 1: Traceback (most recent call last):\n"
         '  File "<code>", line 2, in <module>'),
    ],
)  # fmt: skip
def test_a_fault_is_told_from_the_code_on(begin: Begin, text: str, said: str) -> None:
    done = begin(line(code("C", text))).run()
    assert done.failure.startswith(f"Node 'C' failed: {said}")
    assert "ast.py" not in done.failure
    assert "pychild" not in done.failure
