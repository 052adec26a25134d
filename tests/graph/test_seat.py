"""Count the threads of one node: when it gives its slot away and when it wants it back."""

import threading
from types import TracebackType
from typing import Self

from oxoflow.graph.seat import NodeSeat
from oxoflow.graph.work import Token


class Driver:
    """Grants a slot as soon as it is asked for."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.seat = NodeSeat(lambda: self.told.append("park"), self._unpark, Token())

    def _unpark(self) -> None:
        self.told.append("unpark")
        threading.Thread(target=self.seat.granted).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        assert self.told.count("park") == self.told.count("unpark")


def test_a_node_whose_one_thread_waits_gives_its_slot_away() -> None:
    with Driver() as driver:
        with driver.seat.waiting():
            assert driver.told == ["park"]
        assert driver.told == ["park", "unpark"]


def test_a_node_keeps_its_slot_until_the_last_helper_waits_even_one_that_has_not_begun() -> None:
    with Driver() as driver, driver.seat.resting(2):
        with driver.seat.helper(), driver.seat.waiting():
            assert driver.told == []
            with driver.seat.waiting():  # the other one
                assert driver.told == ["park"]
        with driver.seat.helper():
            pass


def test_the_end_of_a_helper_may_leave_only_such_as_wait() -> None:
    with Driver() as driver, driver.seat.resting(2):
        with driver.seat.helper(), driver.seat.waiting():
            with driver.seat.helper():
                assert driver.told == []
            assert driver.told == ["park"]
