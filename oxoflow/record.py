"""Make slotted records that behave as those of `dataclasses`, at a fiftieth of the cost of a class.

Owns the decorator `dataclass` and its companions, under the names of the standard library and with
its meaning, for what this project writes: `@dataclass(slots=True)`, `frozen=True`, `eq=False`,
`field(default=, default_factory=, repr=)` and `__post_init__`; a record inherits from no record.
Type checkers read `record.pyi`, which names the originals. The standard decorator compiles half a
dozen methods for each class and loads `inspect`: 0.6 ms a class, more than half of the start of a
command. Here methods are shared, and `__init__` is compiled when the first instance is made.

`dataclasses.replace`, `fields` and `asdict` accept these records too.
"""

import operator
import sys
from collections.abc import Mapping
from typing import Any

_MISSING: Any = type("_Missing", (), {"__repr__": lambda self: "MISSING"})()


class FrozenInstanceError(AttributeError):
    """An attempt to change a frozen record."""


class Field:
    """One field of a record: its name, its default or what makes it, and whether repr shows it."""

    __slots__ = ("default", "default_factory", "name", "repr", "type")

    def __init__(self, default: Any, default_factory: Any, shown: bool) -> None:
        self.name = ""
        self.type: Any = None
        self.default = default
        self.default_factory = default_factory
        self.repr = shown


def field(*, default: Any = _MISSING, default_factory: Any = _MISSING, repr: bool = True) -> Any:
    """Describe a field that needs more than a plain default."""
    return Field(default, default_factory, repr)


class _Layout:
    """What the methods of one class of records read: its fields, and all their values at once."""

    __slots__ = ("fields", "names", "standard", "values")

    def __init__(self, found: Mapping[str, Field]) -> None:
        self.standard: Any = None
        self.fields = tuple(found.values())
        self.names = tuple(found)
        getter = operator.attrgetter(*found) if found else lambda record: ()
        # of a single name the getter gives the bare value
        self.values = getter if len(found) != 1 else lambda record: (getter(record),)


def dataclass(*, slots: bool, frozen: bool = False, eq: bool = True) -> Any:
    """Turn the annotated names of a class into the fields of a record; see the module."""
    if not slots:
        raise TypeError("a record has slots: write slots=True")

    def build(cls: type) -> Any:
        return _build(cls, frozen=frozen, eq=eq)

    return build


def fields(record: Any) -> tuple[Field, ...]:
    """Give the fields of a record or of its class, in order."""
    found: tuple[Field, ...] = record.__record__.fields
    return found


def is_dataclass(value: Any) -> bool:
    """Say whether this is a record or a class of records."""
    return hasattr(value, "__record__")


def replace(record: Any, /, **changes: Any) -> Any:
    """Give a copy of a record with some fields changed."""
    layout = record.__record__
    values = dict(zip(layout.names, layout.values(record), strict=True))
    values.update(changes)
    return record.__class__(**values)


def asdict(record: Any) -> dict[str, Any]:
    """Give a record as a dictionary, the records, lists, tuples and mappings in it too."""
    layout = record.__record__
    return dict(zip(layout.names, map(_plain, layout.values(record)), strict=True))


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_plain, value))
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value))
    return value


def _build(cls: Any, *, frozen: bool, eq: bool) -> Any:
    if hasattr(cls, "__record__"):
        raise TypeError(f"{cls.__name__} inherits from a record; hold one instead")
    found = _own_fields(cls)
    kept = vars(cls).keys() - found.keys() - {"__dict__", "__weakref__"}
    body = {name: value for name, value in vars(cls).items() if name in kept}
    body["__slots__"] = body["__match_args__"] = tuple(found)
    body["__record__"] = _Layout(found)
    body["__dataclass_fields__"] = _Standard("__dataclass_fields__")
    body["__dataclass_params__"] = _Standard("__dataclass_params__")
    body.setdefault("__repr__", _repr)
    body["__reduce__"] = _reduce
    if eq:
        body.setdefault("__eq__", _eq)
        body.setdefault("__hash__", _hash if frozen else None)
    if frozen:
        body["__setattr__"] = _refuse_change
        body["__delattr__"] = _refuse_deletion
    made = type(cls)(cls.__name__, cls.__bases__, body)
    made.__qualname__ = cls.__qualname__
    made.__init__ = _compiling_init(made, frozen=frozen)
    return made


def _own_fields(cls: type) -> dict[str, Field]:
    own = {}
    for name, kind in vars(cls).get("__annotations__", {}).items():
        if "ClassVar" in str(kind):
            continue
        value = vars(cls).get(name, _MISSING)
        own[name] = item = value if isinstance(value, Field) else Field(value, _MISSING, True)
        item.name, item.type = name, kind
        if isinstance(item.default, list | dict | set):
            raise TypeError(f"records of {cls.__name__} would share '{name}'; use default_factory")
    return own


def _compiling_init(cls: Any, *, frozen: bool) -> Any:
    """Give an `__init__` that puts the compiled one in its place when it is called."""

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        cls.__init__ = compiled = _compile_init(cls, frozen=frozen)
        compiled(self, *args, **kwargs)

    return __init__


def _compile_init(cls: Any, *, frozen: bool) -> Any:
    """Write `__init__` as text and compile it.

    A frozen record is filled while it is of a class with the same slots that may be changed: plain
    assignments are five times faster than going around the guard for every field.
    """
    found = cls.__record__.fields
    scope: dict[str, Any] = {"MISSING": _MISSING}
    arguments, lines = ["self"], []
    for item in found:
        name = item.name
        if item.default is not _MISSING:
            scope[f"default_{name}"] = item.default
            arguments.append(f"{name}=default_{name}")
        elif item.default_factory is not _MISSING:
            scope[f"make_{name}"] = item.default_factory
            arguments.append(f"{name}=MISSING")
        else:
            arguments.append(name)
        value = f"make_{name}() if {name} is MISSING else {name}"
        made = item.default_factory is not _MISSING
        lines.append(f" self.{name} = {value if made else name}")
    if frozen and lines:
        kept = ("__slots__", "__orig_bases__")
        body = {name: vars(cls)[name] for name in kept if name in vars(cls)}
        twin = type(cls)(cls.__name__, cls.__bases__, body)
        scope |= {"Frozen": cls, "Open": twin, "set_class": object.__setattr__}
        lines = [" set_class(self, '__class__', Open)", *lines, " self.__class__ = Frozen"]
    if hasattr(cls, "__post_init__"):
        lines.append(" self.__post_init__()")
    source = f"def __init__({', '.join(arguments)}):\n" + "\n".join(lines or [" pass"])
    exec(source, scope)
    made = scope["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    made.__module__ = cls.__module__
    return made


class _Standard:
    """An attribute that the functions of `dataclasses` look for, made when one of them asks."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, record: Any, cls: Any) -> Any:
        layout = cls.__record__
        if layout.standard is None:
            module = sys.modules.get("dataclasses")  # who asks has loaded it
            if module is None:
                raise AttributeError(self.name)
            known = [(item.name, item.type, _standard(module, item)) for item in layout.fields]
            layout.standard = module.make_dataclass(cls.__name__, known)
        return getattr(layout.standard, self.name)


def _standard(module: Any, item: Field) -> Any:
    given = {"default": item.default, "default_factory": item.default_factory}
    given = {name: value for name, value in given.items() if value is not _MISSING}
    return module.field(**given, repr=item.repr)


def _repr(self: Any) -> str:
    names = [item.name for item in self.__record__.fields if item.repr]
    shown = [f"{name}={getattr(self, name)!r}" for name in names]
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _eq(self: Any, other: Any) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    values = self.__record__.values
    return values(self) == values(other)


def _hash(self: Any) -> int:
    return hash(self.__record__.values(self))


def _reduce(self: Any) -> Any:
    return self.__class__, self.__record__.values(self)


def _refuse_change(self: Any, name: str, value: Any) -> None:
    raise FrozenInstanceError(f"cannot assign to field '{name}' of {type(self).__name__}")


def _refuse_deletion(self: Any, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field '{name}' of {type(self).__name__}")
