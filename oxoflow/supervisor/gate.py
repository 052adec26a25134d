"""Let waiting runs in: choose them, start their runners, and record each before it may begin.

Used by the supervisor's thread only, except for `why_waiting` and `places`. Follows no run: what
was started is returned as live.
"""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Mapping

from msgspec.structs import replace

from oxoflow.db import Database
from oxoflow.db.events import Event, insert_events
from oxoflow.db.instants import instant
from oxoflow.db.queue import batch_limit, queued_runs, waiting_line
from oxoflow.db.runs import (
    Ending,
    Run,
    Status,
    find_run_of_anyone,
    start_run,
)
from oxoflow.supervisor.admission import (
    Holding,
    Limits,
    Waiting,
    admit,
    order_of_turns,
    reason_to_wait,
)
from oxoflow.supervisor.ingest import event_of
from oxoflow.supervisor.kinds import Kind
from oxoflow.supervisor.launch import Launched, launch
from oxoflow.supervisor.live import Live
from oxoflow.supervisor.settle import store_ending
from oxoflow.workspace import Workspace

SPAWN_TRIES = 3
SPAWN_PAUSE = 0.25  # seconds (spec/oxo-flow-api.md 4.2)

log = logging.getLogger("oxoflow.supervisor")


class Gate:
    """The way from pending to running."""

    def __init__(
        self,
        db: Database,
        workspace: Workspace,
        limits: Limits,
        kinds: Mapping[str, Kind],
        environment: Mapping[str, str],
    ) -> None:
        self._db = db
        self._workspace = workspace
        self.limits = limits
        self._kinds = kinds
        self._environment = environment
        self._turns: dict[str, int] = {}
        self._spawn_trouble: dict[str, int] = {}
        self.open_at = 0.0  # not before this moment: the machine was short of something

    def why_waiting(self, user_id: str, live: list[Holding]) -> str:
        """Why a queued run of this user does not start now."""
        return reason_to_wait(user_id, live, self.limits)

    def places(self, live: list[Holding]) -> dict[str, int]:
        """The place of every waiting run, from 1, as turns stand now."""
        line = waiting_line(self._db.read())
        order = order_of_turns(line, live, dict(self._turns))
        return {run_id: place for place, run_id in enumerate(order, 1)}

    def let_in(self, live: list[Holding]) -> list[Live]:
        """Start what may start now."""
        holding = [hold for hold in live if hold.threads]
        taken = sum(hold.threads for hold in holding)
        if len(holding) >= self.limits.runs or taken >= self.limits.threads:
            return []
        queue = queued_runs(self._db.read(), self.limits.runs_per_user)
        runs = {run.id: run for run in queue}
        waiting = [Waiting(run.id, run.user_id, run.options.max_jobs) for run in queue]
        begun = []
        for admission in admit(waiting, live, self.limits, self._turns):
            self._turns[admission.user_id] = max(self._turns.values(), default=-1) + 1
            started = self._begin(runs[admission.run_id], admission.threads)
            if started is not None:
                begun.append(started)
        return begun

    def _begin(self, run: Run, threads: int) -> Live | None:
        """Start a runner, record it, and only then give it its word."""
        directory = self._workspace.run_directory(run.username, run.id)
        try:
            kind = self._kinds[run.kind]
            command = kind.command(run, directory, threads)
            launched = launch(run, directory, command, {**self._environment, **kind.variables})
        except Exception as error:
            self._not_begun(run, error)
            return None
        self._spawn_trouble.pop(run.id, None)
        now = instant()
        try:
            started = self._db.write(
                lambda c: start_run(c, run.id, launched.identity, launched.nonce, threads, now)
            )
        except BaseException:
            launched.abandon()
            raise
        if not started:  # cancelled in this moment
            launched.abandon()
            return None
        launched.release()
        return Live(
            _as_started(run, launched, threads, now), directory, launched.process, run.event_offset
        )

    def _not_begun(self, run: Run, error: Exception) -> None:
        """No runner came to be: try again when the machine is short of something, else fail."""
        tries = self._spawn_trouble.get(run.id, 0) + 1
        short = isinstance(error, OSError) and error.errno in (errno.EAGAIN, errno.ENOMEM)
        if short and tries < SPAWN_TRIES:
            self._spawn_trouble[run.id] = tries
            self.open_at = time.monotonic() + SPAWN_PAUSE
            return
        self._spawn_trouble.pop(run.id, None)
        log.error("run %s could not be started: %s", run.id, error)
        ending = Ending(Status.FAILED, instant(), error=f"the runner could not be started: {error}")
        self._db.write(lambda c: store_ending(c, run, Status.PENDING, ending))

    def tell_waiting(self, submitted: list[str], live: list[Holding]) -> bool:
        """Store one `run_queued` for each new run that has to wait; True when there was one."""
        places = self.places(live) if submitted else {}
        events: list[Event] = []
        for run_id in submitted:
            run = find_run_of_anyone(self._db.read(), run_id)
            if run is not None and run.status is Status.PENDING:
                why = self.why_waiting(run.user_id, live)
                if run_id not in places:
                    why = self._why_held_back(run_id) or why
                data = {"position": places.get(run_id, 1), "reason": why}
                events.append(event_of(run, "run_queued", instant(), data))
        if events:
            self._db.write(lambda c: insert_events(c, events))
        return bool(events)

    def _why_held_back(self, run_id: str) -> str | None:
        """Why a run is not even in the line, when it is its batch that has no room."""
        limit = batch_limit(self._db.read(), run_id)
        if limit is None:
            return None
        return f"{limit} executions of its batch have started, as many as its max_concurrent allows"


def _as_started(run: Run, launched: Launched, threads: int, now: str) -> Run:
    """A run just started, as the database has it."""
    return replace(
        run,
        status=Status.RUNNING,
        identity=launched.identity,
        nonce=launched.nonce,
        threads=threads,
        started_at=now,
    )
