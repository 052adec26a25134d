"""Hold together what the jobs of a run work with, so that each need be handed one thing only.

Owns no behaviour of its own; every part is safe to share between worker threads.
"""

from __future__ import annotations

import threading

from msgspec import Struct

from oxoflow.engine.attempt import Commands, JobLogs
from oxoflow.engine.cages import Cages
from oxoflow.engine.journal import Journal
from oxoflow.engine.linked import Linked
from oxoflow.engine.logs import LogCopier
from oxoflow.engine.outputs import ParentDirectories
from oxoflow.engine.placing import Backend
from oxoflow.engine.plan import Planner
from oxoflow.engine.preparing import Preparer
from oxoflow.engine.provisioning import Provisioner
from oxoflow.engine.references import ReferenceLocks
from oxoflow.engine.reporting import Reporter
from oxoflow.engine.reuse import Reuse


class JobTools(Struct, frozen=True):
    """The parts of one run that its jobs use; `retry` are attempts more after a failure."""

    planner: Planner
    journal: Journal
    preparer: Preparer
    commands: Commands
    backend: Backend
    reporter: Reporter
    copier: LogCopier
    retry: int
    stopping: threading.Event
    root: str
    log_place: str
    parents: ParentDirectories
    provisioner: Provisioner | None  # None: environments are taken to be there
    references: ReferenceLocks
    linked: Linked
    reuse: Reuse | None
    cages: Cages | None = None

    def open_logs(self, job: str) -> JobLogs:
        """Start a job's log files anew."""
        return JobLogs(self.log_place, self.copier, job, self.preparer.mask)

    def learn(self) -> None:
        """Have the contents of files that were read remembered."""
        for known in self.planner.files.take_learned():
            self.reporter.recorder.change(known)
