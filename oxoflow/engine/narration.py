"""Tell a run in lines for a person: for the screen, and for `execution.log`.

Owns how events and outcomes are worded. Writes nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from oxoflow.engine.events import Event
from oxoflow.engine.failures import STOPPED
from oxoflow.engine.options import Outcome

ENDS: Mapping[str, str] = {
    "rule_completed": "done",
    "rule_skipped": "skipped",
    "rule_failed": "failed",
    "rule_blocked": "blocked",
}
_INTERRUPTED = 130  # the exit code of a run that its user interrupts
_QUIET = frozenset({"already completed", "outputs up-to-date"})


class Narrator:
    """Words the events of one run, in the order in which they come."""

    def __init__(self) -> None:
        self._total = 0
        self._ended = 0

    def line(self, event: Event) -> str | None:
        """Give the line for an event that a person should know, with how far the run is."""
        if event.type == "jobs_planned":
            self._total += len(event.data["jobs"])
        if ends_a_job(event):
            self._ended += 1
        worded = event_words(event)
        if not worded:
            return None
        return f"[{self._ended}/{self._total}] {worded}" if self._total else worded


def ends_a_job(event: Event) -> bool:
    """Whether a job will do nothing more after this event."""
    return event.type in ENDS and not event.data.get("will_retry")


def end_of(event: Event) -> str:
    """How a job ended, by the event that `ends_a_job`, in one word."""
    return "stopped" if event.data.get("error") == STOPPED else ENDS[event.type]


def event_words(event: Event) -> str | None:
    """Word one event; None for those that would only be noise."""
    worded = _LINES.get(event.type)
    return worded(event.job or "", event.data) if worded else None


def outcome_words(outcome: Outcome) -> str:
    """Word the end of a run: its state, how many jobs ended how, and how long it took."""
    counts = outcome.counts
    words = [
        f"{counts.succeeded} {'job' if counts.succeeded == 1 else 'jobs'} done",
        f"{counts.skipped} skipped" if counts.skipped else "",
        f"{counts.failed} failed" if counts.failed else "",
        f"{counts.non_required_failed} failed, not required" if counts.non_required_failed else "",
        f"{counts.blocked} blocked" if counts.blocked else "",
        f"{counts.interrupted} stopped" if counts.interrupted else "",
    ]
    took = duration_words(outcome.duration_secs)
    return f"{outcome.state.value}, {', '.join(filter(None, words))} in {took}"


def duration_words(seconds: float) -> str:
    """Word a duration: `0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _completed(job: str, data: Mapping[str, Any]) -> str:
    return f"done     {job}  {duration_words(data.get('duration_secs') or 0.0)}"


def _failed(job: str, data: Mapping[str, Any]) -> str:
    if data.get("error") == STOPPED:
        return f"stopped  {job}"
    word = "retrying" if data.get("will_retry") else "FAILED  "
    return f"{word} {job}  {data.get('error') or 'failed'}"


def _skipped(job: str, data: Mapping[str, Any]) -> str | None:
    reason = str(data.get("reason") or "")
    return None if reason in _QUIET else f"skipped  {job}  {reason}"


def _cancelling(job: str, data: Mapping[str, Any]) -> str:
    sooner = "; Ctrl-C again kills it at once" if data.get("exit_code") == _INTERRUPTED else ""
    return f"stopping: nothing new starts, what runs has 5 s to end{sooner}"


_LINES: Mapping[str, Callable[[str, Mapping[str, Any]], str | None]] = {
    "rule_completed": _completed,
    "rule_failed": _failed,
    "rule_skipped": _skipped,
    "rule_blocked": lambda job, data: f"blocked  {job}  {data.get('reason') or ''}",
    "warning": lambda job, data: f"warning  {data.get('message') or ''}",
    "run_paused": lambda job, data: "paused",
    "run_cancelling": _cancelling,
    "run_resumed": lambda job, data: "resumed",
}
