"""Find the jobs whose samples or pairs nobody knows before a checkpoint has found them (3.2).

Such a rule stays one job with its wildcards as written. It must not run: its files would be called
`{sample}.txt` and pass for results. It waits, with all that reads what it makes.
"""

from __future__ import annotations

from collections.abc import Mapping

from oxoflow.engine.dag import Dag
from oxoflow.engine.pipes import Pipes
from oxoflow.engine.select import descendants
from oxoflow.lang.model import Job
from oxoflow.lang.wildcards import PAIR_NAMES, PLACEHOLDER, SAMPLE_NAMES

_PAIRS = frozenset(PAIR_NAMES)
_NAMES = _PAIRS.union(SAMPLE_NAMES)


def find_unknown(dag: Dag, pipes: Pipes) -> Mapping[int, str]:
    """Give the jobs that wait, by index, each with the name of the checkpoint that may find them.

    Empty without a checkpoint that has a manifest, and where the checkpoint itself would wait.
    """
    finders = [
        at
        for at, job in enumerate(dag.jobs)
        if job.rule.checkpoint and job.rule.checkpoint_manifest
    ]
    if not finders:
        return {}
    seeds = [at for at, job in enumerate(dag.jobs) if _is_unfilled(job)]
    if not seeds:
        return {}
    waiting = {*seeds, *descendants(dag, seeds)}
    waiting |= {one for at in waiting for one in pipes.group_of.get(at, ())}
    if not waiting.isdisjoint(finders):
        return {}
    return dict.fromkeys(waiting, dag.jobs[finders[0]].name)


def _is_unfilled(job: Job) -> bool:
    """Say whether a job is for no pair or sample yet; a pair may leave names without a value."""
    bound = dict(job.bindings)
    if not bound.keys().isdisjoint(PAIR_NAMES):
        return False
    wanted = _NAMES if bound.keys().isdisjoint(SAMPLE_NAMES) else _PAIRS
    texts = (*job.input.paths, *job.output.paths, job.shell or "")
    return any("{" in text and not wanted.isdisjoint(PLACEHOLDER.findall(text)) for text in texts)
