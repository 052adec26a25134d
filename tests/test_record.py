"""Records behave as those of the standard library's `dataclasses`, which serve as the measure."""

import copy
import dataclasses
import pickle
import subprocess
import sys
from typing import Any

import pytest

from oxoflow import record
from oxoflow.record import dataclass, field


@dataclass(frozen=True, slots=True)
class Point:
    """A frozen one, as most are."""

    x: int
    y: int = 2
    tags: list[str] = field(default_factory=list)
    secret: str = field(default="", repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class StandardPoint:
    """The same by the standard decorator."""

    x: int
    y: int = 2
    tags: list[str] = dataclasses.field(default_factory=list)
    secret: str = dataclasses.field(default="", repr=False)


@dataclass(slots=True)
class Tally:
    """One that may change."""

    count: int = 0

    def add(self) -> None:
        self.count += 1


@dataclass(frozen=True, slots=True)
class Pair:
    """A hashable one that holds another."""

    left: Any
    right: Any = None


@dataclass(frozen=True, slots=True)
class Nothing:
    """One without fields."""


@dataclass(slots=True, eq=False)
class Handle:
    """One that is equal to itself only."""

    number: int


def shown(value: object) -> str:
    return repr(value).replace("StandardPoint", "Point")


@pytest.mark.parametrize("given", [(1,), (1, 3), (1, 3, ["a"]), (1, 3, [], "s")])
def test_arguments_defaults_and_repr_are_those_of_the_standard_decorator(given: Any) -> None:
    assert shown(Point(*given)) == shown(StandardPoint(*given))
    assert Point(*given).secret == StandardPoint(*given).secret


def test_arguments_go_by_name_and_wrong_ones_are_refused() -> None:
    assert Point(y=1, x=2) == Point(2, 1)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'x'"):
        Point()
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        Point(1, z=1)


def test_the_first_instance_is_made_like_the_later_ones() -> None:
    @dataclass(frozen=True, slots=True)
    class Fresh:
        a: int
        b: list[int] = field(default_factory=list)

    first, second = Fresh(1), Fresh(1)
    assert first == second
    assert first.b is not second.b
    assert type(first) is type(second) is Fresh


def test_what_remains_to_be_done_after_the_fields_is_done_on_the_finished_record() -> None:
    seen = []

    @dataclass(frozen=True, slots=True)
    class Noted:
        a: int

        def __post_init__(self) -> None:
            seen.append((type(self) is Noted, self.a))

    assert [Noted(1).a, Noted(2).a] == [1, 2]
    assert seen == [(True, 1), (True, 2)]


def test_frozen_records_refuse_changes_and_have_no_room_for_more() -> None:
    point = Point(1)
    with pytest.raises(AttributeError, match="cannot assign to field 'x' of Point"):
        point.x = 2
    with pytest.raises(AttributeError, match="cannot assign"):
        point.other = 2
    with pytest.raises(AttributeError, match="cannot delete field 'x'"):
        del point.x
    assert point.x == 1
    assert not hasattr(point, "__dict__")


def test_open_records_change_but_have_no_room_for_more() -> None:
    tally = Tally()
    tally.add()
    assert tally.count == 1
    with pytest.raises(AttributeError):
        tally.other = 1
    with pytest.raises(TypeError, match="unhashable"):
        hash(tally)


def test_equality_and_hash_go_by_class_and_values() -> None:
    assert Pair(1, (2,)) == Pair(1, (2,))
    assert Pair(1) != Pair(2)
    assert Nothing() == Nothing() != Pair(None)
    assert hash(Pair(1, "a")) == hash(Pair(1, "a"))
    assert len({Pair(1), Pair(1), Nothing(), Nothing()}) == 2
    handle = Handle(1)
    assert handle == handle != Handle(1)
    assert {handle}


def test_fields_replace_and_asdict_work_in_both_worlds() -> None:
    pair = Pair((Point(1, tags=["a"]), {"k": Tally(3)}), [Nothing()])
    for world in (record, dataclasses):
        assert [item.name for item in world.fields(Point)] == ["x", "y", "tags", "secret"]
        assert world.replace(pair, right=4) == Pair(pair.left, 4)
        assert world.asdict(pair) == {
            "left": ({"x": 1, "y": 2, "tags": ["a"], "secret": ""}, {"k": {"count": 3}}),
            "right": [{}],
        }
        assert world.is_dataclass(pair)
        assert world.is_dataclass(Pair)
        assert not world.is_dataclass(3)
    with pytest.raises(TypeError, match="unexpected keyword argument 'up'"):
        record.replace(pair, up=1)
    assert record.fields(Point)[1].default == dataclasses.fields(Point)[1].default == 2


def test_records_are_pickled_copied_and_matched() -> None:
    point = Point(1, tags=["a"])
    assert pickle.loads(pickle.dumps(point)) == copy.deepcopy(point) == copy.copy(point) == point
    match point:
        case Point(x, y):
            assert (x, y) == (1, 2)


def test_what_is_not_supported_is_refused_when_the_class_is_made() -> None:
    with pytest.raises(TypeError, match="write slots=True"):

        @dataclass(slots=False)
        class Roomy:
            a: int

    with pytest.raises(TypeError, match="would share 'a'; use default_factory"):

        @dataclass(slots=True)
        class Shared:
            a: list[int] = []  # noqa: RUF012

    with pytest.raises(TypeError, match="inherits from a record"):

        @dataclass(slots=True)
        class Child(Tally):
            b: int = 0


def test_a_command_starts_without_the_standard_decorator() -> None:
    heavy = "{'dataclasses', 'inspect'} & set(sys.modules)"
    script = f"import sys, oxoflow.commands.run; print({heavy})"
    argv = [sys.executable, "-c", script]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
