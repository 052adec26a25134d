"""Report on a run from its records: how it went, what each job took, what failed, what it made.

Takes plain facts; reads no file and no database. What is not known is said so and not guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct, field

from oxoflow.report.model import KeyValue, Report, Section, Table, Text
from oxoflow.report.records import UNKNOWN, RecordFacts, not_shown, record_sections


class JobFacts(Struct, frozen=True):
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
    started_at: str | None = None
    stderr_tail: str | None = None


class RunFacts(Struct, frozen=True):
    """One run. `files` are (path, size in bytes, rule); `counts` are all jobs by status."""

    run_id: str
    workflow_name: str
    status: str
    started_at: str | None
    finished_at: str | None
    exit_code: int | None
    error: str | None
    threads: int | None
    seconds: float | None = None
    retry_of: str | None = None
    tags: Sequence[str] = ()
    jobs: Sequence[JobFacts] = ()
    failed: Sequence[JobFacts] = ()  # with the ends of their logs
    records: RecordFacts = RecordFacts()
    files: Sequence[tuple[str, int, str | None]] = ()
    files_truncated: bool = False
    counts: Mapping[str, int] = field(default_factory=dict)


def report_run(facts: RunFacts, generated_at: str) -> Report:
    """The report of a run (spec/oxo-flow-api.md 1.7, 5.12)."""
    sections = [_overview(facts), _jobs(facts)]
    failures = _failures(facts)
    if failures is not None:
        sections.append(failures)
    sections += [*record_sections(facts.records), _files(facts)]
    return Report(
        title=f"{facts.workflow_name} — Run Report",
        generated_at=generated_at,
        workflow_name=facts.workflow_name,
        workflow_version=facts.records.version,
        sections=tuple(sections),
        metadata={"run_id": facts.run_id, "status": facts.status},
    )


def _overview(facts: RunFacts) -> Section:
    counts = ", ".join(f"{number} {status}" for status, number in sorted(facts.counts.items()))
    pairs = (
        ("Run", facts.run_id),
        ("Workflow", facts.workflow_name),
        ("Version", facts.records.version or UNKNOWN),
        ("Status", facts.status),
        ("Started", facts.started_at or UNKNOWN),
        ("Finished", facts.finished_at or UNKNOWN),
        ("Seconds", _shown(facts.seconds)),
        ("Exit code", _shown(facts.exit_code)),
        ("Error", facts.error or UNKNOWN),
        ("Threads", _shown(facts.threads)),
        ("Jobs", counts or "none"),
        ("Retry of", facts.retry_of or UNKNOWN),
        ("Tags", ", ".join(facts.tags) or UNKNOWN),
    )
    return Section("Run Overview", "overview", KeyValue(pairs))


def _jobs(facts: RunFacts) -> Section:
    headers = (
        "Job", "Rule", "Status", "Seconds", "CPU s", "Peak MB", "Exit", "Attempt", "Note",
        "Started",
    )  # fmt: skip
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
            job.started_at or UNKNOWN,
        )
        for job in facts.jobs
    )
    left = sum(facts.counts.values()) - len(rows)
    below = not_shown("more-jobs", f"{left} further jobs are not shown") if left > 0 else ()
    return Section("Jobs", "jobs", Table(headers, rows), below)


def _failures(facts: RunFacts) -> Section | None:
    if not facts.failed:
        return None
    total = max(facts.counts.get("failed", 0), len(facts.failed))
    words = f"{total} job{' has' if total == 1 else 's have'} failed."
    if total > len(facts.failed):
        words += f" The first {len(facts.failed)} are shown."
    parts = tuple(
        Section(job.job, f"failure-{number}", Text(_failure(job)))
        for number, job in enumerate(facts.failed, 1)
    )
    return Section("Failures", "failures", Text(words), parts)


def _failure(job: JobFacts) -> str:
    return "\n".join(text for text in (job.words, job.stderr_tail) if text) or "no reason is known"


def _files(facts: RunFacts) -> Section:
    """What lies in the directory beside the outputs told before."""
    told = {output.path for output in facts.records.outputs}
    rows = tuple(
        (path, str(size), rule or UNKNOWN) for path, size, rule in facts.files if path not in told
    )
    below = not_shown("more-files", "further files are not shown") if facts.files_truncated else ()
    return Section("Other Files", "files", Table(("Path", "Bytes", "Rule"), rows), below)


def _shown(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:g}"
