"""Put decisions about jobs into words: why one is skipped, and which input is missing.

Owns these sentences (spec/oxoflow-format.md 5.1, 5.2; design 10). Decides nothing.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence

from oxoflow.engine.dag import Dag
from oxoflow.engine.deciding import Decision, Reason
from oxoflow.engine.files import MISSING
from oxoflow.engine.matching import OutputIndex, tidy
from oxoflow.lang.model import Job
from oxoflow.lang.nearest import ALIKE_PATHS, likely_file, most_alike

Beside = Callable[[str], Iterable[str]]


def nowhere(path: str) -> tuple[str, ...]:
    return ()


def skip_reason(decision: Decision) -> str:
    """Why a job is skipped."""
    first = decision.reasons[0] if decision.reasons else None
    if decision.adopt:
        return "outputs up-to-date"
    if first is None:
        return "already completed"
    if first.part == "when":
        return "condition evaluated to false"
    if first.part.startswith("input."):
        return f"optional inputs missing: {', '.join(_missing(decision))}"
    if first.part == "command":
        return "nothing to run"
    if first.part in ("checkpoint", "later"):
        return awaited_words(first)
    return "already completed"


def awaited_words(reason: Reason) -> str:
    """Say of a job what it waits for: samples to be found, or jobs that files call for."""
    if reason.part == "later":
        return f"it waits for jobs that files have yet to call for, which make '{reason.new}'"
    return f"it waits for the samples or pairs that checkpoint '{reason.new}' finds"


def missing_message(
    decision: Decision, dag: Dag, beside: Beside = nowhere, *, guess: bool = True
) -> str:
    """Name the inputs that nothing makes and that are not there, with what is most like the first.

    `beside` gives the files in the directory of a path. To guess takes time for each job that
    there is; without it the message says what to do only.
    """
    rule = decision.job.rule.name
    missing = _missing(decision)
    if not missing:
        return f"rule '{rule}': {', '.join(_say(reason) for reason in decision.reasons)}"
    shown = ", ".join(f"'{path}'" for path in missing[:3])
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    noun, verb = ("inputs", "are") if len(missing) > 1 else ("input", "is")
    idle = _maker(missing[0], dag.jobless)
    maker = idle or _maker(missing[0], dag.choosy)
    if maker is not None:
        why = "makes no job here: there is nothing to spread it over, or its condition is false"
        if idle is None:
            why = "has no job for it: its condition is false there"
        return (
            f"rule '{rule}': {noun} {shown}{more} {verb} not on disk, and rule '{maker}', which "
            f"would make it, {why}"
        )
    return (
        f"rule '{rule}': {noun} {shown}{more} {verb} made by no rule and {verb} not on disk"
        f"{_guessed(missing, rule, dag, beside) if guess else _plain_cure(missing)}"
    )


def _guessed(missing: Sequence[str], rule: str, dag: Dag, beside: Beside) -> str:
    return _likely_file(missing[0], dag, beside) or _nearest(missing, rule, dag)


def _plain_cure(missing: Sequence[str]) -> str:
    if len(missing) > 1:
        return "; put the files there or add rules that make them"
    return "; put the file there or add a rule that makes it"


def _maker(path: str, rules: Mapping[str, tuple[str, ...]]) -> str | None:
    """Name the rule that would make a file if it had a job for it."""
    names = list(rules)
    outputs = [(tidy(out), at) for at, name in enumerate(names) for out in rules[name]]
    found = OutputIndex(outputs).match(tidy(path)) if outputs else []
    return names[found[0]] if found else None


def absent_words(decision: Decision) -> str:
    """Say of a job that failed which input was not there: its maker was skipped, or it went."""
    absent = [path for path, digest in decision.inputs.items() if digest == MISSING]
    if not absent or decision.job.rule.optional:
        return ""
    why = "the job that makes it was skipped, or it was deleted since"
    return f" (input '{absent[0]}' was not there: {why})"


def _missing(decision: Decision) -> list[str]:
    return [
        reason.part.removeprefix("input.")
        for reason in decision.reasons
        if reason.part.startswith("input.") and reason.new == MISSING
    ]


def _say(reason: Reason) -> str:
    if reason.part == "pipe":
        return f"a pipe joins it to {reason.new}, which cannot run"
    return f"{reason.part} is {reason.new}" if reason.new else reason.part


def _likely_file(path: str, dag: Dag, beside: Beside) -> str:
    """Name a file on disk that the author may have meant: in its directory, and read by no job."""
    near = likely_file(path, list(beside(path)))
    if near is None or any(_reads(job, near, dag) for job in dag.jobs[:20_000]):
        return ""
    made = any(dag.texts.path(out) == near for job in dag.jobs for out in job.output.paths)
    return "" if made else f"; did you mean '{near}', which is there?"


def _nearest(missing: Sequence[str], reader: str, dag: Dag) -> str:
    """Name the output of another rule that the author may have meant with the first."""
    path = missing[0]
    makers = {
        dag.texts.path(output): job.rule
        for job in dag.jobs[:20_000]
        if job.rule.name != reader and not _reads(job, path, dag)
        for output in job.output.paths
    }
    name = posixpath.basename(path)
    namesake = next((output for output in makers if posixpath.basename(output) == name), None)
    near = namesake or most_alike(path, makers, len(makers), least=ALIKE_PATHS)
    if near is None:
        return _plain_cure(missing)
    maker = makers[near]
    if _maker(path, {maker.name: tuple(map(dag.texts.path, maker.output.paths))}):
        return (
            f"; rule '{maker.name}' makes '{near}', but has no job for this one: is what it is "
            "for among the samples, pairs or values?"
        )
    return f"; nearest output: '{near}' (rule '{maker.name}')"


def _reads(job: Job, path: str, dag: Dag) -> bool:
    return any(dag.texts.path(read) == path for read in job.input.paths)
