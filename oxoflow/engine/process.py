"""Start commands, wait for them and measure them exactly, without ever signalling a stranger.

Owns the table of live children and the system calls around them (design 5). A child is waited for
without being reaped, then reaped and struck off under the same lock under which signals are sent:
so a signal never goes to a pid that the kernel has given to somebody else. It decides nothing
about jobs, and knows no run directory.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from oxoflow.engine.identity import all_processes, read_stat
from oxoflow.errors import RunError

_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024
# A kernel may be built without it; then every process is looked at.
_LISTS_CHILDREN = os.path.exists(f"/proc/self/task/{os.getpid()}/children")


class SpawnFailed(RunError):
    """The command could not be started at all; `error` is the system's answer."""

    def __init__(self, message: str, error: OSError) -> None:
        super().__init__(message)
        self.error = error


class Child(Struct, eq=False):
    """One live command. Changed under the table's lock, or by the thread named behind a field."""

    pid: int
    token: str
    name: str
    started: float  # monotonic seconds
    start_time: int = 0  # clock ticks; 0 until somebody had a look at it
    reaped: bool = False
    peak_kb: int = 0  # sum over its tree; the metering thread
    deadline: float | None = None  # monotonic seconds; set once before the wait
    timed_out: bool = False  # the metering thread
    sampled: float = 0.0  # when last; the metering thread
    io: int = -1  # its figures of bytes, opened; set once before the wait, which closes it


class Exit(Struct, frozen=True):
    """How a command ended and what it used, with all its descendants that were waited for."""

    code: int  # as a shell would say it: 128 + n for signal n
    signal: int | None
    wall_secs: float
    cpu_secs: float
    peak_mb: float
    read_bytes: int | None  # through system calls, page cache and pipes included
    written_bytes: int | None
    timed_out: bool = False


class ProcessTable:
    """The children of this process. Any thread may call any method.

    `strangers` are the children that it had before.
    """

    def __init__(self) -> None:
        self.strangers = frozenset(own_children())
        self._lock = threading.Lock()
        self._turn = threading.Condition(self._lock)
        self._starting = 0  # commands that are neither in the table yet nor orphans
        self._looking = 0  # threads that wait until there are none; nothing starts meanwhile
        self._live: dict[int, Child] = {}
        self._null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._is_root = os.geteuid() == 0
        self._refusing = False

    def spawn(
        self,
        argv: Sequence[str],
        *,
        cwd: Path | str,
        env: Mapping[bytes, bytes],
        stdout: int,
        stderr: int,
        stdin: int | None = None,
        token: str = "",
        timeout: float | None = None,
        name: str = "",
    ) -> Child:
        """Start a command in a session of its own; raises SpawnFailed.

        Several threads start at once: a start takes as long as the kernel needs to load a program,
        and under the lock nobody could be reaped meanwhile.
        """
        with self._lock:
            while self._looking:
                self._turn.wait()
            if self._refusing:
                cause = OSError(errno.ESHUTDOWN, os.strerror(errno.ESHUTDOWN))
                raise SpawnFailed("nothing is started any more: the run is being stopped", cause)
            self._starting += 1
        child: Child | None = None
        try:
            now = time.monotonic()
            pid = _start(argv, cwd, env, (self._null if stdin is None else stdin, stdout, stderr))
            child = Child(pid, token, name, now)
            if not self._is_root:  # what belongs to a zombie only root may open
                child.io = _open_io(pid)
            child.deadline = None if timeout is None else now + timeout
            return child
        except OSError as error:
            raise SpawnFailed(_spawn_message(argv, cwd, error), error) from error
        finally:
            self._note_start(child)

    def _note_start(self, child: Child | None) -> None:
        with self._lock:
            self._starting -= 1
            if child is not None:
                self._live[child.pid] = child
            if self._looking and not self._starting:
                self._turn.notify_all()

    @contextlib.contextmanager
    def _nothing_starting(self) -> Iterator[None]:
        """Hold the lock at a moment at which each child of ours is in the table or an orphan."""
        with self._lock:
            self._looking += 1
            try:
                while self._starting:
                    self._turn.wait()
                yield
            finally:
                self._looking -= 1
                self._turn.notify_all()

    def refuse_more(self) -> None:
        """Start nothing from now on: what is not among the living when this returns never will."""
        with self._nothing_starting():
            self._refusing = True

    def accept_more(self) -> None:
        """Start again what is asked for: what was left behind is ended."""
        with self._lock:
            self._refusing = False

    def wait(self, child: Child) -> Exit:
        """Block until the command has ended, and reap it."""
        own_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        ended = time.monotonic()
        moved = _read_io(child)  # of the zombie: complete, and its children's are added in
        with self._lock:
            _, status, usage = os.wait4(child.pid, 0)
            child.reaped = True
            del self._live[child.pid]
        code = os.waitstatus_to_exitcode(status)
        return Exit(
            code=code if code >= 0 else 128 - code,
            signal=-code if code < 0 else None,
            wall_secs=ended - child.started,
            cpu_secs=usage.ru_utime + usage.ru_stime,
            peak_mb=max(_own_peak_kb(child, usage, own_kb), child.peak_kb) / 1024,
            read_bytes=moved[0] if moved else None,
            written_bytes=moved[1] if moved else None,
            timed_out=child.timed_out,
        )

    def identify(self, child: Child) -> None:
        """Learn a command's start time; left at 0 when it was reaped before we could look."""
        stat = read_stat(child.pid)
        with self._lock:
            if stat is not None and not child.reaped:
                child.start_time = stat.start_time

    def live(self) -> list[Child]:
        """The commands that have not been reaped."""
        with self._lock:
            return list(self._live.values())

    def signal_group(self, child: Child, number: int) -> bool:
        """Signal a live command's process group; False when it was reaped before."""
        with self._lock:
            if child.reaped:
                return False
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, number)
            return True

    def has_orphans(self) -> bool:
        """True when anything came to us whose parent has ended: what commands left behind.

        All that lives of commands that were reaped is below such a child.
        """
        with self._nothing_starting():
            return not self.strangers.union(self._live).issuperset(own_children())

    def reap_orphans(self) -> int:
        """Reap ended processes that came to us as their subreaper; how many.

        By pid only: a bare wait would take a command's status away from the thread that waits
        for it. Children in our own session were started by other parts and are left to them.
        """
        reaped = 0
        with self._nothing_starting():
            own_session = os.getsid(0)
            for pid in own_children():
                if pid in self._live or pid in self.strangers:
                    continue
                stat = read_stat(pid)
                if stat is not None and stat.state == "Z" and stat.session != own_session:
                    with contextlib.suppress(ChildProcessError):
                        os.waitpid(pid, os.WNOHANG)
                        reaped += 1
        return reaped

    def close(self) -> None:
        """Give up the descriptors; no command may live."""
        os.close(self._null)


def _start(
    argv: Sequence[str],
    cwd: Path | str,
    env: Mapping[bytes, bytes],
    standard: tuple[int, int, int],
) -> int:
    """Start a program and give its pid; Popen's part ends here.

    The arguments keep Popen on its vfork path; `preexec_fn` would cost four times as much, and
    `posix_spawn`, with less Python, an eighth of a job's time more.
    """
    stdin, stdout, stderr = standard
    popen = subprocess.Popen(
        argv,
        cwd=cwd,
        env=env,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )
    popen.returncode = 0  # whoever waits does so by pid; Popen must neither wait nor complain
    return popen.pid


def _own_peak_kb(child: Child, usage: resource.struct_rusage, runner_kb: int) -> int:
    """What the kernel's figures say about a command's peak memory.

    Until exec the child shares our memory, and the kernel keeps that as its peak: the figure says
    something about the command only when it is above our own. Below that, samples tell; and a
    command too short for a sample cannot have had more than the pages that it touched.
    """
    if usage.ru_maxrss > runner_kb * 1.02 + 1024:
        return usage.ru_maxrss
    if child.peak_kb:
        return 0
    return min(usage.ru_maxrss, usage.ru_minflt * _PAGE_KB)


def adopt_orphans() -> None:
    """Make this process the one to which its orphaned descendants come back."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def deny_inspection() -> None:
    """Keep other processes of this account from reading our memory and environment."""
    _prctl(_PR_SET_DUMPABLE, 0)


def _prctl(option: int, value: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {os.strerror(number)}")


def own_children() -> list[int]:
    """The pids of this process's children, zombies included."""
    if _LISTS_CHILDREN:
        return children_of("self")
    me = os.getpid()
    return [stat.pid for stat in all_processes().values() if stat.parent == me]


def children_of(pid: int | str) -> list[int]:
    """The pids of a process's children; empty when it is gone."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            descriptor = os.open(f"/proc/{pid}/task/{thread}/children", os.O_RDONLY)
            try:
                text = b""
                while piece := os.read(descriptor, 65_536):
                    text += piece
            finally:
                os.close(descriptor)
            found += map(int, text.split())
    except OSError:
        pass  # it ended while we looked: what was found is all there is to say
    return found


def _open_io(pid: int) -> int:
    try:
        return os.open(f"/proc/{pid}/io", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1


def _read_io(child: Child) -> tuple[int, int] | None:
    """Bytes that a command and its reaped children read and wrote by system calls."""
    descriptor = child.io if child.io >= 0 else _open_io(child.pid)
    if descriptor < 0:
        return None
    try:
        lines = os.read(descriptor, 512).split()
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return int(lines[1]), int(lines[3])


def signal_exactly(pid: int, start_time: int, number: int) -> bool:
    """Signal the process that had this pid and start time; False when it is gone."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        stat = read_stat(pid)
        if stat is None or stat.start_time != start_time:
            return False
        signal.pidfd_send_signal(descriptor, number)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _spawn_message(argv: Sequence[str], cwd: Path | str, error: OSError) -> str:
    reason = error.strerror or str(error)
    if not os.path.isdir(cwd):
        return f"the working directory '{cwd}' is gone; restore it and run again"
    return f"'{argv[0]}' could not be started: {reason}"
