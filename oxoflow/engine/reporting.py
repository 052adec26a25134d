"""Turn what happens to jobs into records and events, in the recorder's words.

Owns the shape of a job's events (design 6) and of its records. Decides nothing.
"""

from __future__ import annotations

import time

from msgspec import Struct

from oxoflow.engine.fingerprint import Fingerprint
from oxoflow.engine.process import Exit
from oxoflow.engine.recorder import Recorder
from oxoflow.engine.records import Done, Failed, OutputRecord, Started
from oxoflow.engine.reuse import Taken
from oxoflow.lang.model import Job


class Usage(Struct):
    """What a job has used over its attempts; the last command's figures are in `last`."""

    started_at: float | None = None
    attempt: int = 0
    cpu_secs: float = 0.0
    peak_mb: float = 0.0
    read_bytes: int = 0
    written_bytes: int = 0
    last: Exit | None = None

    def add(self, ended: Exit) -> None:
        """Count a command of the job."""
        self.last = ended
        self.cpu_secs += ended.cpu_secs
        self.peak_mb = max(self.peak_mb, ended.peak_mb)
        self.read_bytes += ended.read_bytes or 0
        self.written_bytes += ended.written_bytes or 0


class Failure(Struct, frozen=True):
    """Why a job, or one attempt of it, did not succeed; exit code -1 is not the command's own."""

    code: int
    error: str
    may_retry: bool = False
    out_of_memory: bool = False


class Notes(Struct, frozen=True):
    """What a record holds besides: the environment used, and the run a result was taken from.

    Both are JSON texts.
    """

    environment: str | None = None
    origin: str | None = None


NO_NOTES = Notes()


class Reporter(Struct, frozen=True):
    """Says what happens to jobs of the run `run_id`; any thread may."""

    recorder: Recorder
    run_id: str | None = None

    def skipped(self, job: Job, reason: str, **more: str) -> None:
        """The job need not run."""
        self.recorder.event("rule_skipped", job.name, job.rule.name, reason=reason, **more)

    def blocked(self, job: Job, reason: str) -> None:
        """The job cannot run, since one above it failed."""
        self.recorder.event("rule_blocked", job.name, job.rule.name, reason=reason)

    def adopted(self, job: Job, key: Fingerprint, outputs: tuple[OutputRecord, ...]) -> None:
        """Results that were found are from now on known as this job's."""
        self.recorder.change(
            Done(
                job.name,
                job.rule.name,
                key.key,
                key.static,
                key.parts,
                outputs,
                finished_at=time.time(),
            )
        )

    def begun(self, job: Job, usage: Usage) -> None:
        """The first command of the job is about to start."""
        usage.started_at = time.time()
        self.recorder.change(Started(job.name, job.rule.name, usage.started_at))

    def attempt(self, job: Job, usage: Usage) -> None:
        """Another attempt is about to start."""
        self.recorder.event("rule_started", job.name, job.rule.name, attempt=usage.attempt)

    def done(
        self,
        job: Job,
        usage: Usage,
        key: Fingerprint,
        outputs: tuple[OutputRecord, ...],
        command: str,
        notes: Notes = NO_NOTES,
    ) -> None:
        """The job's outputs were verified."""
        self.recorder.change(
            Done(
                job.name,
                job.rule.name,
                key.key,
                key.static,
                key.parts,
                outputs,
                usage.started_at,
                time.time(),
                0,
                usage.attempt,
                command,
                *_totals(usage),
                self.run_id,
                notes.environment,
                notes.origin,
            )
        )
        self.recorder.event("rule_completed", job.name, job.rule.name, **_figures(usage, 0))

    def reused(self, job: Job, usage: Usage, taken: Taken, command: str) -> None:
        """The job's outputs were taken from another run, which made them by the same command."""
        key = taken.key
        self.recorder.change(
            Done(
                job.name,
                job.rule.name,
                key.key,
                key.static,
                key.parts,
                taken.outputs,
                usage.started_at,
                time.time(),
                command=command,
                run=self.run_id,
                environment=taken.environment,
                origin=taken.origin,
            )
        )
        self.skipped(job, taken.words, reused_from=taken.run)

    def failed(
        self,
        job: Job,
        usage: Usage,
        failure: Failure,
        command: str | None,
        tail: str,
        notes: Notes = NO_NOTES,
    ) -> None:
        """The job ended without a result."""
        now = time.time()
        self.recorder.change(
            Failed(
                job.name,
                job.rule.name,
                usage.started_at or now,
                now,
                failure.code,
                usage.attempt,
                command,
                failure.error,
                tail,
                *_totals(usage),
                notes.environment,
            )
        )
        self.attempt_failed(job, usage, failure, tail, will_retry=False)

    def attempt_failed(
        self, job: Job, usage: Usage, failure: Failure, tail: str, *, will_retry: bool
    ) -> None:
        """One attempt failed, perhaps the last."""
        self.recorder.event(
            "rule_failed",
            job.name,
            job.rule.name,
            **_figures(usage, failure.code),
            error=failure.error,
            stderr_tail=tail,
            will_retry=will_retry,
        )


def _totals(usage: Usage) -> tuple[float | None, float, float, int, int]:
    last = usage.last
    return (
        round(last.wall_secs, 3) if last else None,
        round(usage.cpu_secs, 4),
        round(usage.peak_mb, 1),
        usage.read_bytes,
        usage.written_bytes,
    )


def _figures(usage: Usage, code: int) -> dict[str, object]:
    """The figures of the last command, for an event."""
    last = usage.last
    return {
        "exit_code": code,
        "duration_secs": round(last.wall_secs, 3) if last else 0.0,
        "cpu_secs": round(last.cpu_secs, 4) if last else 0.0,
        "peak_mb": round(last.peak_mb, 1) if last else 0.0,
        "read_bytes": last.read_bytes if last else None,
        "written_bytes": last.written_bytes if last else None,
        "attempt": usage.attempt,
    }
