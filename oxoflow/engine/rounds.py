"""Tell apart what a later round of a run may do from what hangs below failures of earlier rounds.

Owns the failure policy between rounds (spec/oxoflow-format.md 3.2, 5.7): within one round it is the
scheduler's. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from oxoflow.engine.dag import Dag
from oxoflow.engine.deciding import Decision


class Spoilt(Struct, frozen=True):
    """A job that cannot run, and the name of the one right above it that failed or could not."""

    decision: Decision
    cause: str


def part_spoilt(
    chosen: Sequence[Decision], dag: Dag, failed: Iterable[str]
) -> tuple[list[Decision], list[Spoilt]]:
    """Part jobs in topological order into those that may run and those below a failure."""
    below = {dag.index[name] for name in failed if name in dag.index}
    if not below:
        return list(chosen), []
    free, spoilt = [], []
    for decision in chosen:
        cause = next((parent for parent in dag.parents[decision.index] if parent in below), None)
        if cause is None:
            free.append(decision)
        else:
            below.add(decision.index)
            spoilt.append(Spoilt(decision, dag.jobs[cause].name))
    return free, spoilt
