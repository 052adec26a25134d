"""Give a node what it works with: a stop signal with a deadline, a desk to ask at, ways to fail.

Owns the words between nodes and the driver; knows no kind of node and no thread but through them.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct, field

from oxoflow.engine.process import ProcessTable
from oxoflow.errors import OxoflowError
from oxoflow.graph.model import Kind
from oxoflow.graph.scope import Scope


class NodeFailure(OxoflowError):
    """A node could not do its work; `retry` says whether trying again can help."""

    def __init__(self, message: str, *, retry: bool = True, after: float | None = None) -> None:
        super().__init__(message)
        self.retry = retry
        self.after = after  # seconds that the other side asked us to wait


class TimedOut(NodeFailure):
    """An attempt took longer than it may."""


class Stopped(Exception):
    """The execution, or the node around this work, wants no result any more."""


class Token:
    """Whether work shall go on: cancelled by anybody, or past its deadline. Thread-safe."""

    def __init__(self, parent: Token | None = None, seconds: float | None = None) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: dict[object, Callable[[], object]] = {}
        self.deadline: float | None = parent.deadline if parent else None
        self._limit: float | None = parent._limit if parent else None  # what the deadline was
        if seconds is not None:
            own = time.monotonic() + seconds
            if self.deadline is None or own < self.deadline:
                self.deadline, self._limit = own, seconds
        self._leave = parent._join(self.cancel) if parent else None

    def cancel(self) -> None:
        """Stop this work and all that hangs below it."""
        with self._lock:
            self._event.set()
            callbacks = list(self._callbacks.values())
            self._callbacks.clear()
        for callback in callbacks:
            callback()

    def close(self) -> None:
        """The work is over: the parent need not tell us any more."""
        if self._leave is not None:
            self._leave()

    @property
    def cancelled(self) -> bool:
        """Whether somebody cancelled it; a passed deadline does not count."""
        return self._event.is_set()

    def remaining(self, most: float | None = None) -> float | None:
        """Seconds to the deadline, at most `most`; None when there is neither."""
        if self.deadline is None:
            return most
        left = max(0.0, self.deadline - time.monotonic())
        return left if most is None else min(left, most)

    def check(self) -> None:
        """Raise Stopped or TimedOut when the work shall not go on."""
        if self._event.is_set():
            raise Stopped
        if self.deadline is not None and time.monotonic() >= self.deadline:
            raise self.timed_out()

    def timed_out(self) -> TimedOut:
        """The failure of a passed deadline."""
        return TimedOut(f"Timed out after {self._limit or 0:g} s")

    def sleep(self, seconds: float) -> None:
        """Wait, unless the work ends first; raise Stopped or TimedOut then."""
        self._event.wait(self.remaining(seconds))
        self.check()

    @contextlib.contextmanager
    def calling(self, callback: Callable[[], object]) -> Iterator[None]:
        """While inside, `callback` is called when the work is cancelled, from another thread."""
        leave = self._join(callback)
        try:
            yield
        finally:
            leave()

    def _join(self, callback: Callable[[], object]) -> Callable[[], object]:
        key = object()
        with self._lock:
            already = self._event.is_set()
            if not already:
                self._callbacks[key] = callback
        if already:
            callback()

        def leave() -> None:
            with self._lock:
                self._callbacks.pop(key, None)

        return leave


class Outcome(Struct, frozen=True):
    """What a node made: its output, and the variables it sets (4.5, 4.6)."""

    output: Any
    variables: Mapping[str, Any] = field(default_factory=dict)
    usage: Mapping[str, Any] = field(default_factory=dict)  # metrics beyond the duration (2.5)


class Limits(Struct, frozen=True):
    """What an execution may do to the world; set by the server or the command line."""

    slots: int = 4  # nodes at a time
    allowed_hosts: tuple[str, ...] = ()  # beyond loopback, for HTTP, MCP and models
    data_roots: tuple[Path, ...] = ()  # directories that the fs tool may read besides its own
    code: bool = True  # whether Code nodes may run at all
    memory_mb: int = 4096  # of one Code process
    max_passes: int = 1_000_000


class Seat(Protocol):
    """A node's place among those that work at a time."""

    def waiting(self) -> contextlib.AbstractContextManager[None]:
        """While inside, this thread waits for somebody and needs no slot."""
        ...

    def helper(self) -> contextlib.AbstractContextManager[None]:
        """While inside, this thread works for the node beside the one that started it."""
        ...

    def resting(self, helpers: int) -> contextlib.AbstractContextManager[None]:
        """While inside, this thread only waits for so many helpers."""
        ...


class Desk(Protocol):
    """What the execution offers to the nodes that run in it. Thread-safe."""

    limits: Limits
    execution_id: str
    answers: dict[str, Any]  # of models, by request, for nodes that want theirs kept
    attended: bool  # a server listens: people, children and look-ups can be asked for

    def emit(self, type: str, context: Context, **data: Any) -> None:
        """Tell the world what a node does."""
        ...

    def ask(
        self, kind: str, context: Context, body: Mapping[str, Any], seconds: float | None
    ) -> Mapping[str, Any]:
        """Put a question and wait without a slot; raise TimedOut when nobody answers in time."""
        ...

    def run(self, kind: Kind, context: Context) -> Outcome:
        """Run a node kind: how bodies come to life."""
        ...

    def remembered(self, context: Context) -> Mapping[str, Any] | None:
        """The record of a step that was done before a crash: `{"output", "variables"}`."""
        ...

    def remember(self, context: Context, outcome: Outcome) -> None:
        """Record a step as done, before anything depends on it."""
        ...

    def step(self, at: str) -> Mapping[str, Any] | None:
        """The record of the step at a place, like `remembered`."""
        ...

    def note(self, at: str, output: Any, variables: Mapping[str, Any]) -> None:
        """Note a step as done; `commit` makes it last."""
        ...

    def commit(self, sync: bool = True) -> None:
        """Write what was noted; with `sync`, be sure that it survives a power cut."""
        ...

    def failed_attempts(self, at: str) -> int:
        """How many attempts of the node at a place failed before this life."""
        ...

    def note_attempt(self, at: str, number: int) -> None:
        """Record a failed attempt of the node at a place, on the disk before this returns."""
        ...

    def hide(self, secrets: Sequence[str]) -> None:
        """Show these nowhere from now on; the nodes go on to see them."""
        ...

    def shown(self, value: Any) -> Any:
        """A JSON value as people may see it: without what is hidden."""
        ...

    def document(self, path: str) -> Any:
        """The definition of a sub-workflow; raise NodeFailure when there is none."""
        ...

    def server(self, server_id: str) -> Mapping[str, Any] | None:
        """A registered tool server; None when there is none."""
        ...

    def collection(self, name: str) -> Sequence[Mapping[str, Any]] | None:
        """The entries of a collection that came with the execution; None when there is none."""
        ...

    def scratch(self, context: Context) -> Path:
        """A fresh private directory; the node removes it."""
        ...

    def place(self, name: str) -> Path:
        """A lasting directory of the execution, made when needed: `files`, `logs`."""
        ...

    def setting(self, name: str) -> str | None:
        """A variable of the runner's environment, for models' addresses and keys."""
        ...

    @property
    def processes(self) -> ProcessTable:
        """Where child processes are started and waited for."""
        ...

    @property
    def environment(self) -> Mapping[bytes, bytes]:
        """What child processes may see of the runner's environment: no secret, our marker."""
        ...


class Context(Struct, frozen=True):
    """One attempt of one node, or one pass of a body in it."""

    node_id: str
    node_name: str
    at: str  # unique in the execution: "<node>", "<node>/2", "<node>/2/body[7]"
    scope: Scope
    token: Token
    seat: Seat
    desk: Desk
    depth: int = 0  # sub-workflows around this node
    idle: float | None = None  # seconds that a program may be silent

    def inside(self, step: str, local: Mapping[str, Any], token: Token | None = None) -> Context:
        """The context of a step of this node: further names, perhaps an own deadline."""
        return Context(
            self.node_id,
            self.node_name,
            f"{self.at}/{step}",
            self.scope.inside(local) if local else self.scope,
            token or self.token,
            self.seat,
            self.desk,
            self.depth,
            self.idle,
        )
