"""Read TOML values into typed ones, and describe each shape as JSON Schema.

Owns the building blocks of the tables in `tables`: one object both reads a value and gives its
schema, so the two cannot differ. Knows no field of the format; reports faults by path, in one go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from msgspec import Struct

from oxoflow.lang.values import config_text, toml_text

T = TypeVar("T")
Path = tuple[str | int, ...]
_SHOWN = 40


class Fault(Struct, frozen=True):
    """One thing wrong with a value: where below it, what is expected, what to write instead."""

    path: Path
    text: str
    suggestion: str | None = None


class Wrong(Exception):
    """A value does not have its shape; holds every fault found in it."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(faults[0].text)
        self.faults = faults

    def below(self, step: str | int) -> tuple[Fault, ...]:
        """Give the faults as seen from the table or list that holds the value."""
        return tuple(Fault((step, *f.path), f.text, f.suggestion) for f in self.faults)


class Shape(Struct, Generic[T], frozen=True):
    """How one value is read (raising Wrong) and what JSON Schema says of it.

    Values of the type `plain` are taken as they are.
    """

    read: Callable[[Any], T]
    schema: Mapping[str, Any]
    plain: type | None = None


def describe(value: Any) -> str:
    """Name a value for a message: its TOML kind and, when short, itself."""
    kind = _KINDS.get(type(value), "a date or time")
    if isinstance(value, (list, dict)):
        return kind
    text = toml_text(value)
    return f"{kind} {text}" if len(text) <= _SHOWN else kind


_KINDS: Mapping[type, str] = {
    str: "the string",
    bool: "the boolean",
    int: "the integer",
    float: "the number",
    list: "a list",
    dict: "a table",
}


def wrong(expected: str, value: Any, suggestion: str | None = None) -> Wrong:
    """Make the exception for a value that is not what was expected."""
    return Wrong(Fault((), f"must be {expected}, not {describe(value)}", suggestion))


def _string(value: Any) -> str:
    if type(value) is str:
        return value
    hint = None if isinstance(value, (list, dict)) else f'write "{config_text(value)}" in quotes'
    raise wrong("a string", value, hint)


def _boolean(value: Any) -> bool:
    if type(value) is bool:
        return value
    hint = f"write {value.lower()}" if str(value).lower() in ("true", "false") else None
    raise wrong("true or false", value, hint)


def _integer(value: Any) -> int:
    if type(value) is int and -(2**63) <= value < 2**63:
        return value
    hint = "write a whole number, such as 4"
    if str(value).isdigit():
        hint = f"write {value} without quotes"
    raise wrong("an integer", value, hint)


def _count(value: Any) -> int:
    if type(value) is int and 0 <= value < 2**32:
        return value
    if type(value) is int:
        raise wrong(
            "an integer from 0 to 4294967295", value, "write 0 or more" if value < 0 else None
        )
    return _integer(value)


def _number(value: Any) -> float:
    if type(value) in (int, float):
        return float(value)
    raise wrong("a number", value)


def _scalar(value: Any) -> str:
    if type(value) is str:
        return value
    if type(value) in (int, float, bool):
        return config_text(value)
    raise wrong("a string, number or boolean", value)


def _as_list(value: Any) -> str | None:
    """Say how to write a text as a list: of what its commas part, if it has some."""
    if not isinstance(value, str):
        return None
    parts = [part.strip() for part in value.split(",")]
    return f"write [{', '.join(map(toml_text, parts if all(parts) else [value]))}]"


def _strings(value: Any) -> tuple[str, ...]:
    if type(value) is not list:
        raise wrong("a list of strings", value, _as_list(value))
    for item in value:
        if type(item) is not str:
            raise _first_wrong(value, _string)
    return tuple(value)


def _first_wrong(value: list[Any], read: Callable[[Any], Any]) -> Wrong:
    for index, item in enumerate(value):
        try:
            read(item)
        except Wrong as error:
            return Wrong(*error.below(index))
    raise AssertionError("no element is wrong")


def _scalars(value: Any) -> tuple[str, ...]:
    if type(value) is not list:
        raise wrong("a list", value, _as_list(value))
    try:
        return tuple([_scalar(item) for item in value])
    except Wrong:
        raise _first_wrong(value, _scalar) from None


def _anything(value: Any) -> Any:
    return value


def _table(value: Any) -> Mapping[str, Any]:
    if type(value) is dict:
        return value
    raise wrong("a table", value)


STRING = Shape(_string, {"type": "string"}, plain=str)
BOOLEAN = Shape(_boolean, {"type": "boolean"}, plain=bool)
INTEGER = Shape(_integer, {"type": "integer"})
COUNT = Shape(_count, {"type": "integer", "minimum": 0})
NUMBER = Shape(_number, {"type": "number"})
SCALAR = Shape(_scalar, {"type": ["string", "number", "boolean"]})
STRINGS = Shape(_strings, {"type": "array", "items": {"type": "string"}})
SCALARS = Shape(_scalars, {"type": "array", "items": {"type": ["string", "number", "boolean"]}})
ANYTHING: Shape[Any] = Shape(_anything, {})
TABLE = Shape(_table, {"type": "object"})


def one_of(*words: str) -> Shape[str]:
    """A string out of a closed set."""
    listed = " or ".join([f'"{word}"' for word in words])

    def read(value: Any) -> str:
        if _string(value) in words:
            return str(value)
        raise wrong(listed, value)

    return Shape(read, {"enum": list(words)})


def known_word(*words: str, otherwise: str | None = None) -> Shape[str | None]:
    """A string out of a set; another one counts as `otherwise`, and lint names it."""

    def read(value: Any) -> str | None:
        text = _string(value)
        return text if text in words else otherwise

    return Shape(read, {"enum": list(words)})


def mapping_of(shape: Shape[T]) -> Shape[Mapping[str, T]]:
    """A table whose keys are free and whose values all have one shape."""

    def read(value: Any) -> Mapping[str, T]:
        faults: list[Fault] = []
        result: dict[str, T] = {}
        for key, item in _table(value).items():
            try:
                result[key] = shape.read(item)
            except Wrong as error:
                faults += error.below(key)
        if faults:
            raise Wrong(*faults)
        return result

    return Shape(read, {"type": "object", "additionalProperties": dict(shape.schema)})


def list_of(shape: Shape[T]) -> Shape[tuple[T, ...]]:
    """A list whose elements all have one shape."""

    def read(value: Any) -> tuple[T, ...]:
        if type(value) is not list:
            hint = "write its header in double brackets, [[…]], or put [ and ] around it"
            raise wrong("a list", value, hint if type(value) is dict else _as_list(value))
        faults: list[Fault] = []
        result: list[T] = []
        for index, item in enumerate(value):
            try:
                result.append(shape.read(item))
            except Wrong as error:
                faults += error.below(index)
        if faults:
            raise Wrong(*faults)
        return tuple(result)

    return Shape(read, {"type": "array", "items": dict(shape.schema)})


class Table(Generic[T]):
    """A table with known keys that becomes one record.

    `fields` maps a key of the file to (attribute, shape); several keys may share an attribute
    (aliases), but only one of them may be written. Unknown keys go to `extra` when the record has
    such a field, and are otherwise ignored (1.1).
    """

    def __init__(
        self,
        make: Callable[..., T],
        fields: Mapping[str, tuple[str, Shape[Any]]],
        *,
        required: tuple[str, ...] = (),
        keep_extra: bool = False,
    ) -> None:
        self.make = make
        self.fields = fields
        self.required = required
        self._keep_extra = keep_extra
        self._readers = {
            key: (attribute, shape.read, shape.plain) for key, (attribute, shape) in fields.items()
        }

    def read(self, value: Any) -> T:
        """Read a whole table, or raise Wrong with all of its faults."""
        arguments, faults = self.read_fields(value)
        if faults:
            raise Wrong(*faults)
        return self.make(**arguments)

    def read_fields(self, value: Any) -> tuple[dict[str, Any], list[Fault]]:
        """Read what can be read: the record's arguments, and the faults of the rest."""
        readers, faults = self._readers, []
        arguments: dict[str, Any] = {}
        extra: dict[str, Any] | None = None
        faulty: set[str] = set()
        if type(value) is str:
            key = next((k for k, (name, _) in self.fields.items() if name in self.required), None)
            raise wrong("a table", value, f"write {{ {key or next(iter(self.fields))} = … }}")
        for key, item in _table(value).items():
            reader = readers.get(key)
            if reader is None:
                if self._keep_extra:
                    extra = extra or {}
                    extra[key] = item
                continue
            attribute, read, plain = reader
            if attribute in arguments:
                text = f"says the same as another key: {self._aliases(key)}"
                faults.append(Fault((key,), text, "write one of them"))
            elif type(item) is plain:
                arguments[attribute] = item
            else:
                try:
                    arguments[attribute] = read(item)
                except Wrong as error:
                    faults += error.below(key)
                    faulty.add(attribute)
        if extra:
            arguments["extra"] = extra
        for attribute in self.required:
            if attribute not in arguments and attribute not in faulty:
                faults.append(Fault((attribute,), "is missing", f"add {attribute} = …"))
        return arguments, faults

    @property
    def shape(self) -> Shape[T]:
        """This table as the shape of one value."""
        return Shape(self.read, self.schema)

    @property
    def schema(self) -> Mapping[str, Any]:
        """JSON Schema of the table; unknown keys are allowed, as in the format."""
        schema: dict[str, Any] = {
            "type": "object",
            "properties": {key: dict(shape.schema) for key, (_, shape) in self.fields.items()},
        }
        if self.required:
            schema["required"] = list(self.required)
        return schema

    def _aliases(self, key: str) -> str:
        attribute = self.fields[key][0]
        return " and ".join([f"'{k}'" for k, (name, _) in self.fields.items() if name == attribute])


def same(**shapes: Shape[Any]) -> dict[str, tuple[str, Shape[Any]]]:
    """Give fields whose attribute is called like their key."""
    return {key: (key, shape) for key, shape in shapes.items()}
