"""Hand a message to the runner of an execution: into its control directory, then a signal to look.

Signals only the process that the database has on record. What lies in the run directory belongs to
the execution's own code: no link is followed, and trouble there is told to nobody else.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Mapping
from typing import Any

from oxoflow.db.runs import Phase, Run
from oxoflow.engine.disk import trouble
from oxoflow.engine.rundir import write_control
from oxoflow.errors import DiskTrouble
from oxoflow.supervisor import signals
from oxoflow.workspace import RECORDS, Workspace, directory_below

log = logging.getLogger("oxoflow.executions")


def deliver(workspace: Workspace, run: Run, body: Mapping[str, Any]) -> None:
    """Leave a message; one for a runner that has not begun is found when it does."""
    directory = workspace.run_directory(run.username, run.id)
    try:
        with directory_below(directory, f"{RECORDS}/control") as control:
            write_control(control, {**body, "run_id": run.id})
    except (OSError, DiskTrouble) as error:
        cause = trouble(directory, error) if isinstance(error, OSError) else error
        log.warning("execution %s: no message could be left: %s", run.id, cause.message)
        return
    if run.identity is not None and run.phase in (Phase.RUNNING, Phase.PAUSED):
        signals.send(run.identity, signal.SIGUSR1)
