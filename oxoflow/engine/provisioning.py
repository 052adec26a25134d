"""See to it that an environment is there before a job's command runs in it.

Owns the cross-process lock and the record of each environment (spec/oxoflow-format.md 5.13), and
what is done when its creation fails. How one is made is told by `environments`; the shell texts are
run by the caller, so that they are logged, measured and ended like a job's own commands.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct, field

from oxoflow.engine.disk import trouble
from oxoflow.environments.family import Setup
from oxoflow.environments.shell import quote
from oxoflow.errors import RunError

_WAIT_SECONDS = 7200.0
_POLL_SECONDS = 0.1
_VERSIONS_LIMIT = 1_048_576
Run = Callable[[str], int]  # a shell text to its exit code


class Provided(Struct, frozen=True):
    """An environment that may be used, and what is in it."""

    title: str
    versions: tuple[str, ...] = ()

    def text(self) -> str:
        """As it stands in a job's record."""
        return json.dumps({"environment": self.title, "versions": self.versions})


class Provisioner(Struct):
    """Makes environments, each once; worker threads share it.

    Locks lie in `store`, one file an environment, for all runs of the account. Each is held,
    shared, until `close`: no other run remakes an environment under a running job.
    """

    store: Path
    notes: Path
    stopping: threading.Event
    wait_seconds: float = _WAIT_SECONDS
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _places: dict[str, _Place] = field(default_factory=dict)

    def provide(self, setup: Setup, run: Run) -> Provided:
        """Make what is not there; raises RunError when it cannot be made."""
        with self._guard:
            place = self._places.setdefault(setup.place, _Place(setup.key))
        if place.key != setup.key:
            raise RunError(
                f"{setup.title} is defined in two ways by this workflow; give one of the rules an "
                "environment of its own"
            )
        with place.lock:
            if place.problem is not None:
                raise RunError(place.problem)
            if place.provided is None:
                try:
                    self._settle(setup, run, place)
                    place.provided = Provided(setup.title, self._versions(setup, run))
                except RunError as error:
                    if not self.stopping.is_set():
                        place.problem = error.message
                    raise
            return place.provided

    def close(self) -> None:
        """Let other runs remake what this one used."""
        for place in self._places.values():
            if place.descriptor is not None:
                os.close(place.descriptor)
                place.descriptor = None

    def _settle(self, setup: Setup, run: Run, place: _Place) -> None:
        if setup.create is None:
            if not _exists(setup, run):
                raise RunError(f"{setup.title} is not there and nothing says how to make it")
            return
        place.descriptor = descriptor = open_lock(self.store, setup.place)
        while True:
            self._acquire(descriptor, fcntl.LOCK_SH, setup)
            if read_note(descriptor) == {"key": setup.key, "state": "made"} and _exists(setup, run):
                return
            self._acquire(descriptor, fcntl.LOCK_EX, setup)
            known = read_note(descriptor)
            if known != {"key": setup.key, "state": "made"} or not _exists(setup, run):
                self._make(setup, run, descriptor, known)

    def _make(self, setup: Setup, run: Run, descriptor: int, known: Mapping[str, str]) -> None:
        """Make or update one, under the exclusive lock; what fails is removed if we made it."""
        there = _exists(setup, run)
        ours = bool(known) or not there
        if setup.undo and ((there and ours and setup.rebuild) or known.get("state") == "making"):
            run(setup.undo)
        if ours:
            write_note(descriptor, {"key": setup.key, "state": "making"})
        code = run(setup.create or "true")
        if code == 0 and _exists(setup, run):
            write_note(descriptor, {"key": setup.key, "state": "made"})
            return
        if ours and setup.undo and run(setup.undo) == 0:
            write_note(descriptor, {})
        said = f"exit code {code}" if code else "its command succeeded but made nothing"
        raise RunError(f"{setup.title} could not be made: {said}; the job's log says more")

    def _acquire(self, descriptor: int, kind: int, setup: Setup) -> None:
        """Wait for the lock; a lock held already is given up first, so the record may change."""
        deadline = time.monotonic() + self.wait_seconds
        while True:
            try:
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            if self.stopping.wait(_POLL_SECONDS):
                raise RunError("ended because the run was stopped")
            if time.monotonic() > deadline:
                raise RunError(
                    f"{setup.title} is being made or used by another run for more than "
                    f"{self.wait_seconds:g} s; wait for that run, or end it"
                )

    def _versions(self, setup: Setup, run: Run) -> tuple[str, ...]:
        if setup.versions is None:
            return ()
        path = self.notes / f"{_short(setup.place)}.versions"
        try:
            self.notes.mkdir(parents=True, exist_ok=True)
            run(f"{{ {setup.versions}\n}} > {quote(str(path))} 2>/dev/null")
            with path.open("rb") as handle:
                text = handle.read(_VERSIONS_LIMIT).decode("utf-8", "replace")
        except OSError:
            return ()
        return tuple(line.strip() for line in text.splitlines() if line.strip())


class _Place(Struct):
    """One environment of this run."""

    key: str
    lock: threading.Lock = field(default_factory=threading.Lock)
    provided: Provided | None = None
    problem: str | None = None
    descriptor: int | None = None


def store_of(home: str | None, records: Path) -> Path:
    """Where the locks of an account lie; beside the run's records when it has no home."""
    if home:
        place = Path(home) / ".oxo-flow" / "locks"
        with contextlib.suppress(OSError):
            place.mkdir(parents=True, exist_ok=True)
            if os.access(place, os.W_OK):
                return place
    return records / "locks"


def _exists(setup: Setup, run: Run) -> bool:
    return run(f"{{ {setup.exists}\n}} >/dev/null 2>&1") == 0


def _short(place: str) -> str:
    return hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def open_lock(store: Path, place: str) -> int:
    try:
        store.mkdir(parents=True, exist_ok=True)
        return os.open(store / f"env-{_short(place)}.lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise trouble(store, error) from error


def read_note(descriptor: int) -> dict[str, str]:
    """What the last maker noted in the lock file; empty when nobody made it."""
    try:
        found = json.loads(os.pread(descriptor, 4096, 0) or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def write_note(descriptor: int, record: Mapping[str, str]) -> None:
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(record).encode(), 0)
        os.fsync(descriptor)
    except OSError as error:
        raise trouble(Path("environment lock"), error) from error
