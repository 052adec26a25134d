"""Compute the value of a parsed expression over variables (spec/oxify-api.md 4.4).

Owns the meaning of operators and functions: whole numbers are 64-bit and never wrap, `/` is true
division, `%` takes the sign of its left side, `&&`, `||` and `if` look only at what they need.
Reads variables through a function; time is bounded by the size of tree and values, and checked.
"""

from __future__ import annotations

import math
import operator
import time
from collections.abc import Callable
from typing import Any

from oxoflow.graph.expression import (
    Call,
    Chain,
    ExpressionError,
    Literal,
    Name,
    Tree,
    Unary,
    parse,
)

Lookup = Callable[[str], Any]  # raises KeyError for a name that has no value
MAX_TEXT = 1_000_000  # characters of a computed text
SECONDS = 2.0  # longest time one condition may take
BOUND = 2**63

NUMERIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def condition(source: str, lookup: Lookup) -> bool:
    """The truth of an expression; raise ExpressionError when it is not boolean or has no value."""
    value = value_of(source, lookup)
    if not isinstance(value, bool):
        raise ExpressionError(
            f"'{source}' must be true or false, but is {kind_of(value)}; compare it with something"
        )
    return value


def value_of(source: str, lookup: Lookup) -> Any:
    """The value of an expression; raise ExpressionError quoting it."""
    try:
        return _Evaluation(lookup).of(parse(source))
    except ExpressionError as error:
        raise ExpressionError(f"in '{source[:200]}': {error.message}") from None


def kind_of(value: Any) -> str:
    """What `typeof` answers."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "boolean"
    names = ((int, "int"), (float, "float"), (str, "string"), (list, "list"), (dict, "object"))
    return next(name for kind, name in names if isinstance(value, kind))


def step_into(value: Any, keys: tuple[str, ...] | list[str], whole: str) -> Any:
    """Follow keys and list indexes into a value; raise KeyError(whole) when there is nothing."""
    for key in keys:
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdecimal() and key.isascii() and _index(key, value):
            value = value[int(key)]
        else:
            raise KeyError(whole)
    return value


def _index(key: str, value: list[Any]) -> bool:
    return len(key) < 10 and int(key) < len(value)


class _Evaluation:
    """One walk over one tree, with its deadline."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._deadline = time.monotonic() + SECONDS

    def of(self, tree: Tree) -> Any:
        if time.monotonic() > self._deadline:
            raise ExpressionError(f"took longer than {SECONDS:g} s")
        if isinstance(tree, Literal):
            return tree.value
        if isinstance(tree, Name):
            return self._named(tree)
        if isinstance(tree, Unary):
            return _unary(tree.operator, self.of(tree.operand))
        if isinstance(tree, Chain):
            return self._chain(tree)
        return self._call(tree)

    def _named(self, name: Name) -> Any:
        try:
            value = self._lookup(name.root)
            whole = ".".join((name.root, *name.keys))
            return _bounded(step_into(value, name.keys, whole))
        except KeyError as error:
            raise ExpressionError(f"Variable not found: {error.args[0]}") from None

    def _chain(self, chain: Chain) -> Any:
        value = self.of(chain.first)
        for symbol, operand in chain.rest:
            if symbol in ("&&", "||"):
                if _boolean(value, symbol) is (symbol == "||"):
                    continue
                value = _boolean(self.of(operand), symbol)
            else:
                value = _binary(symbol, value, self.of(operand))
        return value

    def _call(self, call: Call) -> Any:
        if call.function == "if":
            chosen = _boolean(self.of(call.arguments[0]), "if")
            return self.of(call.arguments[1 if chosen else 2])
        return FUNCTIONS[call.function](*(self.of(argument) for argument in call.arguments))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _boolean(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise ExpressionError(f"'{where}' needs true or false, not {kind_of(value)}")
    return value


def _bounded(value: Any) -> Any:
    """A number within 64 bits, a finite float, a text of bearable length; else an error."""
    if isinstance(value, int) and not -BOUND <= value < BOUND:
        raise ExpressionError("a whole number beyond 64 bits")
    if isinstance(value, float) and not math.isfinite(value):
        raise ExpressionError("a number too large")
    return value


def _unary(symbol: str, value: Any) -> Any:
    if symbol == "!":
        return not _boolean(value, "!")
    if not _is_number(value):
        raise ExpressionError(f"'-' needs a number, not {kind_of(value)}")
    return _bounded(-value)


def _binary(symbol: str, left: Any, right: Any) -> Any:
    if symbol in ("==", "!="):
        return equal(left, right) is (symbol == "==")
    if isinstance(left, str) and isinstance(right, str) and symbol in ("+", "<", "<=", ">", ">="):
        if symbol == "+" and len(left) + len(right) > MAX_TEXT:
            raise ExpressionError(f"a text longer than {MAX_TEXT} characters")
        return NUMERIC[symbol](left, right)
    if not (_is_number(left) and _is_number(right)):
        raise ExpressionError(f"'{symbol}' cannot join {kind_of(left)} and {kind_of(right)}")
    if symbol in NUMERIC:
        return _bounded(NUMERIC[symbol](left, right))
    if symbol == "^":
        return _power(left, right)
    if right == 0:
        raise ExpressionError(f"'{symbol}' by zero")
    if symbol == "/":
        return _bounded(left / right)
    return _remainder(left, right)


def _remainder(left: Any, right: Any) -> Any:
    if isinstance(left, int) and isinstance(right, int):
        return (1 if left >= 0 else -1) * (abs(left) % abs(right))
    return math.fmod(left, right)


def _power(base: Any, exponent: Any) -> Any:
    """`base ^ exponent`; whole numbers stay whole as long as they fit into 64 bits."""
    try:
        if isinstance(base, int) and isinstance(exponent, int) and exponent >= 0:
            if abs(base) > 1 and exponent > 63:
                raise ExpressionError("a whole number beyond 64 bits")
            return _bounded(base**exponent)
        result = float(base) ** float(exponent)
    except (OverflowError, ZeroDivisionError):
        raise ExpressionError(f"{base} ^ {exponent} has no finite value") from None
    if isinstance(result, complex):
        raise ExpressionError(f"{base} ^ {exponent} is not a real number")
    return _bounded(result)


def equal(left: Any, right: Any) -> bool:
    """JSON equality: 1 equals 1.0, but never true, however deep."""
    todo = [(left, right)]
    while todo:
        one, two = todo.pop()
        if isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
            todo += zip(one, two, strict=True)
        elif isinstance(one, dict) and isinstance(two, dict) and one.keys() == two.keys():
            todo += ((one[key], two[key]) for key in one)
        elif one != two or _is_number(one) is not _is_number(two):
            return False
    return True


def _length(value: Any) -> int:
    if isinstance(value, str | list | dict):
        return len(value)
    raise ExpressionError(f"len() needs a text, a list or an object, not {kind_of(value)}")


def _extreme(name: str, pick: Callable[..., Any]) -> Callable[..., Any]:
    def function(*values: Any) -> Any:
        single = values[0] if len(values) == 1 and isinstance(values[0], list) else values
        if not single or not all(_is_number(value) for value in single):
            raise ExpressionError(f"{name}() needs numbers")
        return pick(single)

    return function


def _rounded(name: str, to_whole: Callable[[float], int]) -> Callable[[Any], Any]:
    def function(value: Any) -> Any:
        if not _is_number(value):
            raise ExpressionError(f"{name}() needs a number, not {kind_of(value)}")
        return _bounded(to_whole(value))

    return function


def _away_from_zero(value: float) -> int:
    """Round half away from zero, as one learns it at school."""
    if isinstance(value, int):
        return value
    whole = math.floor(abs(value))
    whole += abs(value) - whole >= 0.5
    return whole if value >= 0 else -whole


def _contains(whole: Any, part: Any) -> bool:
    if isinstance(whole, str) and isinstance(part, str):
        return part in whole
    if isinstance(whole, list):
        return any(equal(item, part) for item in whole)
    if isinstance(whole, dict) and isinstance(part, str):
        return part in whole
    raise ExpressionError(f"contains() cannot look for {kind_of(part)} in {kind_of(whole)}")


def _textual(name: str, change: Callable[[str], str]) -> Callable[[Any], str]:
    def function(value: Any) -> str:
        if not isinstance(value, str):
            raise ExpressionError(f"{name}() needs a text, not {kind_of(value)}")
        return change(value)

    return function


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "len": _length,
    "min": _extreme("min", min),
    "max": _extreme("max", max),
    "floor": _rounded("floor", math.floor),
    "ceil": _rounded("ceil", math.ceil),
    "round": _rounded("round", _away_from_zero),
    "contains": _contains,
    "typeof": kind_of,
    "str::to_lowercase": _textual("str::to_lowercase", str.lower),
    "str::to_uppercase": _textual("str::to_uppercase", str.upper),
    "str::trim": _textual("str::trim", str.strip),
}
