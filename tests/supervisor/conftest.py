"""Give supervisor tests a home with two users, rows of runs, and a runner that obeys a script."""

import contextlib
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from oxoflow.db import Database
from oxoflow.db.accounts import User, insert_user
from oxoflow.db.events import Event, Scope, read_events
from oxoflow.db.instants import instant
from oxoflow.db.runs import (
    NewRun,
    Options,
    Phase,
    Run,
    find_run_of_anyone,
    insert_run,
    start_run,
    started_runs,
)
from oxoflow.engine.identity import ProcessIdentity
from oxoflow.settings import resolve
from oxoflow.supervisor import Kind, Supervisor, launch
from oxoflow.workspace import WORKFLOW_FILE, Workspace
from tests.patience import have_cores, wait_until

RUNNER = Path(__file__).parent / "scripted_runner.py"
NOBODY = ProcessIdentity(1, 1, "another boot")


class Desk:
    """A home: its database, its workspace, and supervisors that come and go."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.db = Database(home / "test.db")
        self.workspace = Workspace(home / "workspace")
        self.users = {name: str(uuid.uuid4()) for name in ("ann", "bob")}
        self.supervisors: list[Supervisor] = []
        self.variables = {"OXO_FLOW_MAX_RUNS": "4"}
        self.kinds: dict[str, Kind] = {}
        for name, user_id in self.users.items():
            self.db.write(
                lambda c, name=name, user_id=user_id: insert_user(
                    c, User(user_id, name, "user", "password", None, None, False, "", "")
                )
            )

    def row(self, user: str = "ann", created: float | None = None, **more: Any) -> Run:
        """A run of which only the row exists."""
        new = NewRun(str(uuid.uuid4()), self.users[user], "w", 1, instant(created), **more)
        self.db.write(lambda c: insert_run(c, new))
        return self.now(new.id)

    def start(self, run: Run, identity: ProcessIdentity = NOBODY, nonce: str = "n") -> None:
        """Move a row to running, with no process behind it."""
        assert self.db.write(lambda c: start_run(c, run.id, identity, nonce, 1, instant()))

    def now(self, run_id: str) -> Run:
        found = find_run_of_anyone(self.db.read(), run_id)
        assert found is not None
        return found

    def events(self, run_id: str) -> list[Event]:
        return read_events(self.db.read(), Scope(run_id=run_id), 0, 2**62, 10_000)

    def types(self, run_id: str) -> list[str]:
        return [event.type for event in self.events(run_id)]

    def supervisor(self, environ: Mapping[str, str] | None = None) -> Supervisor:
        """A running supervisor over this home; one at a time, like servers."""
        for other in self.supervisors:
            other.stop()
        settings = resolve({"home": str(self.home)}, self.variables)
        made = Supervisor(
            self.db,
            self.workspace,
            settings,
            lambda: None,
            environ or {"PATH": "/usr/bin:/bin"},
            self.kinds,
        )
        made.start()
        self.supervisors.append(made)
        return made

    def submit(self, script: str, user: str = "ann", **options: Any) -> Run:
        """Submit to the newest supervisor a run whose runner does what `script` says."""
        new = NewRun(str(uuid.uuid4()), self.users[user], "w", 1, instant(), Options(**options))
        self.workspace.create(user, new.id, {WORKFLOW_FILE: script.encode()})
        self.supervisors[-1].submit(new)
        return self.now(new.id)

    def directory(self, run: Run) -> Path:
        return self.workspace.run_directory(run.username, run.id)

    def close(self) -> None:
        for supervisor in self.supervisors:
            supervisor.stop()
        end_runners(self.db)
        self.db.close()


def end_runners(db: Database) -> None:
    """End what a failing test left at work: the recorded runners and everything below them."""
    for run in started_runs(db.read()):
        if run.identity is None or not run.identity.alive():
            continue
        runner = psutil.Process(run.identity.pid)
        for process in [*runner.children(recursive=True), runner]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(launch, "PROGRAM", (sys.executable, str(RUNNER)))
    have_cores(monkeypatch)
    made = Desk(tmp_path)
    yield made
    made.close()


Until = Callable[[Callable[[], Any]], Any]

SIMPLE = "begin(); emit('rule_started', 'a'); emit('rule_completed', 'a', exit_code=0); end()"
PATIENT = "begin(); emit('rule_started', 'a'); wait('go'); emit('rule_completed', 'a'); end()"
OBEDIENT = "begin(); wait(); end('cancelled', 143, ended=({'pid': 7, 'name': 'sleep'},), left=0)"
TERMINAL = ("run_completed", "run_failed", "run_cancelled")


def over(desk: Desk, run: Run) -> Run | None:
    now = desk.now(run.id)
    return now if now.final else None


def started(desk: Desk, run: Run) -> bool:
    return desk.now(run.id).phase is Phase.RUNNING


@pytest.fixture
def until() -> Callable[[Callable[[], Any]], Any]:
    """Wait for a condition that another thread or process brings about."""
    return wait_until
