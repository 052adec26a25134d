"""YAML as JSON values: whatever is written comes back, and nothing else is read."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oxoflow.errors import InvalidInput
from oxoflow.graph.yamltext import read_yaml, write_yaml

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALAR = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
TRICKY = st.sampled_from(["yes", "1e5", "1_000", "0x1F", "2026-05-26", "<<", "~", "", " a", "a: b"])
JSON = st.recursive(
    SCALAR | TRICKY,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT | TRICKY, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(JSON)
def test_what_is_written_is_read_back(value: Any) -> None:
    assert read_yaml(write_yaml(value)) == value


@settings(max_examples=100, deadline=None)
@given(TEXT)
def test_any_text_is_a_value_or_a_refusal(text: str) -> None:
    with contextlib.suppress(InvalidInput):
        assert json.dumps(read_yaml(text)), "what is read can be told as JSON"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 500_000, "nested deeper than 100 levels"),
        ("- " * 500_000 + "x", "nested deeper than 100 levels"),
        ("{a: " * 500_000, "nested deeper than 100 levels"),
        ("a: &x 1\nb: *x", "aliases (*name) are not read"),
        ("a: !!python/object:os.system {}", "could not determine a constructor"),
        ("a: !!binary aGk=", "bytes is not a JSON value"),
        ("a: !!set {b}", "set is not a JSON value"),
        ("1: a", "keys of objects must be text"),
        ("--- a\n--- b", "expected a single document"),
    ],
    ids=["lists", "items", "maps", "alias", "tag", "binary", "set", "key", "two"],
)
def test_what_json_does_not_have_is_refused(text: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_yaml(text)
    assert said in refused.value.message


def test_merge_keys_are_keys_like_others() -> None:
    assert read_yaml("a: {<<: {b: 1}}") == {"a": {"<<": {"b": 1}}}
