"""Tell which outputs of a job are wanted only on the way (spec/oxoflow-format.md 5.9 and S9).

Owns the rule by which they are deleted after a run and not missed by a later one.
"""

from __future__ import annotations

from oxoflow.engine.dag import Dag
from oxoflow.engine.matching import tidy
from oxoflow.engine.render import Renderer


def fleeting(dag: Dag, index: int, renderer: Renderer) -> tuple[str, ...]:
    """Give the outputs that go when all jobs that read the job's files are done.

    All of a temporary rule's and of the chunks that a combine clears away, and those that
    `temp_output` names; but none that is protected, and none that nobody below is there to read.
    """
    job = dag.jobs[index]
    if not dag.children[index]:
        return ()
    outputs = renderer.outputs(job)
    if not is_temporary(dag, index):
        temporaries = {tidy(path) for path in renderer.temporaries(job)}
        outputs = tuple([path for path in outputs if tidy(path) in temporaries])
    protected = set(renderer.own_paths(job, job.rule.protected_output)) if outputs else ()
    return tuple([path for path in outputs if path not in protected])


def is_temporary(dag: Dag, index: int) -> bool:
    """Say whether nothing that a job makes is wanted in the end."""
    below = dag.children[index]
    return dag.jobs[index].rule.temporary or any(
        dag.jobs[child].rule.cleanup_chunks for child in below
    )
