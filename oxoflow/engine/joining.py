"""Join the jobs of a composed workflow into its DAG, with the rules that became no job.

Owns what of a workflow goes into its DAG besides the jobs.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from oxoflow.engine.dag import Dag, build_dag
from oxoflow.lang.condition import tests_wildcards
from oxoflow.lang.gaps import Gaps
from oxoflow.lang.model import Job, Workflow


def join(workflow: Workflow, jobs: Sequence[Job]) -> Dag:
    """Give the DAG of the jobs. Raises GraphError.

    A dependency that an unread include may bring joins nothing.
    """
    if workflow.gaps.rules:
        jobs = _without_unread(workflow.gaps, jobs)
    dag = build_dag(
        jobs,
        execution_groups=workflow.execution_groups,
        config=workflow.config,
        limits=workflow.limits,
    )
    made = {job.rule.name for job in jobs}
    texts = dag.texts
    jobless: dict[str, tuple[str, ...]] = {}
    choosy: dict[str, tuple[str, ...]] = {}
    for rule in workflow.rules:
        if rule.name not in made:
            jobless[rule.name] = tuple([texts.path(path) for path in rule.output.paths])
        elif rule.when and tests_wildcards(rule.when):
            choosy[rule.name] = tuple([texts.path(path) for path in rule.output.paths])
    return replace(dag, jobless=jobless, choosy=choosy)


def _without_unread(gaps: Gaps, jobs: Sequence[Job]) -> list[Job]:
    names = {job.name for job in jobs}
    kept = []
    for job in jobs:
        known = [name for name in job.depends_on if name in names or not gaps.may_name(name)]
        kept.append(replace(job, depends_on=tuple(known)))
    return kept
