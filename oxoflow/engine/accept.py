"""Let a person declare results valid after an edit that does not change them.

Owns what is recorded then: the present key in place of the old one, with who and when.
"""

from __future__ import annotations

from collections.abc import Sequence

from oxoflow.engine.deciding import Decision, Verdict
from oxoflow.engine.files import MISSING
from oxoflow.engine.outputs import verify
from oxoflow.engine.plan import Planner
from oxoflow.engine.records import Accepted
from oxoflow.engine.select import jobs_called
from oxoflow.engine.state import State
from oxoflow.errors import UsageError


def accept(
    planner: Planner, state: State, names: Sequence[str], who: str, now: float
) -> list[Accepted]:
    """Accept the results of the named jobs or rules that would run; gives what was written.

    Raises UsageError when a result is not there, or was never finished.
    """
    wanted = sorted({at for name in names for at in jobs_called(planner.dag, name)})
    changes = []
    for index in wanted:
        decision = planner.decide(index)
        if decision.verdict is Verdict.SKIP and not decision.adopt:
            continue
        changes.append(_accepted(planner, state, decision, who, now))
    state.apply([*changes, *planner.files.take_learned()])
    return changes


def _accepted(planner: Planner, state: State, decision: Decision, who: str, now: float) -> Accepted:
    job = decision.job
    known = state.known().get(job.name)
    gone = planner.gone(decision.index)
    there = planner.files.present
    missing = [path for path in decision.outputs if not (there(path) or path in gone)]
    missing += _awaited(planner, decision)
    if missing:
        raise UsageError(
            f"job '{job.name}' cannot be accepted: '{missing[0]}' is missing; run it instead"
        )
    if known is not None and known.status != "done":
        raise UsageError(
            f"job '{job.name}' cannot be accepted: its last attempt did not finish; run it instead"
        )
    key = planner.fingerprint(decision)
    return Accepted(
        job.name,
        job.rule.name,
        now,
        who,
        known.key if known else None,
        key.key,
        key.static,
        key.parts,
        verify(planner.files.root, job.name, decision.outputs).present,
    )


def _awaited(planner: Planner, decision: Decision) -> list[str]:
    """Name the inputs that are missing, unless nobody is going to make them."""
    missing = [path for path, digest in decision.inputs.items() if digest == MISSING]
    if not missing or decision.verdict is Verdict.BLOCKED:
        return missing
    above = (planner.decide(parent) for parent in planner.dag.parents[decision.index])
    return missing if any(each.verdict is not Verdict.SKIP for each in above) else []
