"""Report what a run's records hold: commands, environments, where results are from, outputs.

Takes plain facts, and says what they do not tell (spec/oxo-flow-api.md 5.12).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct, field

from oxoflow.report.model import Section, Table, Text

UNKNOWN = "—"


class Origin(Struct, frozen=True):
    """The run a result was taken from; `how` is empty when it lay in the directory already."""

    run: str
    made_at: str = ""
    how: str = ""


class JobRecord(Struct, frozen=True):
    """How a job's last result came to be; `environment` counts in `RecordFacts.environments`."""

    command: str | None
    environment: int | None
    origin: Origin | None


class EnvironmentFacts(Struct, frozen=True):
    """An environment that was used, with the versions in it; `more` were left out."""

    title: str
    versions: Sequence[str]
    more: int = 0


class OutputFacts(Struct, frozen=True):
    """A verified output: its size in bytes (None for a directory), and what became of it."""

    path: str
    size: int | None
    sha256: str | None
    job: str
    now: str


class RecordFacts(Struct, frozen=True):
    """What is known from a run's directory; `trouble` says why nothing is."""

    version: str = ""
    jobs: Mapping[str, JobRecord] = field(default_factory=dict)
    jobs_left: int = 0  # not looked at: too many, or their commands too long
    environments: Sequence[EnvironmentFacts] = ()
    outputs: Sequence[OutputFacts] = ()
    outputs_total: int = 0
    trouble: str | None = None


def record_sections(facts: RecordFacts) -> Iterator[Section]:
    """The sections that come from the records; empty ones only where that says something."""
    if facts.trouble is not None:
        yield Section("Records", "records", Text(f"Not known: {facts.trouble}."))
        return
    yield _commands(facts)
    yield _environments(facts)
    reused = _reused(facts)
    if reused is not None:
        yield reused
    yield _outputs(facts)


def not_shown(id_: str, text: str) -> tuple[Section, ...]:
    """What stands below a table that was cut."""
    return (Section("Not shown", id_, Text(text)),)


def _commands(facts: RecordFacts) -> Section:
    rows = [(job, known.command) for job, known in facts.jobs.items()]
    shown = tuple((job, command) for job, command in rows if command is not None)
    hint = "A command is recorded when its job ends; sensitive values are shown as ***."
    below = [Section("About Commands", "about-commands", Text(hint))]
    if facts.jobs_left:
        below += not_shown("more-commands", f"the commands of {facts.jobs_left} further jobs")
    return Section("Commands", "commands", Table(("Job", "Command"), shown), tuple(below))


def _environments(facts: RecordFacts) -> Section:
    used = Counter(known.environment for known in facts.jobs.values())
    rows = []
    for number, environment in enumerate(facts.environments):
        versions = "\n".join(environment.versions) or UNKNOWN
        if environment.more:
            versions += f"\n… and {environment.more} further"
        rows.append((environment.title, str(used[number]), versions))
    if used[None]:
        rows.append(
            ("no record: the host's programs, or a job that failed", str(used[None]), UNKNOWN)
        )
    table = Table(("Environment", "Jobs", "Versions"), tuple(rows))
    return Section("Environments", "environments", table)


def _reused(facts: RecordFacts) -> Section | None:
    rows = tuple(
        (job, known.origin.run, known.origin.made_at or UNKNOWN, known.origin.how or "kept")
        for job, known in facts.jobs.items()
        if known.origin is not None
    )
    headers = ("Job", "Made by run", "Made at", "How it came here")
    return Section("Reused Results", "reused", Table(headers, rows)) if rows else None


def _outputs(facts: RecordFacts) -> Section:
    rows = tuple(
        (
            output.path,
            UNKNOWN if output.size is None else str(output.size),
            output.sha256 or _no_digest(output),
            output.job,
            output.now,
        )
        for output in facts.outputs
    )
    left = facts.outputs_total - len(rows)
    below = not_shown("more-outputs", f"{left} further outputs are not shown") if left > 0 else ()
    headers = ("Path", "Bytes", "SHA-256", "Job", "Now")
    return Section("Outputs", "outputs", Table(headers, rows), below)


def _no_digest(output: OutputFacts) -> str:
    there = output.now == "unchanged"
    return "not computed: too much to read" if there else UNKNOWN
