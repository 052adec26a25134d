"""Plan a workflow: a verdict and its reasons for every selected job.

Owns the walk over the DAG; the table for one job is in `deciding`. Dry-run, run, status and the
API read this one plan. Reads files and state, writes nothing, starts nothing.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import islice
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from oxoflow.engine.deciding import Decider, Decision, Reason, Verdict, together
from oxoflow.engine.files import MISSING, Listing, WorkFiles
from oxoflow.engine.fingerprint import Fingerprint
from oxoflow.engine.fleeting import Fleeting
from oxoflow.engine.load import Loaded
from oxoflow.engine.matching import bare
from oxoflow.engine.pipes import find_pipes
from oxoflow.engine.render import Capacity, Renderer
from oxoflow.engine.select import ancestors, descendants, jobs_called, jobs_of_module
from oxoflow.engine.state import State
from oxoflow.engine.unknownsamples import find_unknown
from oxoflow.lang.condition import evaluate
from oxoflow.lang.model import Job

_NAMED = 3  # parents that a reason spells out


class PlanOptions(Struct, frozen=True):
    """What a caller wants planned: everything, or what `targets`, `until` and `modules` need.

    `force` names rules or jobs that run whatever is known; `rerun` forces all selected. With
    `skip_references` those are taken as they are, and none is built.
    """

    targets: tuple[str, ...] = ()
    until: tuple[str, ...] = ()
    force: tuple[str, ...] = ()
    rerun: bool = False
    paranoid: bool = False
    skip_references: bool = False
    modules: tuple[str, ...] = ()


class Plan(Struct, frozen=True):
    """The decisions on all selected jobs, in topological order, and how many of each kind."""

    decisions: tuple[Decision, ...]
    summary: Mapping[str, int]

    def by_verdict(self, *verdicts: Verdict) -> list[Decision]:
        """Give the decisions with one of the verdicts."""
        return [decision for decision in self.decisions if decision.verdict in verdicts]


class Planner:
    """Everything that deciding about one workflow in one directory needs, read once.

    `plan` first; then the runner asks `decide` for each job whose turn has come, and
    `fingerprint` once its outputs are verified. Both may be called by any thread.
    """

    def __init__(
        self,
        loaded: Loaded,
        state: State,
        workdir: Path,
        options: PlanOptions,
        capacity: Capacity,
    ) -> None:
        self.dag = loaded.dag
        self.files = WorkFiles(str(workdir), state.files, paranoid=options.paranoid)
        self.renderer = Renderer(loaded.workflow, capacity, workdir=str(workdir))
        selected = _selected(loaded, options)
        self.pipes = find_pipes(self.dag, self.renderer, selected, self._holds(loaded))
        self.selected = self.pipes.order
        self._unknown = find_unknown(self.dag, self.pipes)
        self._forced: dict[int, Reason] = {}
        self._force(self.selected if options.rerun else ())
        for name in options.force:
            self._force(jobs_called(self.dag, name))
        self._decider = Decider(
            loaded.workflow, self.dag, state, self.files, self.renderer, self._forced, self.pipes
        )

    def plan(self) -> Plan:
        """Decide every selected job from what is on the disk now."""
        with self.files.remembering():
            self._decider.read_ahead(self.selected)
            decisions = self._walk()
            while self._decider.has_removed and self._require_removed(decisions):
                decisions = self._walk()
        ordered = tuple(decisions.values())
        summary = {verdict.value: 0 for verdict in Verdict}
        for decision in ordered:
            summary[decision.verdict] += 1
        return Plan(ordered, {"jobs": len(ordered), **summary})

    def doomed(self, plan: Plan) -> list[Decision]:
        """Give one decision for each rule whose jobs lack inputs that no job before them makes.

        They are to run when their turn comes (design, section 10): a job may have made the files
        unannounced by then. The decision's reasons name what is missing.
        """
        missing: dict[str, dict[str, None]] = {}
        first: dict[str, Decision] = {}
        for decision in plan.by_verdict(Verdict.RUN):
            found = () if decision.inputs else self._decider.unmade(decision.index)
            if found:
                missing.setdefault(decision.job.rule.name, {}).update(dict.fromkeys(found))
                first.setdefault(decision.job.rule.name, decision)
        lacking = []
        for name, paths in missing.items():
            outside = [path for path in paths if self._outputs.isdisjoint(_around(path))]
            reasons = tuple([Reason(f"input.{path}", None, MISSING) for path in outside])
            if reasons:
                lacking.append(replace(first[name], reasons=reasons))
        return lacking

    @cached_property
    def _outputs(self) -> frozenset[str]:
        given = self._decider.fingerprinter.outputs
        return frozenset(bare(path) for at in self.dag.order for path in given(at))

    def decide(self, index: int) -> Decision:
        """Decide a job whose turn has come: the jobs above it are done."""
        return self._decider.decide(index)

    def decide_together(self, group: Iterable[int]) -> tuple[Decision, ...]:
        """Decide the jobs of one group of pipes whose turn has come."""
        return together([self._decider.decide(index) for index in group])

    def fingerprint(self, decision: Decision) -> Fingerprint:
        """Give the key to record for a decision, its inputs as they were when it was made."""
        fingerprinter = self._decider.fingerprinter
        found = fingerprinter.fingerprint(decision.job, decision.outputs, decision.inputs)
        fingerprinter.awaiting.note(decision.job.name, found.key)
        return found

    def gone(self, index: int) -> tuple[str, ...]:
        """Give the outputs of a job that were deleted on purpose, and are not there."""
        return self._decider.gone(index)

    @property
    def fleeting(self) -> Fleeting:
        """Which files go when their readers are done."""
        return self._decider.fleeting

    def reads_secrets(self, job: Job) -> bool:
        """True for a job into which a sensitive value goes."""
        return self._decider.fingerprinter.reads_secrets(job)

    def _walk(self) -> dict[int, Decision]:
        present = Listing(self.files).present
        decisions: dict[int, Decision] = {}
        moving: set[int] = set()  # will run, or may
        blocked: set[int] = set()
        parents, jobs = self.dag.parents, self.dag.jobs
        group_of = self.pipes.group_of
        for index in self.selected:
            if index in self._unknown:
                reason = Reason("checkpoint", None, self._unknown[index])
                decisions[index] = Decision(index, jobs[index], Verdict.SKIP, (reason,))
                continue
            group = group_of.get(index, ())
            names: tuple[str, ...] = ()
            if moving and parents[index]:
                above = (at for at in parents[index] if at in moving and at not in group)
                names = tuple([jobs[parent].name for parent in islice(above, _NAMED)])
            decision = self._decider.decide(index, names, present)
            stuck = next((at for at in parents[index] if at in blocked), None) if blocked else None
            if stuck is not None and (
                decision.verdict is not Verdict.SKIP or _lacks_files(decision)
            ):
                reason = Reason("upstream", None, jobs[stuck].name)
                decision = Decision(index, jobs[index], Verdict.BLOCKED, (reason,))
            decisions[index] = decision
            settled: tuple[Decision, ...] = (decision,)
            if group:
                known = [decisions[at] for at in group if at in decisions]
                settled = together(known) if len(known) == len(group) else ()
            for decision in settled:
                decisions[decision.index] = decision
                if decision.verdict is Verdict.BLOCKED:
                    blocked.add(decision.index)
                elif decision.verdict is not Verdict.SKIP:
                    moving.add(decision.index)
        return decisions

    def _require_removed(self, decisions: Mapping[int, Decision]) -> bool:
        """Mark deleted temporary results that a job which may run reads; say if there are new."""
        before = len(self._forced)
        for index in reversed(self.selected):
            if decisions[index].verdict in (Verdict.RUN, Verdict.CHECK) or index in self._forced:
                for parent in self.dag.parents[index]:
                    known = decisions.get(parent)
                    if known is None or known.verdict is Verdict.RUN:  # has a reason of its own
                        continue
                    lacks = self._decider.lacks_removed(index, parent)
                    if lacks and not self._follows(index, parent, decisions):
                        self._forced.setdefault(parent, Reason("record", "removed", "needed"))
        return len(self._forced) > before

    def _follows(self, index: int, parent: int, decisions: Mapping[int, Decision]) -> bool:
        """Say whether a job will run only if one above it does: who lacks its files then has them.

        So neither runs when what is above both comes out as it was.
        """
        undecided = decisions[index].verdict is decisions[parent].verdict is Verdict.CHECK
        if not undecided or index in self._forced or index in self.pipes.group_of:
            return False
        others = [decisions.get(at) for at in self.dag.parents[index] if at != parent]
        if any(other and other.verdict in (Verdict.RUN, Verdict.CHECK) for other in others):
            return False
        return self._decider.decide(index).verdict is Verdict.SKIP

    def _holds(self, loaded: Loaded) -> Callable[[str], bool]:
        config = loaded.workflow.config
        return lambda when: evaluate(when, config, self.files)

    def _force(self, indexes: Iterable[int]) -> None:
        self._forced.update((index, Reason("forced")) for index in indexes)


def later(plan: Plan, planner: Planner, known: Collection[str], failed: Collection[str]) -> Plan:
    """Give what a plan adds to earlier ones of the same run, which knew some jobs.

    These are the jobs of new names, and whatever reads what they make: it is to be up to date too.
    Jobs that failed or were blocked are not tried again. The summary counts what is left.
    """
    if not known:
        return plan
    dag, group_of = planner.dag, planner.pipes.group_of
    fresh = [at for at, job in enumerate(dag.jobs) if job.name not in known]
    below = descendants(dag, fresh)
    below |= {one for at in below for one in group_of.get(at, ())}
    decisions = tuple(
        d
        for d in plan.decisions
        if d.job.name not in known
        or (d.index in below and d.verdict is not Verdict.SKIP and d.job.name not in failed)
    )
    counted = Counter(decision.verdict.value for decision in decisions)
    summary = {verdict.value: counted[verdict.value] for verdict in Verdict}
    return Plan(decisions, {"jobs": len(decisions), **summary})


def make_plan(
    loaded: Loaded, state: State, workdir: Path, options: PlanOptions, capacity: Capacity
) -> Plan:
    """Plan once, for callers that only look."""
    return Planner(loaded, state, workdir, options, capacity).plan()


def _selected(loaded: Loaded, options: PlanOptions) -> tuple[int, ...]:
    dag = loaded.dag
    names = (*options.targets, *options.until)
    if not names and not options.modules:
        return dag.order
    starts = [at for name in names for at in jobs_called(dag, name)]
    for name in options.modules:
        starts += jobs_of_module(dag, loaded.workflow.modules, name)
    wanted = ancestors(dag, starts)
    return tuple([at for at in dag.order if at in wanted])


def _lacks_files(decision: Decision) -> bool:
    """Say whether a job is skipped for want of inputs, which those above it were to make."""
    return any(reason.new == MISSING or reason.part == "later" for reason in decision.reasons)


def _around(path: str) -> Iterator[str]:
    """Give a path and the directories that it is in, as far as its text tells."""
    path = bare(path)
    while path.strip("/."):
        yield path
        path = posixpath.dirname(path)
