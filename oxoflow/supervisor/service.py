"""Run the life of every run in one thread: admit, start, follow, settle (design, section 2).

The thread owns the live runs; the database owns the truth. Views call `submit`, `cancel` and
`waiting`, which work on the database and wake the thread. A stop of the server, in any way, ends
no run: what is live is found again by its recorded identity.
"""

from __future__ import annotations

import logging
import os
import selectors
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from oxoflow.db import Database
from oxoflow.db.events import delete_events_before
from oxoflow.db.instants import instant
from oxoflow.db.queue import waiting_line
from oxoflow.db.runs import (
    Ending,
    NewRun,
    Phase,
    Run,
    Status,
    ask_cancel,
    count_runs,
    find_run_of_anyone,
    insert_run,
    set_threads,
    started_runs,
)
from oxoflow.errors import RateLimited
from oxoflow.settings import Settings, limit_variables
from oxoflow.supervisor import signals
from oxoflow.supervisor.admission import Holding, Limits
from oxoflow.supervisor.gate import Gate
from oxoflow.supervisor.housekeeping import bound_caches
from oxoflow.supervisor.ingest import Harvest, event_of, harvest, store
from oxoflow.supervisor.kinds import Kind, workflows
from oxoflow.supervisor.launch import runner_environment
from oxoflow.supervisor.live import LARGEST_FILE, Live
from oxoflow.supervisor.messages import tell, tell_to_end
from oxoflow.supervisor.settle import judge, store_ending, store_fate
from oxoflow.supervisor.sharing import to_give_back, to_lend
from oxoflow.supervisor.tools import ask
from oxoflow.workspace import Workspace

TICK = 0.05  # seconds between looks at the event files of live runs
IDLE = 30.0
AFTER_TROUBLE = 1.0
HOUR = 3600.0

log = logging.getLogger("oxoflow.supervisor")


class Supervisor:
    """The thread that takes runs from pending to their end."""

    def __init__(
        self,
        db: Database,
        workspace: Workspace,
        settings: Settings,
        poke: Callable[[], None],
        environ: Mapping[str, str] = os.environ,
        kinds: Mapping[str, Kind] | None = None,
    ) -> None:
        self._db = db
        self._workspace = workspace
        self._poke = poke
        self._event_days = settings.event_days
        self._cache_size = settings.cache_size
        self._most_pending = settings.max_pending_per_user
        cores = len(os.sched_getaffinity(0))
        self._kinds = {"workflow": workflows(settings.cache_size), **(kinds or {})}
        limits = limit_variables(settings.limits)
        self._environment = {**runner_environment(environ, settings.pass_env), **limits}
        self._gate = Gate(
            db,
            workspace,
            Limits(settings.max_runs, settings.max_runs_per_user, cores),
            self._kinds,
            self._environment,
        )
        self._stopping = False
        self._ending = threading.Lock()
        self._ended = False
        self._wake = os.eventfd(1, os.EFD_NONBLOCK | os.EFD_CLOEXEC)  # set: begin with a look
        self._submitted: deque[str] = deque()  # not yet told whether they must wait
        self._told = threading.Condition()  # notified when a run ended
        self._signalled: set[str] = set()
        # From here on: changed by the supervisor's thread only.
        self._live: dict[str, Live] = {}
        self._adopted = False
        self._look = True  # whether a waiting run could start that could not before
        self._sweep_at = 0.0
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, name="supervisor", daemon=True)

    # Any thread

    def start(self) -> None:
        """Take up every run that was started before, then serve."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and leave the runs alone; safe to call twice."""
        if self._stopping:
            return
        self._stopping = True
        self._wake_up()
        if self._thread.is_alive():
            self._thread.join()
        for live in self._live.values():
            live.close()
        self._selector.close()
        with self._ending:
            self._ended = True
            os.close(self._wake)

    def submit(
        self, run: NewRun, also: Callable[[sqlite3.Connection], None] = lambda connection: None
    ) -> None:
        """Queue a run whose directory is made already; its owner removes that when this raises.

        `also` is done in the same commit. Raises RateLimited over the owner's limit of waiting
        runs, sqlite3.IntegrityError when the idempotency key was used.
        """

        def insert(connection: sqlite3.Connection) -> None:
            pending = count_runs(connection, run.user_id, run.kind).get(Status.PENDING, 0)
            if pending >= self._most_pending:
                raise RateLimited(
                    "Too many waiting runs",
                    f"{pending} of yours wait already: let one start, or cancel one",
                    retry_after=30,
                )
            insert_run(connection, run)
            also(connection)

        self._db.write(insert)
        self._submitted.append(run.id)
        self._wake_up()

    def cancel(self, run: Run, patience: float) -> Run:
        """End a run; return how it stands when it is over, or when `patience` seconds are.

        A run that waits is never started; one that runs gets the message and one SIGTERM, and is
        `cancelled` only when its processes are confirmed gone.
        """
        deadline = time.monotonic() + patience
        now = instant()
        never_began = Ending(Status.CANCELLED, now, left_alive=0)
        if self._db.write(lambda c: store_ending(c, run, Status.PENDING, never_began)):
            self._announce()
            return self._now(run)
        if self._db.write(lambda c: ask_cancel(c, run.id, now)):
            self._tell_to_end(self._now(run))
            return self._wait(run, deadline, lambda found: found.final)
        return self._now(run)

    def tell(self, run: Run, word: str, wanted: Phase, patience: float) -> Run:
        """Leave a word for a live runner; return how the run stands when it obeyed, or later."""
        tell(run, self._directory(run), word)
        return self.await_phase(run, wanted, patience)

    def await_phase(self, run: Run, wanted: Phase, patience: float) -> Run:
        """Wait until a run is in a phase or over, at most `patience` seconds; how it stands."""
        deadline = time.monotonic() + patience
        return self._wait(run, deadline, lambda found: found.final or found.phase is wanted)

    def look(self) -> None:
        """Say that a waiting run may start which could not before."""
        self._wake_up()

    def _wait(self, run: Run, deadline: float, over: Callable[[Run], bool]) -> Run:
        """Wait in the caller's thread until a run stands as wanted, or the deadline is over."""
        with self._told:
            run = self._now(run)
            while not over(run) and (left := deadline - time.monotonic()) > 0:
                self._told.wait(min(left, 1.0))
                run = self._now(run)
        return run

    def ask(self, directory: Path, words: Sequence[str], config: Mapping[str, str]) -> Any:
        """What the command line says about a run's directory; waits in the caller's thread."""
        return ask(directory, words, self._environment, config)

    def why_waiting(self, user_id: str) -> str:
        """Why a queued run of this user does not start now."""
        return self._gate.why_waiting(user_id, self._holdings())

    def place_in_line(self, run_id: str) -> int:
        """Where a queued run stands, from 1; 1 too when it is not its turn that it waits for."""
        return self._gate.places(self._holdings()).get(run_id, 1)

    def live_runs(self) -> int:
        """How many runs are live just now."""
        return len(self._live)

    def _now(self, run: Run) -> Run:
        return find_run_of_anyone(self._db.read(), run.id) or run

    def _tell_to_end(self, run: Run) -> None:
        """Once from this server: a second SIGTERM could be taken for impatience."""
        if run.id not in self._signalled:
            self._signalled.add(run.id)
            tell_to_end(run, self._directory(run))
            self._wake_up()

    def _wake_up(self) -> None:
        with self._ending:  # the descriptor's number may be another file's after the end
            if not self._ended:
                os.eventfd_write(self._wake, 1)

    def _announce(self) -> None:
        """A state changed: streams and waiting views look again."""
        self._poke()
        with self._told:
            self._told.notify_all()

    def _holdings(self) -> list[Holding]:
        return [
            Holding(live.run.user_id, 0 if live.run.idle else live.run.threads or 1)
            for live in self._lives()
        ]

    def _lives(self) -> list[Live]:
        return list(self._live.values())

    # The thread

    def _serve(self) -> None:
        while not self._stopping:
            try:
                self._turn()
            except Exception:  # the database is away, for example
                log.exception("supervisor: a turn failed; going on")
                time.sleep(AFTER_TROUBLE)

    def _adopt(self) -> None:
        """Take up the runs that an earlier server started; the dead are settled at once."""
        for run in started_runs(self._db.read()):
            self._keep(Live(run, self._directory(run), None, run.event_offset))
            if run.cancel_requested_at is not None:
                self._tell_to_end(run)

    def _keep(self, live: Live) -> None:
        if live.run.identity is not None:
            live.watch = signals.watch(live.run.identity)
        if live.watch is not None:
            self._selector.register(live.watch, selectors.EVENT_READ)
        live.most = live.run.threads or 1
        self._live[live.run.id] = live

    def _turn(self) -> None:
        if not self._adopted:
            self._adopt()
            self._adopted = True
        for key, _ in self._selector.select(TICK if self._live else IDLE):
            if key.fd == self._wake:
                os.eventfd_read(self._wake)
                self._look = True
        for live in self._lives():
            if time.monotonic() >= live.retry_at:
                self._follow(live)
        if self._look and time.monotonic() >= self._gate.open_at:
            self._look = False
            self._admit()
        if time.monotonic() >= self._sweep_at:
            self._sweep_at = time.monotonic() + HOUR
            self._sweep()

    def _follow(self, live: Live) -> None:
        """Take in what a run says; when its runner is gone, all of it, and then settle."""
        try:
            ended = live.ended()
            while self._take_in(live) and ended:
                pass
            if ended:
                self._settle(live)
        except Exception as error:
            log.error("run %s: %s; trying again", live.run.id, error)
            live.retry_at = time.monotonic() + AFTER_TROUBLE
            self._unwatch(live)  # else the end of its runner would wake us all the time

    def _take_in(self, live: Live) -> bool:
        """Store the next events of a run and the offset behind them; False when there are none."""
        lines, offset = live.read()
        if offset == live.offset or live.full:
            return False
        found = harvest(live.run, self._kinds[live.run.kind], lines, time.time())
        if found.share != live.asked:  # nobody asked for this: a rule wrote it
            found.share = None
        if offset > LARGEST_FILE:
            live.full = True
            found = self._full(live)
        if self._db.write(lambda c: store(c, live.run, found, live.offset, offset)):
            live.offset = offset
            if found.waits is not None:
                live.run = replace(live.run, idle=found.waits)
                self._look = True
            if found.share is not None:
                live.run, live.asked = replace(live.run, threads=found.share), None
                self._look = True
            if found.phase is not None:
                live.run = replace(live.run, phase=found.phase)
                self._look = True
                self._announce()
            elif found.events:
                self._poke()
            return True
        fresh = find_run_of_anyone(self._db.read(), live.run.id)
        if fresh is None or fresh.status is not Status.RUNNING:
            self._forget(live)  # settled or deleted by another hand
        else:
            live.offset = fresh.event_offset
        return False

    def _full(self, live: Live) -> Harvest:
        log.warning("run %s: events.jsonl is too long; it is no longer followed", live.run.id)
        text = f"events.jsonl is longer than {LARGEST_FILE} bytes and is no longer followed"
        return Harvest([event_of(live.run, "warning", instant(), {"message": text})])

    def _settle(self, live: Live) -> None:
        """Store how a run ended whose runner is gone."""
        if live.run.id not in self._live:
            return
        live.run = find_run_of_anyone(self._db.read(), live.run.id) or live.run
        judgement = judge(live.run, live.evidence(), time.time())
        revive = self._kinds[live.run.kind].revive
        self._db.write(lambda c: store_fate(c, live.run, judgement, revive))
        ending = judgement.ending
        log.info("run %s: %s", live.run.id, ending.status.value if ending else judgement.fate.value)
        self._forget(live)
        self._announce()

    def _forget(self, live: Live) -> None:
        self._live.pop(live.run.id, None)
        self._signalled.discard(live.run.id)
        self._unwatch(live)
        live.close()
        self._look = True

    def _unwatch(self, live: Live) -> None:
        if live.watch is not None:
            self._selector.unregister(live.watch)
            os.close(live.watch)
            live.watch = None

    def _admit(self) -> None:
        """Start what may start now, and tell the others that they wait."""
        submitted = [self._submitted.popleft() for _ in range(len(self._submitted))]
        begun = self._gate.let_in(self._holdings())
        for live in begun:
            self._keep(live)
        if begun:
            self._announce()
        self._look |= time.monotonic() < self._gate.open_at
        self._share()
        if submitted and self._gate.tell_waiting(submitted, self._holdings()):
            self._poke()

    def _share(self) -> None:
        """Have a run lend threads to a user who would wait for its end; give back what is free."""
        lives, limits = self._lives(), self._gate.limits
        if sum(live.run.threads or 1 for live in lives) < limits.threads:
            for live, threads in to_give_back(lives, limits):
                self._db.write(partial(set_threads, run_id=live.run.id, threads=threads))
                live.run = replace(live.run, threads=threads)
                tell(live.run, live.directory, "share", slots=threads)
            return
        lending = to_lend(waiting_line(self._db.read()), lives, limits)
        if lending is not None:
            live, live.asked = lending
            tell(live.run, live.directory, "share", slots=lending[1])

    def _sweep(self) -> None:
        """Forget events that are too old to be replayed, and delete what is not kept longer."""
        self._workspace.empty_trash()
        bound_caches(self._workspace, self._cache_size)
        oldest = instant(time.time() - self._event_days * 24 * HOUR)
        while self._db.write(lambda c: delete_events_before(c, oldest)):
            pass

    def _directory(self, run: Run) -> Path:
        return self._workspace.run_directory(run.username, run.id)
