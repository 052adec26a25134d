"""Build references as jobs of the run, each by one run at a time on the whole machine.

Owns the jobs that stand for `[[references]]` (spec/oxoflow-format.md 1.18), their place before the
jobs that use them, and the lock on each output. Whether one must be built is decided like any job's
need to run: by what is on the disk once, by content ever after.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from oxoflow.engine.configtext import ConfigTexts
from oxoflow.engine.dag import Dag, build_dag
from oxoflow.engine.files import WorkFiles
from oxoflow.engine.load import Loaded
from oxoflow.engine.outputs import delete
from oxoflow.engine.provisioning import open_lock, read_note, write_note
from oxoflow.engine.select import ancestors
from oxoflow.errors import RunError
from oxoflow.lang.model import FileSet, Job, Reference, Rule, Workflow
from oxoflow.lang.view import FileView

_MARK = "\0reference"  # no key of a text is called so
_POLL_SECONDS = 0.1


def is_reference(rule: Rule) -> bool:
    """True for the rule of a reference: its output may lie outside the working directory."""
    return _MARK in rule.extra


def with_references(loaded: Loaded, view: FileView) -> Loaded:
    """Give the workflow with a job for each reference, before whatever may use it.

    One that is there without its source is taken as it is: there is nothing to build it from.
    """
    references = tuple(r for r in _needed(loaded.workflow) if not _is_given(r, loaded, view))
    if not references:
        return loaded
    built = tuple(_job(reference) for reference in references)
    workflow = loaded.workflow
    groups, config = workflow.execution_groups, workflow.config
    dag = build_dag((*built, *loaded.jobs), execution_groups=groups, config=config)
    jobs = (*built, *_behind(loaded.jobs, references, dag))
    dag = build_dag(jobs, execution_groups=groups, config=config)
    return Loaded(
        workflow, jobs, replace(dag, jobless=loaded.dag.jobless, choosy=loaded.dag.choosy)
    )


def _needed(workflow: Workflow) -> tuple[Reference, ...]:
    """What the author wrote; of what `reference_dir` alone implies, only what a rule names."""
    if workflow.document.get("references"):
        return workflow.references
    return tuple(r for r in workflow.references if any(_names(x, r) for x in workflow.rules))


def _is_given(reference: Reference, loaded: Loaded, view: FileView) -> bool:
    if reference.source is None:
        return False
    texts = ConfigTexts(loaded.workflow.config)
    source, output = texts.path(reference.source), texts.path(reference.output)
    made = any(source in job.output.paths for job in loaded.jobs)
    return view.exists(output) and not view.exists(source) and not made


def _names(rule: Rule, reference: Reference) -> bool:
    """True when a rule's texts speak of a reference, by its config key or its path."""
    params = [value for value in rule.params.values() if isinstance(value, str)]
    texts = (rule.shell, rule.script, rule.pre_exec, *rule.input.paths, *params)
    key = f"{{config.{reference.name}}}"
    return any(text and (key in text or reference.output in text) for text in texts)


def _job(reference: Reference) -> Job:
    rule = Rule(
        name=f"reference:{reference.name}",
        input=FileSet((reference.source,) if reference.source else ()),
        output=FileSet((reference.output,)),
        shell=reference.build,
        description=reference.description,
        threads=reference.threads,
        memory=reference.memory,
        environment=reference.environment,
        extra={_MARK: True},
    )
    return Job(rule.name, rule, input=rule.input, output=rule.output, shell=rule.shell)


def _behind(jobs: Sequence[Job], references: Sequence[Reference], dag: Dag) -> Iterator[Job]:
    """Yield the jobs, behind the references: those that begin the run, and those that name one."""
    above = {
        reference.name: ancestors(dag, [dag.index[f"reference:{reference.name}"]])
        for reference in references
    }
    for job in jobs:
        at = dag.index[job.name]
        first = not dag.parents[at]
        names = tuple(
            f"reference:{reference.name}"
            for reference in references
            if at not in above[reference.name] and (first or _names(job.rule, reference))
        )
        yield replace(job, depends_on=(*job.depends_on, *names)) if names else job


class ReferenceLocks(Struct, frozen=True):
    """Lets one run at a time build a reference; the lock's note outlives a builder that died."""

    store: Path
    files: WorkFiles
    stopping: threading.Event

    @contextlib.contextmanager
    def held(self, job: Job, outputs: Sequence[str]) -> Iterator[None]:
        """Hold the lock of a reference; what a dead builder left is deleted. Raises RunError."""
        place = os.path.realpath(self.files.full(outputs[0]))
        descriptor = open_lock(self.store, f"reference:{place}")
        try:
            self._acquire(descriptor)
            if read_note(descriptor).get("state") == "making" and self.files.exists(outputs[0]):
                delete(self.files.full(outputs[0]))
            write_note(descriptor, {"state": "making"})
            yield
            write_note(descriptor, {"state": "made"})
        finally:
            os.close(descriptor)

    def _acquire(self, descriptor: int) -> None:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if self.stopping.wait(_POLL_SECONDS):
                    raise RunError("ended because the run was stopped") from None
