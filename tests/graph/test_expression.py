import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oxoflow.graph.evaluate import condition, value_of
from oxoflow.graph.expression import MAX_DEPTH, MAX_LENGTH, ExpressionError, parse

NAMES: dict[str, Any] = {
    "x": 7,
    "half": 0.5,
    "ok": True,
    "name": "Plate A",
    "none": None,
    "größe": {"maß": 3, "数": [4]},
    "items": [{"id": 3}, {"id": 4}],
    "stats": {"cv": 2.4, "n": 3, "tags": ["a", "b"]},
    "node_10000000_0000_4000_8000_000000000002": {"result": {"cv": 2.4}},
}


def lookup(name: str) -> Any:
    return NAMES[name]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("2 ^ 3 ^ 2", 512),
        ("-2 ^ 2", -4),
        ("7 / 2", 3.5),
        ("7 % 3", 1),
        ("-7 % 3", -1),
        ("7.5 % 2", 1.5),
        ("2 ^ -1", 0.5),
        (".5 + 1e2", 100.5),
        ("\"a\" + 'b'", "ab"),
        (r'"tab\t\"q\""', 'tab\t"q"'),
        ("x > 5 && ok == true", True),
        ("x > 5 && !ok", False),
        ("false || x == 7", True),
        ("1 == 1.0", True),
        ("true == 1", False),
        ('"1" == 1', False),
        ("items == items", True),
        ('"a" < "b"', True),
        ("len(größe) == 2 && $größe.maß + $größe.数.0 == 7", True),
        ("$stats.cv <= 10", True),
        ("$items.0.id + $items.1.id", 7),
        ("$stats.tags.1", "b"),
        ("$node_10000000_0000_4000_8000_000000000002.result.cv > 2", True),
        ("len(items) + len(name) + len(stats)", 12),
        ("min(3, 1, 2) + max(4, x)", 8),
        ("floor(2.7) + ceil(2.1) + round(2.5) + round(-2.5)", 5),
        ("if(x > 5, 'big', 'small')", "big"),
        ("contains(name, 'Plate') && contains($stats.tags, 'a') && contains(stats, 'n')", True),
        ("typeof(none)", "empty"),
        ("typeof(x) + typeof(half) + typeof(ok) + typeof(name)", "intfloatbooleanstring"),
        ("str::to_uppercase(str::trim('  a ')) + str::to_lowercase('B')", "Ab"),
        ("!(1 > 2)", True),
        ("--3", 3),
    ],
)
def test_an_expression_has_its_value(text: str, expected: object) -> None:
    found = value_of(text, lookup)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a value, found the end"),
        ("1 +", "expected a value"),
        ("(1", "expected ')'"),
        ("1 2", "expected an operator or the end, found '2'"),
        ("x = 7", "write '=='"),
        ("ok & ok", "write '&&'"),
        ("{{x}} > 1", "without {{ }}"),
        ("stats.cv > 1", "$name.key"),
        ("$stats > 1", "has no key"),
        ('"open', "never closed"),
        ("nowhere > 1", "Variable not found: nowhere"),
        ("$stats.nothing > 1", "Variable not found: stats.nothing"),
        ("$items.9.id > 1", "Variable not found: items.9.id"),
        ("exec('x')", "unknown function 'exec'"),
        ("__import__('os')", "unknown function '__import__'"),
        ("$name.__class__", "Variable not found: name.__class__"),
        ("name.__class__", "unexpected '.'"),
        ("len()", "takes 1 arguments, not 0"),
        ("if(true, 1)", "takes 3 arguments"),
        ("x + name", "'+' cannot join int and string"),
        ("items < 1", "'<' cannot join list and int"),
        ("1 / 0", "by zero"),
        ("1 % 0", "by zero"),
        ("9223372036854775807 + 1", "beyond 64 bits"),
        ("9223372036854775808", "too large"),
        ("9 ^ 9 ^ 9 ^ 9", "beyond 64 bits"),
        ("2.0 ^ 1e9", "no finite value"),
        ("(-8) ^ 0.5", "not a real number"),
        ("1e308 * 10", "too large"),
        ("1 && true", "'&&' needs true or false"),
        ("!x", "'!' needs true or false"),
        ("-name", "'-' needs a number"),
        ("len(x)", "needs a text"),
        ("min('a', 1)", "needs numbers"),
        ("1" * (MAX_LENGTH + 1), f"at most {MAX_LENGTH}"),
        ("(" * 40 + "1" + ")" * 40, f"deeper than {MAX_DEPTH}"),
        ("!" * 40 + "true", f"deeper than {MAX_DEPTH}"),
        ("2^" * 40 + "1", f"deeper than {MAX_DEPTH}"),
    ],
)
def test_what_cannot_be_computed_says_why(text: str, said: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        value_of(text, lookup)
    assert said in caught.value.message


def test_only_true_and_false_are_conditions() -> None:
    assert condition("x > 5", lookup) is True
    with pytest.raises(ExpressionError, match="must be true or false, but is int"):
        condition("x", lookup)


def test_the_side_that_does_not_matter_is_not_looked_at() -> None:
    assert value_of("false && nowhere", lookup) is False
    assert value_of("true || nowhere", lookup) is True
    assert value_of("if(true, 1, nowhere)", lookup) == 1


def test_a_long_flat_chain_is_no_deep_tree() -> None:
    assert value_of("+".join(["1"] * 1000), lookup) == 1000


def test_large_values_are_handled() -> None:
    names = {"text": "a" * 1_000_000, "many": list(range(100_000))}
    assert value_of("contains(text, 'aaab')", names.__getitem__) is False
    assert value_of("many == many", names.__getitem__) is True
    with pytest.raises(ExpressionError, match="longer than"):
        value_of("text + text", names.__getitem__)


NUMBERS = st.integers(-(2**31), 2**31)


@given(NUMBERS, NUMBERS, NUMBERS)
def test_arithmetic_agrees_with_mathematics(a: int, b: int, c: int) -> None:
    names = {"a": a, "b": b, "c": c}.__getitem__
    assert value_of("a + b - c", names) == a + b - c
    assert value_of("a + b * c > 0", names) is (a + b * c > 0) if abs(a + b * c) < 2**63 else True
    assert value_of("a < b || a >= b", names) is True


@given(st.text(max_size=60))
@settings(max_examples=300)
def test_any_text_is_an_expression_or_an_expression_error(text: str) -> None:
    with contextlib.suppress(ExpressionError):
        value_of(text, lookup)


@given(
    st.recursive(
        st.sampled_from(["x", "1", "2.5", "ok", "'t'", "$stats.cv", "items", "none"]),
        lambda inner: st.one_of(
            st.tuples(
                inner, st.sampled_from(["+", "-", "*", "/", "%", "==", "<", "&&"]), inner
            ).map(lambda parts: f"({' '.join(parts)})"),
            inner.map(lambda part: f"!{part}"),
            inner.map(lambda part: f"len({part})"),
        ),
        max_leaves=12,
    )
)
@settings(max_examples=200)
def test_well_formed_expressions_parse_and_end(text: str) -> None:
    with contextlib.suppress(ExpressionError):
        parse(text)
        value_of(text, lookup)
