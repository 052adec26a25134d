"""End the processes of a job, of a whole run, or of a run whose runner died (design 5).

Owns the sequence TERM, grace, KILL, look again, and the receipt of what was ended. Who belongs to
whom is `trees`' knowledge; live commands are `process`' table.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from msgspec import Struct

from oxoflow.engine.identity import (
    ProcessIdentity,
    ProcessStat,
    all_processes,
    boot_id,
    read_stat,
)
from oxoflow.engine.process import Child, ProcessTable, own_children, signal_exactly
from oxoflow.engine.rundir import MARKER, RunDirectory
from oxoflow.engine.trees import (
    ENDED,
    carries,
    descendants,
    job_members,
    works_below,
    writes_below,
)

JOB_MARKER = "OXORUN_JOB"  # which job of the run a process belongs to
_LOOK_AGAIN = 0.02
_ROUNDS = 100

Processes = Mapping[int, ProcessStat]


class Ended(Struct, frozen=True):
    """One process that we ended, and the signal after which it was gone."""

    pid: int
    name: str
    signal: str


class Receipt(Struct, frozen=True):
    """What ending a run came to: who was ended, and how many live on."""

    ended: tuple[Ended, ...] = ()
    left: int = 0


def end_job(table: ProcessTable, child: Child) -> None:
    """Kill a job's whole tree at once, detached children included.

    Works for a command that was just reaped, too: what it left has its session or its marker, and
    a session's number is not given out again while anybody is in it.
    """
    token = f"{JOB_MARKER}={child.token}".encode()
    me = os.getpid()
    table.signal_group(child, signal.SIGSTOP)  # a shell must not go on to its next command
    for _ in range(_ROUNDS):
        members = job_members(child.pid, token, all_processes(), me)
        if not members:
            break
        for stat in members.values():
            if stat.start_time >= child.start_time:
                signal_exactly(stat.pid, stat.start_time, signal.SIGKILL)
        time.sleep(_LOOK_AGAIN / 4)
    table.reap_orphans()


def outlast(table: ProcessTable, child: Child, limit: float = 10.0) -> bool:
    """Wait until what a command left at work has ended, `limit` seconds at most.

    Bash waits for no process substitution: what `>(tee log)` writes may come after its end. False
    when the command's time is up before that.
    """
    token = f"{JOB_MARKER}={child.token}".encode()
    patience = time.monotonic() + limit
    deadline = patience if child.deadline is None else child.deadline
    at_work = True
    while at_work and time.monotonic() < min(patience, deadline):
        at_work = bool(job_members(child.pid, token, all_processes(), os.getpid()))
        if at_work:
            time.sleep(_LOOK_AGAIN / 4)
    table.reap_orphans()
    return not at_work or deadline >= patience


def end_run(
    table: ProcessTable,
    run_id: str,
    grace: float = 5.0,
    limit: float = 6.5,
    hurry: Callable[[], bool] = lambda: False,
) -> Receipt:
    """End everything below this process: TERM, `grace` seconds, KILL, all within `limit` seconds.

    Blocks, and `table` starts nothing from then on. Other threads reap the commands meanwhile;
    orphans are reaped here. `hurry` cuts the grace short.
    """
    begun = time.monotonic()
    table.refuse_more()
    marker = f"{MARKER}={run_id}".encode()
    ending = _Ending(lambda processes: _below_us(table, processes))
    ending.look()
    ending.send(signal.SIGTERM, table)
    while ending.alive and time.monotonic() < begun + grace and not hurry():
        time.sleep(_LOOK_AGAIN)
        table.reap_orphans()
        ending.look()
    ending.find = lambda processes: _below_us(table, processes) | _marked(marker, processes)
    ending.look()
    while ending.alive and time.monotonic() < begun + limit:
        ending.send(signal.SIGKILL, table)
        time.sleep(_LOOK_AGAIN)
        table.reap_orphans()
        ending.look()
    return ending.receipt()


def has_leftovers(table: ProcessTable) -> bool:
    """True when something below this process still runs; cheap, for the end of every run."""
    table.reap_orphans()
    if set(own_children()) <= table.strangers:
        return False
    return bool(_below_us(table, all_processes()))


def end_dead_run(
    run_id: str,
    started: Iterable[ProcessIdentity],
    workdir: Path,
    limit: float = 5.0,
    superseded: Callable[[], bool] = lambda: False,
) -> Receipt:
    """Kill what a run left whose runner died: by recorded process, marker, or open job log.

    Once it is `superseded`, what works in the directory is not of that run: nothing more is done.
    """
    marker = f"{MARKER}={run_id}".encode()
    known = {process.pid: process for process in started if process.boot_id == boot_id()}

    def find(processes: Processes) -> Processes:
        roots = {
            pid for pid, stat in processes.items() if _is_left_over(stat, known, marker, workdir)
        }
        roots.discard(os.getpid())
        found = {pid: processes[pid] for pid in roots} | descendants(roots, processes)
        return {} if superseded() else _alive(found)

    ending = _Ending(find)
    ending.look()
    if not ending.alive:  # while a process becomes another program it has no environment
        time.sleep(_LOOK_AGAIN)
        ending.look()
    deadline = time.monotonic() + limit
    while ending.alive and time.monotonic() < deadline:
        ending.send(signal.SIGKILL)
        time.sleep(_LOOK_AGAIN)
        ending.look()
    return ending.receipt()


class _Ending:
    """One effort to end processes: who is alive, who was seen, what they were sent."""

    def __init__(self, find: Callable[[Processes], Processes]) -> None:
        self.find = find
        self.alive: Processes = {}
        self._seen: dict[tuple[int, int], ProcessStat] = {}
        self._sent: dict[tuple[int, int], int] = {}

    def look(self) -> None:
        self.alive = self.find(all_processes())
        for stat in self.alive.values():
            self._seen.setdefault((stat.pid, stat.start_time), stat)

    def send(self, number: int, table: ProcessTable | None = None) -> None:
        """Signal the groups of live commands as groups, and everybody else alone: none twice."""
        live = table.live() if table is not None else []
        groups = {child.pid for child in live if table and table.signal_group(child, number)}
        for stat in self.alive.values():
            if stat.group in groups or signal_exactly(stat.pid, stat.start_time, number):
                self._sent[stat.pid, stat.start_time] = number

    def receipt(self) -> Receipt:
        living = {(stat.pid, stat.start_time) for stat in self.alive.values()}
        ended = tuple(
            Ended(stat.pid, stat.name, signal.Signals(self._sent[key]).name)
            for key, stat in self._seen.items()
            if key not in living and key in self._sent
        )
        return Receipt(ended, len(living))


def _alive(processes: Processes) -> dict[int, ProcessStat]:
    return {pid: stat for pid, stat in processes.items() if stat.state not in ENDED}


def _below_us(table: ProcessTable, processes: Processes) -> dict[int, ProcessStat]:
    """Our living descendants, without what this process had started before the run or besides.

    Commands are looked up one by one as well: a listing of `/proc` that passed one by would leave
    it out of the receipt although it gets the signal.
    """
    me, session = os.getpid(), os.getsid(0)
    commands = {child.pid: stat for child in table.live() if (stat := read_stat(child.pid))}
    processes = {**processes, **commands}
    roots = [
        stat.pid
        for stat in processes.values()
        if stat.parent == me and stat.pid not in table.strangers and stat.session != session
    ]
    return _alive({pid: processes[pid] for pid in roots} | descendants(roots, processes))


def _marked(marker: bytes, processes: Processes) -> dict[int, ProcessStat]:
    me = os.getpid()
    return _alive(
        {pid: stat for pid, stat in processes.items() if pid != me and carries(pid, marker)}
    )


def _is_left_over(
    stat: ProcessStat, known: Mapping[int, ProcessIdentity], marker: bytes, workdir: Path
) -> bool:
    recorded = known.get(stat.pid)
    if recorded is not None and recorded.start_time == stat.start_time:
        return True
    if carries(stat.pid, marker) or writes_below(stat.pid, RunDirectory(workdir).logs):
        return True
    # The session's number may be a stranger's by now: what it works on decides.
    leader = known.get(stat.session)
    in_session = leader is not None and leader.start_time <= stat.start_time
    return in_session and works_below(stat.pid, workdir)
