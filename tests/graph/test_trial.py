"""When the answer of a trial is the one that was expected."""

import pytest

from oxoflow.web.oxify_trial import is_same


@pytest.mark.parametrize(
    ("output", "expected", "same"),
    [
        ("42", " 42 ", True),
        ("1.0", "1", True),
        ('{"n": 1.0, "ok": true}', '{"ok":true,"n":1}', True),
        ('{"ok": true}', '{"ok": 1}', False),
        ("[1]", "[true]", False),
        ("true", "1", False),
        ('" text "', "text", True),
        ('"42"', "42", True),
        ('"a"', "b", False),
        ("{}", "{}", True),
        ("null", "", False),
        ("[" * 400 + "1" + "]" * 400, "[" * 400 + "2" + "]" * 400, False),
    ],
)
def test_answers_are_compared_as_text_or_as_json(output: str, expected: str, same: bool) -> None:
    assert is_same(output, expected) is same
