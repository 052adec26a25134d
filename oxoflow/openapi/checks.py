"""Compile the JSON Schemas of request bodies into functions that complain in our words.

Covers the keywords that the contract uses and refuses others, so that nothing published goes
unchecked. A library for the whole of JSON Schema would double the start of the server and cost ten
times as much a request; the tests compare the verdicts with such a library's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from oxoflow.openapi.shapes import Schema

Check = Callable[[Any, str], str | None]  # (value, its path) to a complaint, or None

ANNOTATIONS = frozenset({"format", "description", "title", "default", "examples", "deprecated"})
NAMES = {
    "string": "a string", "integer": "a whole number", "number": "a number",
    "boolean": "true or false", "object": "an object", "array": "a list", "null": "null",
}  # fmt: skip


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


TYPES: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "null": lambda value: value is None,
}


def compile_schema(schema: Schema, components: Mapping[str, Schema]) -> Check:
    """Make the check of a schema; raises ValueError for a keyword it does not cover."""
    if "$ref" in schema:
        return compile_schema(components[schema["$ref"].rpartition("/")[2]], components)
    checks: list[Check] = []
    for keyword, value in schema.items():
        if keyword in ANNOTATIONS or keyword in ("properties", "additionalProperties"):
            continue
        maker = MAKERS.get(keyword)
        if maker is None:
            raise ValueError(f"the keyword '{keyword}' is not covered")
        checks.append(maker(value, components))
    if "properties" in schema or "additionalProperties" in schema:
        checks.append(_members(schema, components))
    return _all(checks)


def _all(checks: list[Check]) -> Check:
    def check(value: Any, path: str) -> str | None:
        for each in checks:
            complaint = each(value, path)
            if complaint is not None:
                return complaint
        return None

    return check


def named(path: str) -> str:
    """A path as messages show it."""
    return f"the field '{path}'" if path else "the body"


def _type(kinds: Any, components: Mapping[str, Schema]) -> Check:
    wanted = [kinds] if isinstance(kinds, str) else list(kinds)
    fits = [TYPES[kind] for kind in wanted]
    words = " or ".join(NAMES[kind] for kind in wanted)

    def check(value: Any, path: str) -> str | None:
        if any(each(value) for each in fits):
            return None
        return f"{named(path)} must be {words}"

    return check


def _enum(words: Any, components: Mapping[str, Schema]) -> Check:
    shown = ", ".join(str(word) for word in words if word is not None)

    def check(value: Any, path: str) -> str | None:
        same = any(value == word and type(value) is type(word) for word in words)
        return None if same else f"{named(path)} must be one of {shown}"

    return check


def _required(names: Any, components: Mapping[str, Schema]) -> Check:
    def check(value: Any, path: str) -> str | None:
        if isinstance(value, dict):
            for name in names:
                if name not in value:
                    return f"the field '{_inside(path, name)}' is missing"
        return None

    return check


def _inside(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _members(schema: Schema, components: Mapping[str, Schema]) -> Check:
    known = {
        name: compile_schema(member, components)
        for name, member in schema.get("properties", {}).items()
    }
    others = schema.get("additionalProperties", True)
    other = compile_schema(others, components) if isinstance(others, dict) else None

    def check(value: Any, path: str) -> str | None:
        if not isinstance(value, dict):
            return None
        for name, member in value.items():
            each = known.get(name, other)
            if each is None:
                if others is False:
                    return f"the field '{_inside(path, name[:80])}' is not known"
                continue
            complaint = each(member, _inside(path, name[:80]))
            if complaint is not None:
                return complaint
        return None

    return check


def _items(schema: Any, components: Mapping[str, Schema]) -> Check:
    each = compile_schema(schema, components)

    def check(value: Any, path: str) -> str | None:
        if isinstance(value, list):
            for number, item in enumerate(value):
                complaint = each(item, f"{path}[{number}]")
                if complaint is not None:
                    return complaint
        return None

    return check


def _any_of(choices: Any, components: Mapping[str, Schema]) -> Check:
    checks = [compile_schema(choice, components) for choice in choices]

    def check(value: Any, path: str) -> str | None:
        complaints = [each(value, path) for each in checks]
        return None if None in complaints else complaints[0]

    return check


def _limit(
    kind: type | tuple[type, ...], bad: Callable[[Any, Any], bool], words: str
) -> Callable[[Any, Mapping[str, Schema]], Check]:
    def make(limit: Any, components: Mapping[str, Schema]) -> Check:
        def check(value: Any, path: str) -> str | None:
            if isinstance(value, kind) and not isinstance(value, bool) and bad(value, limit):
                return f"{named(path)} must {words.format(limit)}"
            return None

        return check

    return make


MAKERS: Mapping[str, Callable[[Any, Mapping[str, Schema]], Check]] = {
    "type": _type,
    "enum": _enum,
    "required": _required,
    "items": _items,
    "anyOf": _any_of,
    "minimum": _limit((int, float), lambda value, limit: value < limit, "be {} or more"),
    "maximum": _limit((int, float), lambda value, limit: value > limit, "be {} or less"),
    "minLength": _limit(str, lambda value, n: len(value) < n, "have {} characters or more"),
    "maxLength": _limit(str, lambda value, n: len(value) > n, "have {} characters or fewer"),
    "minItems": _limit(list, lambda value, limit: len(value) < limit, "have {} items or more"),
    "maxItems": _limit(list, lambda value, limit: len(value) > limit, "have {} items or fewer"),
    "maxProperties": _limit(dict, lambda value, n: len(value) > n, "have {} members or fewer"),
}
