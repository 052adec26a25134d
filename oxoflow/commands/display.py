"""Show a run while it runs: a live block on a terminal, plain lines in a pipe.

Owns what is written to the screen. It hears of events from the recorder's thread and never
touches the run.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
import unicodedata
from collections.abc import Callable
from typing import TextIO

from oxoflow.commands.eta import Estimator
from oxoflow.engine.events import Event
from oxoflow.engine.narration import Narrator, duration_words, end_of, ends_a_job, event_words

_REDRAW_SECONDS = 0.2
_ESTIMATE_SECONDS = 2.0
_RUNNING_SHOWN = 6
_BAR, _SHORTEST_BAR = 24, 6
_WITHOUT_CURSOR = ("dumb", "unknown")  # kinds of terminal


class PlainDisplay:
    """One line for every job that ends, and for what a person should know."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._narrator = Narrator()

    def observe(self, event: Event) -> None:
        """Take one event."""
        line = self._narrator.line(event)
        if line:
            _say(self._out, f"{line}\n")

    def close(self) -> None:
        """Nothing is left on the screen."""


class LiveDisplay:
    """A block of lines at the bottom, redrawn in place; failures scroll away above it.

    One lock guards all fields: events come from the recorder's thread, redraws from our own.
    """

    def __init__(self, out: TextIO, estimator: Estimator) -> None:
        self._out = out
        self._total = 0
        self._estimator = estimator
        self._lock = threading.Lock()
        self._running: dict[str, float] = {}
        self._counts = dict.fromkeys(("done", "skipped", "failed", "blocked", "stopped"), 0)
        self._drawn = 0
        self._begun = time.monotonic()
        self._estimate: tuple[float, float] | None = None
        self._estimated = 0.0  # when; what is left is less by the time since then
        self._next_estimate = 0.0
        self._paused = False
        self._stopping = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._redraw_often, name="display", daemon=True)
        self._thread.start()

    def observe(self, event: Event) -> None:
        """Take one event."""
        with self._lock:
            self._count(event)
            if event.type not in ("rule_completed", "rule_started"):
                line = event_words(event)
                if line:
                    _say(self._out, self._erase() + line + "\n")

    def close(self) -> None:
        """Remove the block."""
        self._over.set()
        self._thread.join()
        with self._lock:
            _say(self._out, self._erase())

    def _count(self, event: Event) -> None:
        job, now = event.job or "", time.monotonic()
        if event.type == "rule_started":
            self._running[job] = now
            self._estimator.started(job, now)
        elif ends_a_job(event):
            self._running.pop(job, None)
            self._counts[end_of(event)] += 1
            seconds = event.data.get("duration_secs") if event.type == "rule_completed" else None
            self._estimator.ended(job, seconds)
        elif event.type == "jobs_planned":
            rows = event.data["jobs"]
            self._total += len(rows)
            self._estimator.planned(job for job, _, verdict in rows if verdict != "skip")
        elif event.type in ("run_paused", "run_resumed"):
            self._paused = event.type == "run_paused"
        elif event.type == "run_cancelling":
            self._stopping = True

    def _redraw_often(self) -> None:
        while not self._over.wait(_REDRAW_SECONDS):
            with self._lock:
                lines = self._lines(time.monotonic())
                _say(self._out, self._erase() + "".join(f"{line}\n" for line in lines))
                self._drawn = len(lines)

    def _erase(self) -> str:
        """Give what takes the block away: cursor up to its first line, clear from there."""
        drawn, self._drawn = self._drawn, 0
        return f"\x1b[{drawn}F\x1b[J" if drawn else ""

    def _lines(self, now: float) -> list[str]:
        width = shutil.get_terminal_size().columns
        ended = sum(self._counts.values())
        words = [f"{count} {name}" for name, count in self._counts.items() if count]
        state = "paused" if self._paused else f"{duration_words(now - self._begun)}"
        parts = [f"{ended}/{self._total} jobs", *words, state, *self._estimate_words(now)]
        head = ", ".join(parts)
        lines = [_bar(ended / max(1, self._total), width - len(head) - 4) + head]
        running = list(self._running.items())
        for job, since in running[:_RUNNING_SHOWN]:
            lasted = duration_words(now - since)
            name = _shortened(_printable(job), width - len(lasted) - 5)
            lines.append(f"  {name}  {lasted}")
        if len(running) > _RUNNING_SHOWN:
            lines.append(f"  and {len(running) - _RUNNING_SHOWN} more")
        return [_fitting(line, width - 1) for line in lines]

    def _estimate_words(self, now: float) -> list[str]:
        if self._stopping:
            return ["stopping"]
        if now >= self._next_estimate:
            began = time.monotonic()
            self._estimate = self._estimator.remaining(now)
            self._estimated = now
            cost = time.monotonic() - began
            self._next_estimate = now + max(_ESTIMATE_SECONDS, 50 * cost)
        if self._estimate is None:
            return []
        since = now - self._estimated
        low, high = (duration_words(max(0.0, secs - since)) for secs in self._estimate)
        return [f"about {low} left" if low == high else f"about {low} to {high} left"]


def _bar(share: float, room: int) -> str:
    """Draw how much is done; nothing where there is no room for it."""
    length = min(_BAR, room)
    if length < _SHORTEST_BAR:
        return ""
    filled = int(length * share)
    return f"[{'#' * filled}{'.' * (length - filled)}] "


def _shortened(name: str, room: int) -> str:
    """Leave out the middle of a long name: its end tells it from its like."""
    if _columns(name) <= room:
        return name
    tail = max(1, 2 * (room - 1) // 3)
    end = _fitting(name[::-1], tail)[::-1]
    return f"{_fitting(name, room - 1 - tail)}…{end}"


def _fitting(text: str, room: int) -> str:
    """Give as much of a text's beginning as so many columns hold."""
    used, at = 0, 0
    while at < len(text) and used + _columns(text[at]) <= room:
        used += _columns(text[at])
        at += 1
    return text[:at]


def _columns(text: str) -> int:
    """Count the columns that a text takes: two a wide letter, none a combining mark."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) > 0 for letter in text)


def _printable(name: str) -> str:
    """Replace what would move the cursor: lines must be as wide as they are counted."""
    if name.isprintable():
        return name
    return "".join(letter if letter.isprintable() else "?" for letter in name)


Display = PlainDisplay | LiveDisplay


def open_display(out: TextIO, estimator: Callable[[], Estimator]) -> Display:
    """Show a run in the way that suits what it is shown on."""
    if out.isatty() and os.environ.get("TERM") not in _WITHOUT_CURSOR:
        return LiveDisplay(out, estimator())
    return PlainDisplay(out)


def _say(out: TextIO, text: str) -> None:
    """Write at once; a reader that went away must not stop the run, nor its records."""
    with contextlib.suppress(OSError):
        out.write(text)
        out.flush()
