"""Decide what becomes of a job whose turn has come: skip it, refuse it, reuse a result, or run it.

Owns the steps of spec/oxoflow-format.md 5.2 before a job's first command, and the jobs that wait to
go on with more memory. Which job's turn it is, is the scheduler's business.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from oxoflow.engine.deciding import Decision, Verdict
from oxoflow.engine.failures import BEFORE_SPAWN
from oxoflow.engine.joblife import JobEnd, JobLife
from oxoflow.engine.jobtools import JobTools
from oxoflow.engine.outputs import shapes_before, verify
from oxoflow.engine.pipelife import PipeLife, dragged_words
from oxoflow.engine.preparing import Prepared
from oxoflow.engine.products import learn
from oxoflow.engine.references import is_reference
from oxoflow.engine.reporting import Failure, Usage
from oxoflow.engine.scheduler import Status
from oxoflow.engine.tasks import Item
from oxoflow.engine.wording import missing_message, skip_reason
from oxoflow.errors import DiskTrouble, OxoflowError, RunError
from oxoflow.lang.model import Job

_GUESSES = 20  # messages about missing inputs that name what may be meant; each takes a while


class JobRunner(Struct):
    """Runs jobs, each call in some worker thread."""

    tools: JobTools
    _grown: dict[int, JobLife] = field(default_factory=dict)
    _missed: int = 0  # jobs whose inputs are not there; about, for any thread adds to it

    def run(
        self, index: int, decision: Decision | None, memory_mb: int | None, problem: str | None
    ) -> JobEnd:
        """Run one job to its end. `problem` says why it cannot run, if it must."""
        job = self.tools.planner.dag.jobs[index]
        if not is_reference(job.rule):
            return self._run(index, decision, memory_mb, problem)
        try:
            with self.tools.references.held(job, self.tools.planner.renderer.outputs(job)):
                return self._run(index, None, memory_mb, problem)
        except DiskTrouble:
            raise
        except RunError as error:
            if self.tools.stopping.is_set():
                return _unbegun(index)
            return self._refuse(index, job, error.message)

    def _run(
        self, index: int, decision: Decision | None, memory_mb: int | None, problem: str | None
    ) -> JobEnd:
        if self.tools.stopping.is_set():
            return _unbegun(index)
        life = self._grown.pop(index, None)
        if life is not None:
            life.prepared = self.tools.preparer.prepare(life.decision, memory_mb)
            return self._live(life)
        decision = decision or self.tools.planner.decide(index)
        if decision.verdict is Verdict.SKIP:
            return self._skip(decision)
        if problem is not None:
            return self._refuse(index, decision.job, problem)
        if decision.verdict is Verdict.BLOCKED:
            return self._refuse(index, decision.job, self._missing(decision))
        try:
            prepared = self.tools.preparer.prepare(decision, memory_mb)
        except OxoflowError as error:
            return self._refuse(index, decision.job, error.message)
        reused = self._reuse(decision, prepared)
        return reused or self._live(JobLife(self.tools, decision, prepared))

    def run_together(self, item: Item) -> JobEnd:
        """Run the jobs that pipes join, to the end of all of them."""
        indexes = [decision.index for decision in item.decisions]
        planner = self.tools.planner
        if self.tools.stopping.is_set():
            return _joined([_unbegun(at) for at in indexes])
        decisions = item.decisions if item.ready else planner.decide_together(indexes)
        if all(decision.verdict is Verdict.SKIP for decision in decisions):
            return _joined([self._skip(decision) for decision in decisions])
        lives = []
        for decision in decisions:
            words, prepared = self._prepare_joined(decision, item.problem)
            if prepared is None:
                return self._refuse_all(decision, words, decisions)
            lives.append(JobLife(self.tools, decision, prepared))
        group = planner.pipes.group_of[decisions[0].index]
        return PipeLife(self.tools, lives, planner.pipes.among(group)).run()

    def _missing(self, decision: Decision) -> str:
        planner = self.tools.planner
        self._missed += 1
        guess = self._missed <= _GUESSES
        return missing_message(decision, planner.dag, planner.files.beside, guess=guess)

    def _prepare_joined(
        self, decision: Decision, problem: str | None
    ) -> tuple[str, Prepared | None]:
        """Make a job ready, or say why it cannot run; who is only joined to such a one can."""
        own = decision.verdict is Verdict.BLOCKED and decision.reasons[0].part != "pipe"
        if own:
            problem = self._missing(decision)
        if problem is not None:
            return problem, None
        try:
            return "", self.tools.preparer.prepare(decision, None)
        except OxoflowError as error:
            return error.message, None

    def _refuse_all(self, blamed: Decision, words: str, group: Sequence[Decision]) -> JobEnd:
        others = [decision for decision in group if decision is not blamed]
        dragged = dragged_words(blamed.job.name)
        return _joined(
            [
                self._refuse(blamed.index, blamed.job, words),
                *[self._refuse(each.index, each.job, dragged) for each in others],
            ]
        )

    def _live(self, life: JobLife) -> JobEnd:
        """Begin a job or go on with it; keep it if it wants to go on with more memory."""
        end = life.go_on() if life.begun else life.begin()
        if end.grow_mb is not None:
            self._grown[end.index] = life
        return end

    def _reuse(self, decision: Decision, prepared: Prepared) -> JobEnd | None:
        """Take the result from another run, if there is one for this very job."""
        reuse = self.tools.reuse
        found = reuse.available(decision) if reuse is not None else None
        if found is None or reuse is None:
            return None
        job, outputs = decision.job, decision.outputs
        usage = Usage()
        self.tools.reporter.begun(job, usage)
        before = shapes_before(self.tools.root, outputs)
        volatile = (*outputs, *reuse.volatile(decision))
        self.tools.journal.will_start(job.name, volatile, before, usage.started_at or 0.0)
        taken = reuse.take(decision, found)
        if taken is None:
            return None
        learn(self.tools.planner.files, taken.outputs)
        self.tools.learn()
        logs = self.tools.open_logs(job.name)
        logs.note(f"oxoflow: {taken.words}")
        logs.close()
        self.tools.reporter.reused(job, usage, taken, prepared.shown_command)
        return JobEnd(decision.index, Status.SKIPPED)

    def abandon(self) -> int:
        """Give up the jobs that wait for more memory, since the run was stopped; how many."""
        waiting = list(self._grown.values())
        self._grown.clear()
        for life in waiting:
            life.give_up()
        return len(waiting)

    def _skip(self, decision: Decision) -> JobEnd:
        job = decision.job
        if decision.adopt:
            found = verify(self.tools.root, job.name, decision.outputs)
            self.tools.reporter.adopted(
                job, self.tools.planner.fingerprint(decision), found.present
            )
            self.tools.learn()
        self.tools.reporter.skipped(job, skip_reason(decision))
        return JobEnd(decision.index, Status.SKIPPED)

    def _refuse(self, index: int, job: Job, words: str) -> JobEnd:
        words = self.tools.preparer.mask.text(words)
        self.tools.reporter.failed(job, Usage(), Failure(BEFORE_SPAWN, words), None, "")
        return JobEnd(index, Status.FAILED, words)


def _unbegun(index: int) -> JobEnd:
    return JobEnd(index, Status.FAILED, interrupted=True, begun=False)


def _joined(ends: Sequence[JobEnd]) -> JobEnd:
    """The ends of several jobs as one; the first that is to blame stands first."""
    return replace(ends[0], others=tuple(ends[1:]))
