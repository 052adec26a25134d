"""Do several things of one node at a time, on threads that end with it.

Owns the threads, their number and the collection of results. The thread of the node rests
meanwhile, so a node that does many things at a time holds one slot, as any node does.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Generator
from typing import Any, TypeVar

from msgspec import Struct

from oxoflow.graph.work import Context, Stopped, Token

T = TypeVar("T")
Work = Callable[[int, Context], T]


class Ended(Struct, frozen=True):
    """How thing number `index` ended."""

    index: int
    value: Any = None
    error: BaseException | None = None


def each(work: Work[Any], count: int, context: Context, most: int | None) -> list[Any]:
    """The values of `work(0 … count - 1)` in order; the first error ends the rest and is raised."""
    values: list[Any] = [None] * count
    with contextlib.closing(as_ended(work, count, context, most)) as outcomes:
        for ended in outcomes:
            if ended.error is not None:
                raise ended.error
            values[ended.index] = ended.value
    return values


def as_ended(
    work: Work[Any], count: int, context: Context, most: int | None
) -> Generator[Ended, None, None]:
    """Run `work(0 … count - 1)`, at most `most` at a time; yield each as it ends.

    Leaving the iteration early cancels what still runs and waits for it to stop.
    """
    width = min(count, most or context.desk.limits.slots)
    token = Token(context.token)
    ended: queue.SimpleQueue[Ended | None] = queue.SimpleQueue()
    numbers: queue.SimpleQueue[int] = queue.SimpleQueue()
    for index in range(count):
        numbers.put(index)
    threads = [
        threading.Thread(
            target=_serve, args=(work, numbers, ended, context, token), daemon=True,
            name=f"{context.at}:{number}",
        )
        for number in range(width)
    ]  # fmt: skip
    try:
        with context.seat.resting(width):
            for thread in threads:
                thread.start()
            working = width
            while working:
                item = ended.get()
                if item is None:
                    working -= 1
                else:
                    yield item
    finally:
        token.cancel()
        for thread in threads:
            thread.join()
        token.close()
    if context.token.cancelled:
        raise Stopped


def _serve(
    work: Work[Any],
    numbers: queue.SimpleQueue[int],
    ended: queue.SimpleQueue[Ended | None],
    context: Context,
    token: Token,
) -> None:
    """Take numbers until there are none, or nobody wants more; say so at the end."""
    with context.seat.helper():
        while not token.cancelled:
            try:
                index = numbers.get_nowait()
            except queue.Empty:
                break
            try:
                ended.put(Ended(index, work(index, context.inside(f"at[{index}]", {}, token))))
            except (Stopped, Exception) as error:  # the thread that asked decides what it means
                ended.put(Ended(index, error=error))
    ended.put(None)
