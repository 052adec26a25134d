"""Say in words how a command ended, and what probably caused it.

Owns the tables of exit codes, signals and tell-tale messages. Pure.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping

from oxoflow.lang.latepattern import late

TIMED_OUT = 124
STOPPED = "ended because the run was stopped"  # the error of a job that did not fail by itself
BEFORE_SPAWN = -1  # the exit code of a job that failed without, or after, its command
_SILENT = "it gave no reason; often a test was false, grep found nothing, or cmp a difference"
_DISK_FULL = "the disk is full; free some space"
_CODES: Mapping[int, str] = {
    1: "a general error; its own messages say more",
    2: "wrong usage of a command, or a syntax error in the shell text",
    126: "a command was found but could not be executed; check its permissions and interpreter",
    127: "a command was not found; check its spelling, PATH or the rule's environment",
    128: "a command called exit with an invalid value",
    255: "an exit value out of range, or a failure of ssh or a container tool",
}
_SIGNALS: Mapping[int, str] = {
    signal.SIGHUP: "its terminal went away",
    signal.SIGINT: "interrupted",
    signal.SIGQUIT: "asked to quit with a core dump",
    signal.SIGILL: "an instruction this processor does not have; the program was built for another",
    signal.SIGABRT: "the program gave up, often after an internal check or a failed allocation",
    signal.SIGBUS: "a memory access failed, often a mapped file that was cut or a full disk",
    signal.SIGFPE: "an arithmetic error",
    signal.SIGKILL: "probably out of memory; give the rule more, or run fewer jobs at once",
    signal.SIGSEGV: "an invalid memory access; a bug in the program or a corrupt input",
    signal.SIGPIPE: "wrote into a pipe that nobody read any more",
    signal.SIGALRM: "its own alarm went off",
    signal.SIGTERM: "asked to end from outside",
    signal.SIGXCPU: "used up its limit of CPU time",
    signal.SIGXFSZ: "a file grew beyond the limit on file sizes",
    signal.SIGSYS: "used a system call that is not allowed here",
}
# What programs say, whatever they return, when the machine and not the work is at fault.
_SIGNS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (late(pattern, re.IGNORECASE | re.MULTILINE), cause)
    for pattern, cause in (
        (r"no space left on device|\bENOSPC\b", _DISK_FULL),
        (r"disk quota exceeded|\bEDQUOT\b", "the quota is used up; free some of it"),
        (r"read-only file system|\bEROFS\b", "it wrote where the file system is read-only"),
        (
            r"(?<!/)\binput/output error|\bEIO\b",
            "the disk failed; check it and the kernel's log",
        ),
        (r"stale (?:nfs )?file handle", "the network file system went away; mount it again"),
        (r"too many open files", "too many files were open; raise the limit (ulimit -n)"),
        (
            r"error while loading shared libraries",
            "a shared library is missing; check the rule's environment",
        ),
        (
            r": unbound variable$",
            "the shell variable it names has no value and set -u forbids that; write ${NAME:-}",
        ),
    )
)
_NO_MEMORY = late(
    r"out of memory|cannot allocate memory|MemoryError|bad_alloc|OutOfMemoryError|oom-kill"
    r"|cannot allocate vector|memory exhausted|unable to allocate",
    re.IGNORECASE,
)


def describe_exit(code: int, stderr_tail: str | None = None, *, no_space: bool = False) -> str:
    """How a command ended: `exit code 127: a command was not found; ...`.

    What the command said last is more telling than a number that many programs use for anything.
    With `no_space` left, what it said may have found no place in its log.
    """
    number = code - 128
    cause = _said(stderr_tail or "") or (_DISK_FULL if no_space else None)
    if number in _SIGNALS:
        name = signal.Signals(number).name
        return f"exit code {code}: ended by {name}: {cause or _SIGNALS[number]}"
    if code == 1 and cause is None and stderr_tail is not None and not stderr_tail.strip():
        return f"exit code 1: {_SILENT}"
    cause = cause or _CODES.get(code)
    return f"exit code {code}: {cause}" if cause else f"exit code {code}"


def _said(stderr_tail: str) -> str | None:
    for sign, cause in _SIGNS:
        if sign.search(stderr_tail):
            return cause
    if _NO_MEMORY.search(stderr_tail):
        return "memory ran out; give the rule more, or run fewer jobs at once"
    return None


def describe_timeout(seconds: float) -> str:
    """What is said of a command whose time was up."""
    return f"command timed out after {seconds:g} s; raise time_limit or --timeout if it needs more"


def describe_overuse(megabytes: int) -> str:
    """What is said of a command that was ended for using more memory than it may."""
    return f"used more than the {megabytes} MB of memory that it may; let the rule declare more"


def ran_out_of_memory(code: int, stderr_tail: str) -> bool:
    """True when an end looks as if memory had run out; the kernel's killer sends SIGKILL."""
    return code == 128 + signal.SIGKILL or (code != 0 and bool(_NO_MEMORY.search(stderr_tail)))
