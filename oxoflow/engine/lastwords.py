"""Say how a run ended: its last event, and, when nothing else of it is open any more, its log.

Owns the last event's type and data (spec/oxo-flow-api.md 2.2). Decides nothing about the end.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import asdict

from oxoflow.engine.events import EventWriter
from oxoflow.engine.logs import LogCopier
from oxoflow.engine.options import Outcome
from oxoflow.engine.rundir import RunDirectory, RunState


def last_event(outcome: Outcome) -> tuple[str, dict[str, Any]]:
    """Give the type and the data of the event with which a run ends."""
    status: dict[str, Any] = {"status": outcome.state.value}
    if outcome.state is RunState.SUCCESS:
        return "run_completed", status | {"duration_secs": outcome.duration_secs}
    if outcome.state is RunState.CANCELLED:
        ended = [asdict(process) for process in outcome.receipt.ended]
        return "run_cancelled", status | {"ended": ended, "left": outcome.receipt.left}
    return "run_failed", status | {"exit_code": outcome.exit_code, "error": outcome.error}


def tell_end(directory: RunDirectory, outcome: Outcome, words: str) -> None:
    """Write the end of a run that came before its first job, or broke it off."""
    events = EventWriter(directory.events)
    type, data = last_event(outcome)
    events.emit(type, **data)
    events.close()
    log = LogCopier(directory.execution_log)
    log.say(words)
    log.close()
