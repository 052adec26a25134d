"""Report on a run from its records: how it went, what each job took, what failed, what it made.

Takes plain facts; reads no file and no database. What is not known is said so and not guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from oxoflow.record import dataclass, field
from oxoflow.report.model import KeyValue, Report, Section, Table, Text

UNKNOWN = "—"


@dataclass(frozen=True, slots=True)
class JobFacts:
    """One job; times in seconds, memory in MB, None where it was not measured."""

    job: str
    rule: str
    status: str
    seconds: float | None
    cpu_seconds: float | None
    peak_mb: float | None
    exit_code: int | None
    attempt: int | None
    words: str | None  # why it was skipped or blocked, or what went wrong
    stderr_tail: str | None = None


@dataclass(frozen=True, slots=True)
class RunFacts:
    """One run. `files` are (path, size in bytes, rule)."""

    run_id: str
    workflow_name: str
    status: str
    started_at: str | None
    finished_at: str | None
    exit_code: int | None
    error: str | None
    threads: int | None
    jobs: Sequence[JobFacts] = ()
    jobs_total: int = 0
    files: Sequence[tuple[str, int, str | None]] = ()
    files_truncated: bool = False
    counts: Mapping[str, int] = field(default_factory=dict)


def report_run(facts: RunFacts, generated_at: str) -> Report:
    """The report of a run (spec/oxo-flow-api.md 1.7, 5.12)."""
    sections = [_overview(facts), _jobs(facts)]
    failures = _failures(facts)
    if failures is not None:
        sections.append(failures)
    sections.append(_files(facts))
    return Report(
        title=f"{facts.workflow_name} — Run Report",
        generated_at=generated_at,
        workflow_name=facts.workflow_name,
        workflow_version="",
        sections=tuple(sections),
        metadata={"run_id": facts.run_id, "status": facts.status},
    )


def _overview(facts: RunFacts) -> Section:
    counts = ", ".join(f"{number} {status}" for status, number in sorted(facts.counts.items()))
    pairs = (
        ("Run", facts.run_id),
        ("Workflow", facts.workflow_name),
        ("Status", facts.status),
        ("Started", facts.started_at or UNKNOWN),
        ("Finished", facts.finished_at or UNKNOWN),
        ("Exit code", _shown(facts.exit_code)),
        ("Error", facts.error or UNKNOWN),
        ("Threads", _shown(facts.threads)),
        ("Jobs", counts or "none"),
    )
    return Section("Run Overview", "overview", KeyValue(pairs))


def _jobs(facts: RunFacts) -> Section:
    headers = ("Job", "Rule", "Status", "Seconds", "CPU s", "Peak MB", "Exit", "Attempt", "Note")
    rows = tuple(
        (
            job.job,
            job.rule,
            job.status,
            _shown(job.seconds),
            _shown(job.cpu_seconds),
            _shown(job.peak_mb),
            _shown(job.exit_code),
            _shown(job.attempt),
            job.words or "",
        )
        for job in facts.jobs
    )
    left = facts.jobs_total - len(rows)
    more = (_note("more-jobs", f"{left} further jobs are not shown"),) if left > 0 else ()
    return Section("Jobs", "jobs", Table(headers, rows), more)


def _failures(facts: RunFacts) -> Section | None:
    failed = [job for job in facts.jobs if job.status == "failed"]
    if not failed:
        return None
    parts = tuple(
        Section(job.job, f"failure-{number}", Text(_failure(job)))
        for number, job in enumerate(failed, 1)
    )
    return Section("Failures", "failures", Text(f"{len(failed)} jobs failed."), parts)


def _failure(job: JobFacts) -> str:
    return "\n".join(text for text in (job.words, job.stderr_tail) if text) or "no reason is known"


def _files(facts: RunFacts) -> Section:
    rows = tuple((path, str(size), rule or UNKNOWN) for path, size, rule in facts.files)
    more = (_note("more-files", "further files are not shown"),) if facts.files_truncated else ()
    return Section("Files", "files", Table(("Path", "Bytes", "Rule"), rows), more)


def _note(id_: str, text: str) -> Section:
    return Section("Not shown", id_, Text(text))


def _shown(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:g}"
