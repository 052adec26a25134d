"""Patterns that wait for their first use behave like compiled ones."""

import re

import pytest

from oxoflow.lang.latepattern import late


def test_a_late_pattern_answers_like_a_compiled_one() -> None:
    pattern, plain = late(r"(a+)(b)?", re.IGNORECASE), re.compile(r"(a+)(b)?", re.IGNORECASE)
    for text in ("AAB", "xab", ""):
        for name in ("match", "search", "fullmatch", "findall"):
            ours, theirs = getattr(pattern, name)(text), getattr(plain, name)(text)
            assert str(ours) == str(theirs)
    assert pattern.pattern == plain.pattern


def test_a_wrong_late_pattern_fails_at_its_first_use() -> None:
    pattern = late("(")
    with pytest.raises(re.error, match="missing \\)"):
        pattern.match("a")
