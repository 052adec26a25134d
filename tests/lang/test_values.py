"""Test the text forms of values, and durations and memory sizes."""

from __future__ import annotations

import datetime

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from oxoflow.lang.values import (
    command_text,
    config_text,
    parse_duration,
    parse_memory,
    toml_text,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a b", "a b"),
        ("", ""),
        (30, "30"),
        (True, "true"),
        (False, "false"),
        (0.0001, "0.0001"),
        (0.00001, "0.00001"),
        (1e-320, "0." + "0" * 319 + "1"),
        (1.0, "1.0"),
        (1e22, "10000000000000000000000.0"),
        (-2.5, "-2.5"),
        (float("inf"), "inf"),
        (["a", "b"], '["a", "b"]'),
        ([], "[]"),
        ([1, 2.5, True], "[1, 2.5, true]"),
        ({"a": 1, "b c": "d"}, '{ a = 1, "b c" = "d" }'),
        ({}, "{}"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC), "2026-01-02T03:04:00Z"),
    ],
)
def test_a_value_has_one_text_form(value: object, text: str):
    assert config_text(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(["x", "y"], "x y"), ([1, True, 0.5], "1 true 0.5"), ([], ""), ("x", "x"), (["a b"], "a b")],
)
def test_an_array_becomes_words_in_commands(value: object, text: str):
    assert command_text(value) == text


@given(
    st.recursive(
        st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_the_text_form_reads_back_as_the_same_value(value: object):
    try:
        text = f"v = {toml_text(value)}"
        text.encode()
    except UnicodeEncodeError:
        return
    back = tomli.loads(text)["v"]
    assert repr(back) == repr(value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("30m", 1800),
        ("4H", 14400),
        ("2d", 172800),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("24:00:00", 86400),
        ("1-12:00:00", 129600),
        (" 5s ", 5),
    ],
)
def test_a_duration_has_many_spellings(text: str, seconds: float):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "h", "5x", "1:2", "-5s", "5 s", "1h 30m", "s5", "٣s"])
def test_anything_else_is_no_duration(text: str):
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


def test_a_flag_may_give_plain_seconds():
    assert parse_duration("90", plain=True) == 90


@pytest.mark.parametrize(
    ("text", "megabytes"),
    [
        ("8G", 8192),
        ("8GB", 8192),
        ("8GiB", 8192),
        ("8g", 8192),
        ("1.5G", 1536),
        ("500", 500),
        ("500M", 500),
        ("2T", 2097152),
        ("2048K", 2),
        ("2 G", 2048),
    ],
)
def test_a_memory_size_is_whole_megabytes(text: str, megabytes: int):
    assert parse_memory(text) == megabytes


@pytest.mark.parametrize("text", ["", "G", "0", "0G", "100K", "lots", "-1G", "8X", "8G8", "1e3M"])
def test_anything_else_is_no_memory_size(text: str):
    with pytest.raises(ValueError, match=r"memory size|one megabyte"):
        parse_memory(text)
