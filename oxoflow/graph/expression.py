"""Parse the conditions of a graph into a small tree (spec/oxify-api.md 4.4).

Owns the tokens and the grammar, bounded in length and depth; computes nothing and never uses the
host language's own evaluation. `evaluate` walks the tree.

    or  := and ("||" and)*          sum     := product (("+" | "-") product)*
    and := compare ("&&" compare)*  product := unary (("*" | "/" | "%") unary)*
    compare := sum (("==" | "!=" | "<" | "<=" | ">" | ">=") sum)*
    unary := ("-" | "!") unary | power       power := atom ("^" unary)?
    atom := number | text | true | false | name | $root.key… | function "(" … ")" | "(" or ")"

A chain of equal rank is one flat node, so that a long sum is not a deep tree.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import lru_cache

from msgspec import Struct

from oxoflow.errors import WorkflowError

MAX_LENGTH = 2000
MAX_DEPTH = 32


class ExpressionError(WorkflowError):
    """An expression that cannot be read or has no value; the message quotes the place."""


class Literal(Struct, frozen=True):
    """A value that stands in the text."""

    value: bool | int | float | str


class Name(Struct, frozen=True):
    """A variable, or with keys the path `$root.key.key`."""

    root: str
    keys: tuple[str, ...] = ()


class Unary(Struct, frozen=True):
    """`-x` or `!x`."""

    operator: str
    operand: Tree


class Chain(Struct, frozen=True):
    """`first op x op y …`, computed from the left; all operators are of one rank."""

    first: Tree
    rest: tuple[tuple[str, Tree], ...]


class Call(Struct, frozen=True):
    """A function with its arguments."""

    function: str
    arguments: tuple[Tree, ...]


Tree = Literal | Name | Unary | Chain | Call

ARGUMENTS: dict[str, tuple[int, int]] = {  # fewest and most arguments of every function
    "len": (1, 1),
    "min": (1, 100),
    "max": (1, 100),
    "floor": (1, 1),
    "ceil": (1, 1),
    "round": (1, 1),
    "if": (3, 3),
    "contains": (2, 2),
    "typeof": (1, 1),
    "str::to_lowercase": (1, 1),
    "str::to_uppercase": (1, 1),
    "str::trim": (1, 1),
}
RANKS = (("||",), ("&&",), ("==", "!=", "<", "<=", ">", ">="), ("+", "-"), ("*", "/", "%"))
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}
TOKEN = re.compile(
    r"""(?P<blank>\s+)
      |(?P<number>(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][+-]?[0-9]+)?)
      |(?P<path>\$\w+(?:\.\w+)*)
      |(?P<name>[^\W\d]\w*(?:::[^\W\d]\w*)*)
      |(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      |(?P<operator>\|\||&&|==|!=|<=|>=|[-+*/%^<>!(),])""",
    re.VERBOSE | re.DOTALL,
)


class Token(Struct, frozen=True):
    """A word of the expression and where it starts (from 1)."""

    kind: str
    text: str
    column: int


def _tokens(source: str) -> Iterator[Token]:
    position = 0
    while position < len(source):
        match = TOKEN.match(source, position)
        if match is None:
            raise _unexpected(source, position)
        if match.lastgroup != "blank":
            yield Token(str(match.lastgroup), match[0], position + 1)
        position = match.end()
    yield Token("end", "", len(source) + 1)


def _unexpected(source: str, position: int) -> ExpressionError:
    rest = source[position:]
    cure = ""
    if rest.startswith("{{"):
        cure = "; a condition names its variables bare, without {{ }}"
    elif rest.startswith(("=", "&", "|")):
        cure = f"; write '{rest[0] * 2}'"
    elif rest.startswith((".", "[")):
        cure = "; a path into a variable is written $name.key"
    elif rest.startswith(('"', "'")):
        cure = "; the quotation is never closed"
    return ExpressionError(f"column {position + 1}: unexpected '{rest[0]}'{cure}")


class _Parser:
    """Recursive descent over the tokens of one expression; made for one `parse` and dropped."""

    def __init__(self, source: str) -> None:
        self._tokens = list(_tokens(source))
        self._at = 0
        self._depth = 0

    def whole(self) -> Tree:
        """The tree of all tokens."""
        tree = self._chain(0)
        if self._next.kind != "end":
            raise self._error("an operator or the end")
        return tree

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _is(self, *operators: str) -> bool:
        return self._next.kind == "operator" and self._next.text in operators

    def _expect(self, operator: str) -> None:
        if not self._is(operator):
            raise self._error(f"'{operator}'")
        self._take()

    def _error(self, expected: str) -> ExpressionError:
        token = self._next
        found = f"'{token.text}'" if token.text else "the end"
        return ExpressionError(f"column {token.column}: expected {expected}, found {found}")

    def _chain(self, rank: int) -> Tree:
        if rank == len(RANKS):
            return self._unary()
        first = self._chain(rank + 1)
        rest: list[tuple[str, Tree]] = []
        while self._is(*RANKS[rank]):
            operator = self._take().text
            rest.append((operator, self._chain(rank + 1)))
        return Chain(first, tuple(rest)) if rest else first

    def _unary(self) -> Tree:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ExpressionError(f"nested deeper than {MAX_DEPTH} levels")
        try:
            if self._is("-", "!"):
                return Unary(self._take().text, self._unary())
            base = self._atom()
            if self._is("^"):
                self._take()
                return Chain(base, (("^", self._unary()),))
            return base
        finally:
            self._depth -= 1

    def _atom(self) -> Tree:
        if self._is("("):
            self._take()
            tree = self._chain(0)
            self._expect(")")
            return tree
        token = self._next
        if token.kind not in ("number", "path", "name", "text"):
            raise self._error("a value")
        self._take()
        if token.kind == "number":
            return Literal(_number(token))
        if token.kind == "text":
            return Literal(_unquoted(token.text))
        if token.kind == "path":
            return _path(token)
        if token.text in ("true", "false"):
            return Literal(token.text == "true")
        if self._is("("):
            return self._call(token)
        if "::" in token.text:
            raise ExpressionError(f"column {token.column}: '{token.text}' needs its arguments")
        return Name(token.text)

    def _call(self, token: Token) -> Tree:
        if token.text not in ARGUMENTS:
            known = ", ".join(ARGUMENTS)
            raise ExpressionError(
                f"column {token.column}: unknown function '{token.text}'; known: {known}"
            )
        self._expect("(")
        arguments: list[Tree] = []
        while not self._is(")"):
            if arguments:
                self._expect(",")
            arguments.append(self._chain(0))
        self._take()
        fewest, most = ARGUMENTS[token.text]
        if not fewest <= len(arguments) <= most:
            count = str(fewest) if fewest == most else f"{fewest} to {most}"
            raise ExpressionError(
                f"column {token.column}: {token.text}() takes {count} arguments, "
                f"not {len(arguments)}"
            )
        return Call(token.text, tuple(arguments))


def _number(token: Token) -> int | float:
    if token.text.isdigit():
        value = int(token.text)
        if value >= 2**63:
            raise ExpressionError(f"column {token.column}: the number is too large")
        return value
    number = float(token.text)
    if not math.isfinite(number):
        raise ExpressionError(f"column {token.column}: the number is too large")
    return number


def _unquoted(quoted: str) -> str:
    def replace(match: re.Match[str]) -> str:
        return ESCAPES.get(match[1], match[0])

    return re.sub(r"\\(.)", replace, quoted[1:-1], flags=re.DOTALL)


def _path(token: Token) -> Name:
    root, *keys = token.text[1:].split(".")
    if not keys:
        raise ExpressionError(
            f"column {token.column}: '{token.text}' has no key; write {root}, or ${root}.key"
        )
    return Name(root, tuple(keys))


@lru_cache(maxsize=512)
def parse(source: str) -> Tree:
    """The tree of an expression; raise ExpressionError that names column and cure."""
    if len(source) > MAX_LENGTH:
        raise ExpressionError(
            f"the expression has {len(source)} characters, at most {MAX_LENGTH} are read"
        )
    return _Parser(source).whole()
