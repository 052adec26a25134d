"""Decide one job: run, skip, check or blocked, with the reasons as data.

Owns the decision table of the design (section 5) for a single job. Reads files and what is known
from earlier runs; whether jobs above it will run is told by the caller.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from functools import cached_property

from msgspec import Struct, field
from msgspec.structs import replace

from oxoflow.engine.checkpointfile import CHECKPOINT
from oxoflow.engine.contents import Contents
from oxoflow.engine.dag import Dag
from oxoflow.engine.files import MISSING, WorkFiles
from oxoflow.engine.fingerprint import Fingerprinter, Inputs, Streamed, differences
from oxoflow.engine.fleeting import Fleeting
from oxoflow.engine.laterules import LateRules
from oxoflow.engine.matching import OutputIndex, bare, tidy
from oxoflow.engine.owners import Owners
from oxoflow.engine.pipes import Pipes
from oxoflow.engine.records import Known
from oxoflow.engine.render import Renderer
from oxoflow.engine.spoiling import Spoiling
from oxoflow.engine.state import State
from oxoflow.lang.condition import asks_files, evaluate
from oxoflow.lang.model import Job, Workflow


class Verdict(StrEnum):
    """What becomes of a job; the values are the words on the wire."""

    RUN = "run"
    SKIP = "skip"
    CHECK = "check"  # decided again when the jobs above it are done
    BLOCKED = "blocked"  # an input is missing that no job makes


class Reason(Struct, frozen=True):
    """One fact behind a verdict: the part of the job it is about, and its old and new state.

    Parts are those of a key (`command`, `script`, `environment`, `when`, `output`, `config.NAME`,
    `params.NAME`, `envvars.NAME`, `input.PATH`), and `record`, `output.PATH`, `forced`,
    `upstream`, `pipe` (another job on the same pipe must run), `accepted`, `checkpoint` (only
    what that one finds says for which samples the job is), and `later` (a path that jobs make
    which an `output_pattern` has yet to call for).
    """

    part: str
    old: str | None = None
    new: str | None = None


class Decision(Struct, frozen=True):
    """What becomes of one job. `adopt` marks results found on the disk that are to be recorded.

    `inputs` are the input files as they were when this was decided; `Planner.fingerprint` turns
    them into the key to be recorded after success. `outputs` are files; what streams to another job
    is in `pipes`.
    """

    index: int
    job: Job
    verdict: Verdict
    reasons: tuple[Reason, ...] = ()
    outputs: tuple[str, ...] = ()
    adopt: bool = False
    inputs: Inputs = field(default_factory=dict)
    pipes: tuple[str, ...] = ()


class Decider:
    """Decide the jobs of one DAG against one directory and one state.

    Holds what is read once; after that any thread may ask. `forced` jobs run whatever is known,
    for the reason given; the caller may add to it between questions.
    """

    def __init__(
        self,
        workflow: Workflow,
        dag: Dag,
        state: State,
        files: WorkFiles,
        renderer: Renderer,
        forced: Mapping[int, Reason],
        pipes: Pipes,
    ) -> None:
        self.fleeting = Fleeting(dag, renderer, files.root)
        self._pipes = pipes
        self._config = workflow.config
        self._dag = dag
        self._state = state
        self._files = files
        self._renderer = renderer
        self._forced = forced
        self._conditions: dict[str, bool] = {}
        self._late = LateRules(workflow, dag, renderer.texts.path)
        self.known: Mapping[str, Known] = state.known()
        self._owners = Owners(dag, state.outputs(), self.known, self._holds, state.rule_of)
        contents = Contents(state.contents, files, dag, renderer)
        self._spoiling = Spoiling(self._owners, contents, files, renderer)
        removed = {job for job, known in self.known.items() if known.removed}
        self.has_removed = bool(removed)  # results that were deleted on purpose
        made = self._owners.recorded.items() if removed else ()
        self._removed = {bare(path): path for path, output in made if output.job in removed}
        about = (dag, pipes, self.known, self._removed)
        self.fingerprinter = Fingerprinter(workflow, renderer, files, *about)

    def decide(
        self,
        index: int,
        waiting: tuple[str, ...] = (),
        present: Callable[[str], bool] | None = None,
    ) -> Decision:
        """Decide one job; `waiting` names the jobs above it that will run first.

        `present` may answer from a snapshot. Reasons that need reading are given for `run` only.
        """
        job = self._dag.jobs[index]
        outputs = self.fingerprinter.outputs(index)
        idle = self._idle(job, waiting)
        if idle is not None:
            return Decision(index, job, idle[0], (idle[1],), outputs)
        known = self.known.get(job.name)
        inputs: Inputs = {}
        if not waiting:
            if job.input.paths:
                done = known is not None and known.status == "done"
                inputs = self._inputs(job, outputs, lazy=not done or index in self._forced)
                missing = self._missing(index, job, inputs)
                if missing:
                    return _short_of_inputs(index, job, outputs, inputs, missing)
            awaited = self._awaited(index, inputs) if self._late else None
            if awaited:
                reason = Reason("later", None, awaited)
                return Decision(index, job, Verdict.SKIP, (reason,), outputs, inputs=inputs)
        case = _Case(job, outputs, inputs, waiting, present or self._files.present)
        if index in self._forced:
            verdict, reasons = _run(self._forced[index])
        elif known is None:
            verdict, reasons = self._without_record(case)
        elif known.status != "done":
            verdict, reasons = _run(Reason("record", known.status))
        else:
            verdict, reasons = self._with_record(case, known)
        if verdict is Verdict.RUN:
            self._owners.will_run(index)
        adopt = known is None and verdict is Verdict.SKIP
        if not self._pipes.of_job:
            return Decision(index, job, verdict, reasons, outputs, adopt, inputs)
        pipes = self._pipes.written(index)
        return Decision(index, job, verdict, reasons, outputs, adopt, inputs, pipes)

    def unmade(self, index: int) -> list[str]:
        """Name the inputs of a job, while others run before it, that none of those will make."""
        job = self._dag.jobs[index]
        if job.rule.optional:
            return []
        inputs = self._inputs(job, self.fingerprinter.outputs(index), lazy=True)
        return self._missing(index, job, inputs)

    def read_ahead(self, indexes: Iterable[int]) -> None:
        """Hash the inputs of finished jobs that changed or are new, several at once."""
        paths: list[str] = []
        for index in indexes:
            job = self._dag.jobs[index]
            if job.input.paths:
                known = self.known.get(job.name)
                if known is not None and known.status == "done":
                    paths += self._renderer.input_files(job)
        self._files.read_ahead(paths)

    def gone(self, index: int) -> tuple[str, ...]:
        """Give the outputs of a job that were deleted on purpose, and are not there."""
        known = self.known.get(self._dag.jobs[index].name)
        if known is None or known.status != "done" or not known.removed:
            return ()
        return tuple([p for p in self.fleeting.outputs(index) if not self._files.present(p)])

    def lacks_removed(self, index: int, parent: int) -> bool:
        """Say whether a job that is to run needs what a job above it made and was deleted since."""
        return self.fleeting.is_needed(index, parent, self.gone(parent))

    def _idle(self, job: Job, waiting: tuple[str, ...]) -> tuple[Verdict, Reason] | None:
        """Decide what needs no look at files: a condition, or nothing to run."""
        when = job.rule.when
        if when and not self._holds(when):
            if waiting and asks_files(when):
                return Verdict.CHECK, Reason("upstream", None, ", ".join(waiting))
            return Verdict.SKIP, Reason("when", None, "false")
        empty = job.shell is not None and job.output.paths  # and so its outputs must be there
        if not (job.shell or job.script or empty):
            return Verdict.SKIP, Reason("command", None, None)
        return None

    def _inputs(self, job: Job, outputs: tuple[str, ...], *, lazy: bool) -> Inputs:
        """Give the inputs; a deleted temporary file counts with the content it had."""
        inputs = self.fingerprinter.inputs(job, outputs, lazy=lazy)
        self._remember_removed(inputs)
        return inputs

    def _missing(self, index: int, job: Job, inputs: Inputs) -> list[str]:
        """Name the inputs without which the job cannot start.

        What a job above it makes is no source: that job was skipped and counts as satisfied
        (spec/oxoflow-format.md 3.1), so the command is left to see which of its inputs are there.
        The checkpoint file is there as soon as a run begins.
        """
        missing = [path for path, digest in inputs.items() if digest == MISSING]
        missing = [path for path in missing if tidy(path) != CHECKPOINT]
        if not missing or _enough(job, inputs):
            return []
        if job.rule.optional:
            return missing
        above = frozenset(self._dag.parents[index])
        return [
            path
            for path in missing
            if above.isdisjoint(self._made.match(tidy(path))) and not self._late.may_make(path)
        ]

    @cached_property
    def _made(self) -> OutputIndex:
        """What the jobs make, and which of them."""
        return OutputIndex(
            (tidy(path), at)
            for at in range(len(self._dag.jobs))
            for path in self.fingerprinter.outputs(at)
        )

    def _awaited(self, index: int, inputs: Inputs) -> str | None:
        """Name an input that a job to come makes, or a job above that waits for one itself."""
        missing = [path for path, digest in inputs.items() if digest == MISSING]
        jobs = [self._dag.jobs[parent] for parent in self._dag.parents[index]]
        at_work = [job for job in jobs if not (job.rule.optional or self._idle(job, ()))]
        made = OutputIndex(
            (tidy(path), 0)
            for job in at_work
            for path in self.fingerprinter.outputs(self._dag.index[job.name])
        )
        return next((p for p in missing if self._late.may_make(p) or made.match(tidy(p))), None)

    def _remember_removed(self, inputs: Inputs) -> None:
        for path, digest in inputs.items():
            if isinstance(digest, Streamed):
                self._remember_removed(digest.inputs)
            elif digest == MISSING:
                removed = self._removed.get(bare(path))
                if removed is not None:
                    inputs[path] = self._files.last_digest(removed) or MISSING

    def _without_record(self, case: _Case) -> tuple[Verdict, tuple[Reason, ...]]:
        """Take results over that somebody else made, by their times, once (fact 47)."""
        outputs = case.outputs
        if self._pipes.of_job and self._dag.index[case.job.name] in self._pipes.of_job:
            return Verdict.RUN, (Reason("record"),)
        if not outputs or not all("{" not in path and case.present(path) for path in outputs):
            return Verdict.RUN, (Reason("record"),)
        for path in outputs:
            owner = self._owners.foreign(case.job, path) or self._owners.sharer(case.job, path)
            if owner:
                return Verdict.RUN, (Reason(f"output.{path}", f"made by {owner}"),)
        path, former = self._former(case)
        if former and self.known[former].static != self._static(case):
            return Verdict.RUN, (Reason(f"output.{path}", f"made by {former}"),)
        if case.waiting:
            return Verdict.CHECK, (Reason("upstream", None, ", ".join(case.waiting)),)
        if former and self._key(case) == self.known[former].key:
            return Verdict.SKIP, (Reason("record", former, "adopted"),)
        older = self._older(outputs, case.inputs)
        if older:
            return Verdict.RUN, (Reason(f"output.{older[0]}", f"not newer than {older[1]}"),)
        return Verdict.SKIP, (Reason("record", None, "adopted"),)

    def _former(self, case: _Case) -> tuple[str, str]:
        """Name an output that is there as a job of an earlier workflow left it, and that job."""
        for path in case.outputs:
            status = self._files.status(path)
            found = status and self._owners.former(case.job, path, status.st_size)
            if found:
                return path, found
        return "", ""

    def _static(self, case: _Case) -> str:
        return self.fingerprinter.static(case.job, case.outputs)

    def _key(self, case: _Case) -> str:
        digests = self.fingerprinter.settled(case.inputs)
        return self.fingerprinter.key(case.job, self._static(case), digests)

    def _with_record(self, case: _Case, known: Known) -> tuple[Verdict, tuple[Reason, ...]]:
        """Compare with the last verified result: outputs, then the key (design, section 5)."""
        outputs = case.outputs
        if known.removed:
            gone = self.gone(self._dag.index[case.job.name])
            outputs = tuple([path for path in outputs if path not in gone])
        spoiled = [*self._spoiling.find(case.job, outputs)]
        if spoiled:
            return Verdict.RUN, tuple([Reason(*each) for each in spoiled])
        static = self.fingerprinter.static(case.job, case.outputs)
        if case.waiting:
            if static != known.static:
                return Verdict.RUN, self._changes(case, {})
            return Verdict.CHECK, (Reason("upstream", None, ", ".join(case.waiting)),)
        digests = self.fingerprinter.settled(case.inputs)
        if self.fingerprinter.key(case.job, static, digests) == known.key:
            return Verdict.SKIP, ()
        if static == known.static and known.key:
            parts = self._state.detail(case.job.name).parts
            if self.fingerprinter.waits_for_less(case.job, static, digests, known.key, parts):
                return Verdict.SKIP, ()
        return Verdict.RUN, self._changes(case, digests)

    def _holds(self, when: str) -> bool:
        """Evaluate a condition; one that asks for no file is evaluated once."""
        held = self._conditions.get(when)
        if held is None:
            held = evaluate(when, self._config, self._files)
            if not asks_files(when):
                self._conditions[when] = held
        return held

    def _older(self, outputs: tuple[str, ...], inputs: Inputs) -> tuple[str, str] | None:
        """Give an output that is not strictly newer than an input, and that input (5.1)."""
        newest, newest_path = -1, ""
        for path, digest in inputs.items():
            status = self._files.status(path)
            if status is not None and digest != "ancient" and status.st_mtime_ns > newest:
                newest, newest_path = status.st_mtime_ns, path
        for path in outputs:
            status = self._files.status(path)
            if status is not None and stat.S_ISFIFO(status.st_mode):
                return path, "a named pipe"
            if status is not None and status.st_mtime_ns <= newest:
                return path, newest_path
        return None

    def _changes(self, case: _Case, inputs: Mapping[str, str]) -> tuple[Reason, ...]:
        """Compare with the parts of the last result; of inputs that are to come, the names."""
        before = self._state.detail(case.job.name).parts
        if case.waiting:
            inputs = self.fingerprinter.named_inputs(case.job, before)
        parts = self.fingerprinter.parts(case.job, case.outputs, inputs)
        return tuple(
            Reason(item.part, item.old, item.new)
            for item in differences(before, parts)
            if not (item.part.startswith("depends_on.") and (case.waiting or item.new is None))
        )


def together(decisions: Sequence[Decision]) -> tuple[Decision, ...]:
    """Give the decisions on the jobs of one group of pipes: all of them run, or none does."""
    found = {decision.verdict for decision in decisions}
    if found == {Verdict.SKIP}:
        return tuple(decisions)
    worst = next(v for v in (Verdict.BLOCKED, Verdict.RUN, Verdict.CHECK) if v in found)
    cause = next(decision.job.name for decision in decisions if decision.verdict is worst)
    reason = Reason("pipe", None, cause)
    return tuple(
        d if d.verdict is worst else replace(d, verdict=worst, reasons=(reason,)) for d in decisions
    )


class _Case(Struct):
    """One job under consideration, with what has been looked up about it."""

    job: Job
    outputs: tuple[str, ...]
    inputs: Inputs
    waiting: tuple[str, ...]
    present: Callable[[str], bool]


def _enough(job: Job, inputs: Inputs) -> bool:
    """Say whether one input is all that the job asks for, and is there (`optional = "any"`)."""
    return job.rule.optional == "any" and any(digest != MISSING for digest in inputs.values())


def _short_of_inputs(
    index: int, job: Job, outputs: tuple[str, ...], inputs: Inputs, missing: Sequence[str]
) -> Decision:
    """Skip an optional job, block any other (design, section 10: a missing source input)."""
    verdict = Verdict.SKIP if job.rule.optional else Verdict.BLOCKED
    reasons = tuple(Reason(f"input.{path}", None, MISSING) for path in missing)
    return Decision(index, job, verdict, reasons, outputs, inputs=inputs)


def _run(reason: Reason) -> tuple[Verdict, tuple[Reason, ...]]:
    return Verdict.RUN, (reason,)
