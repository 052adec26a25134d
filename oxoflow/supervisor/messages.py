"""Tell a live runner something: a message in its control directory, then a signal to look.

Signals only the process that the database has on record for the run. Decides no state.
"""

from __future__ import annotations

import logging
import signal
from pathlib import Path

from oxoflow.db.runs import Phase, Run
from oxoflow.engine.rundir import write_control
from oxoflow.supervisor import signals
from oxoflow.workspace import RECORDS, directory_below

log = logging.getLogger("oxoflow.supervisor")


def tell(run: Run, directory: Path, type_: str, **more: int) -> None:
    """Leave a message, which the runner finds by itself, and make it look at once.

    The signal would end a runner that is not yet listening, so it is sent to a running one only.
    """
    _leave(run, directory, type_, **more)
    if run.identity is not None and run.phase in (Phase.RUNNING, Phase.PAUSED):
        signals.send(run.identity, signal.SIGUSR1)


def tell_to_end(run: Run, directory: Path) -> None:
    """Leave the message to cancel and send one SIGTERM; CONT, as a stopped one would not notice."""
    _leave(run, directory, "cancel")
    sent = run.identity is not None and signals.send(run.identity, signal.SIGTERM, signal.SIGCONT)
    if not sent:
        log.info("run %s: its recorded runner is gone; nobody was signalled", run.id)


def _leave(run: Run, directory: Path, type_: str, **more: int) -> None:
    try:
        with directory_below(directory, f"{RECORDS}/control") as control:
            write_control(control, {"type": type_, "run_id": run.id, **more})
    except Exception as error:  # the directory belongs to the rules: anything may be there
        log.warning("run %s: no message could be left: %s", run.id, error)
