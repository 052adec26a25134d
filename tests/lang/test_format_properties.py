from __future__ import annotations

import re
from collections import Counter

import tomli
from hypothesis import given, settings

from oxoflow.lang.format import canonical, same
from tests.lang.toml_texts import texts


def comment_marks(text: str) -> Counter[str]:
    return Counter(re.findall(r"§\d+", text))


@settings(max_examples=120, deadline=None)
@given(texts())
def test_formatting_keeps_all_data_and_every_comment_and_settles_at_once(text):
    formatted = canonical(text)
    assert same(tomli.loads(formatted), tomli.loads(text))
    assert comment_marks(formatted) == comment_marks(text)
    assert canonical(formatted) == formatted
    assert not formatted.startswith("\n")
    assert formatted == "" or (formatted.endswith("\n") and not formatted.endswith("\n\n"))
