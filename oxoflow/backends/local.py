"""Run jobs on this machine, as processes of the runner."""

from __future__ import annotations

from oxoflow.engine.attempt import Commands, JobLogs
from oxoflow.engine.placing import Attempt
from oxoflow.engine.process import Exit


class LocalBackend:
    """The place that is always there. The run's own pools hold it to the machine's size."""

    def run(self, attempt: Attempt, here: Commands, logs: JobLogs) -> Exit:
        """Start the attempt here and wait for it."""
        return here.run(
            attempt.argv,
            job=attempt.job,
            token=attempt.token,
            logs=logs,
            cwd=attempt.cwd,
            variables=attempt.variables,
            timeout=attempt.timeout,
        )
