"""Fill `{{ name }}` and `{{ name.key.0 }}` in texts and JSON values (spec/oxify-api.md 4.3).

Owns the one way values become text. Inserted text is never looked at again, the innermost `{{`
before a `}}` counts, and text that opens nothing stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from oxoflow.errors import WorkflowError
from oxoflow.graph.evaluate import step_into
from oxoflow.graph.jsontext import compact, parse_mended

Lookup = Callable[[str], Any]  # raises KeyError for a name that has no value
MAX_TEXT = 16 * 1024 * 1024  # characters of a filled text
MAX_DEPTH = 200  # of a JSON value to fill


class TemplateError(WorkflowError):
    """A template that cannot be filled; the message names the variable."""


def render(template: str, lookup: Lookup) -> str:
    """The template with every placeholder replaced by its value's text."""
    parts: list[str] = []
    size = 0
    for piece, is_name in _pieces(template):
        part = text_of(_value(piece, lookup)) if is_name else piece
        size += len(part)
        if size > MAX_TEXT:
            raise TemplateError(f"the filled template is longer than {MAX_TEXT} characters")
        parts.append(part)
    return "".join(parts)


def fill(template: str, lookup: Lookup) -> Any:
    """Like `render`, but a template that is one placeholder alone gives the value, not its text."""
    name = _only_name(template)
    return render(template, lookup) if name is None else _value(name, lookup)


def fill_deep(value: Any, lookup: Lookup, depth: int = 0) -> Any:
    """A JSON value with every text in it filled; keys stay as they are."""
    if depth > MAX_DEPTH:
        raise TemplateError(f"the value is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, str):
        return fill(value, lookup)
    if isinstance(value, list):
        return [fill_deep(item, lookup, depth + 1) for item in value]
    if isinstance(value, dict):
        return {key: fill_deep(item, lookup, depth + 1) for key, item in value.items()}
    return value


def resolve(expression: str, lookup: Lookup) -> Any:
    """The value of a body, try, catch or task expression (4.3).

    A placeholder alone keeps its JSON type; other filled text is JSON if it parses, else text.
    """
    name = _only_name(expression)
    return parsed(render(expression, lookup)) if name is None else _value(name, lookup)


def parsed(content: str) -> Any:
    """The JSON value that a text spells, or the text itself."""
    try:
        return parse_mended(content)
    except ValueError:
        return content


def text_of(value: Any) -> str:
    """A value as inserted into text: strings bare, null empty, lists and objects compact JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else compact(value)


def names(template: str) -> list[str]:
    """The names a template asks for, in order."""
    return [piece for piece, is_name in _pieces(template) if is_name]


def lookup_path(name: str, lookup: Lookup) -> Any:
    """The value of `a` or `a.b.0`; raise KeyError(name) when there is none."""
    try:
        return lookup(name)
    except KeyError:
        root, *keys = name.split(".")
        if not keys:
            raise
    try:
        return step_into(lookup(root), keys, name)
    except KeyError:
        raise KeyError(name) from None


def _only_name(template: str) -> str | None:
    pieces = list(_pieces(template.strip()))
    return pieces[0][0] if len(pieces) == 1 and pieces[0][1] else None


def _value(name: str, lookup: Lookup) -> Any:
    try:
        return lookup_path(name, lookup)
    except KeyError:
        raise TemplateError(f"Variable not found: {name}") from None


def _pieces(template: str) -> Iterator[tuple[str, bool]]:
    """Cut a template into literal pieces and trimmed names, in one pass."""
    start = 0
    while (end := template.find("}}", start)) >= 0:
        opened = template.rfind("{{", start, end)
        # `}` may not stand inside a placeholder: look at the first one after the opening
        if opened < 0 or template.find("}", opened) != end:
            yield template[start : end + 1], False
            start = end + 1
            continue
        if opened > start:
            yield template[start:opened], False
        yield template[opened + 2 : end].strip(), True
        start = end + 2
    if start < len(template):
        yield template[start:], False
