"""Say what differs between kinds of runs; everything else about their lives is the same.

A table for the supervisor's parts; workflows stand here, others are given to the supervisor by
whoever knows them. Starts nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from functools import partial

from msgspec import Struct, field

from oxoflow.db.runs import Run
from oxoflow.supervisor.launch import Command, workflow_command


class Kind(Struct, frozen=True):
    """One kind: how its runner is started and what becomes of it.

    `revive` is asked in the write that settles a run whose runner died in the middle; it moves the
    row itself (back into the queue, say), and the run is then not failed.
    """

    command: Command
    variables: Mapping[str, str] = field(default_factory=dict)  # what its runner sees besides
    events: frozenset[str] = frozenset()  # further types that are passed on as they are
    may_wait: bool = False  # its runner may say that it only waits, and so holds no slot
    revive: Callable[[sqlite3.Connection, Run], None] | None = None


def workflows(cache_size: int) -> Kind:
    """Submitted workflows; their owner's results are shared up to so many bytes, 0 for none."""
    return Kind(partial(workflow_command, cache_size=cache_size))
