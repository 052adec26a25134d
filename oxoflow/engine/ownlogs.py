"""Find what a command that failed wrote into a log of its own, where nobody would look for it.

Owns which files count as such logs: the rule's `log` (spec/oxoflow-format.md 1.8), else the files
to which the command sends its stderr. Files are read here, and only their ends; none is changed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from msgspec import Struct

from oxoflow.lang.latepattern import late

_MOST = 2  # logs of one job whose ends are told
_LINES = 15
_BYTES = 2000
_SLACK = 0.1  # seconds by which the clock of a file system may lag behind ours
_WORD = r"""["']?([^\s;|&<>()"'`$*?{}]+)["']?(?=[\s;|&)]|$)"""
_STDERR = late(rf"(?:2>>?|&>>?|>&)[ \t]*(?!&){_WORD}|(?<![0-9&>])>>?[ \t]*{_WORD}[ \t]+2>&1")


class LogEnd(Struct, frozen=True):
    """The last lines of a log that a command wrote itself; `path` as the command names it."""

    path: str
    text: str


def log_ends(cwd: str, command: str, declared: str | None, since: float) -> tuple[LogEnd, ...]:
    """Give the ends of the logs that a command run in `cwd` has written since a time."""
    named = [declared] if declared is not None else _stderr_files(command)
    found = (_end(os.path.join(cwd, path), path, since - _SLACK) for path in dict.fromkeys(named))
    return tuple(end for end in found if end is not None)[:_MOST]


def _stderr_files(command: str) -> Iterator[str]:
    """Give the files into which a command redirects its stderr, as far as they are literal."""
    for match in _STDERR.finditer(command):
        path = match[1] or match[2]
        if not path.startswith("/dev/") and not path.isdigit():
            yield path


def _end(place: str, path: str, since: float) -> LogEnd | None:
    """Give the end of a file, if it is one, has text and was written since then."""
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):
        return None  # it was never made, or is out of reach: then there is nothing to tell
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode) or state.st_mtime < since:
            return None
        start = max(0, state.st_size - _BYTES)
        lines = os.pread(descriptor, _BYTES, start).decode("utf-8", "replace").splitlines()
    except OSError:
        return None
    finally:
        os.close(descriptor)
    if start and len(lines) > 1:
        del lines[0]  # it is cut
    text = "\n".join(lines[-_LINES:]).strip()
    return LogEnd(path, text) if text else None
