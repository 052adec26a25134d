"""Know what a job waits for without reading a declared file of it, and what that job made.

A command may read what a job in `depends_on` made although no input says so: a report over a whole
directory does. A rule that names another and reads its file for the same sample waits for that
file only: all samples stand in `depends_on` because a rule's name means every job of it. Owns which
jobs are only waited for, and their keys, which stand for what they made. Any thread may ask.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Protocol

from oxoflow.engine.dag import Dag
from oxoflow.engine.matching import OutputIndex, tidy
from oxoflow.engine.records import Known
from oxoflow.lang.model import Job

_NONE: Mapping[str, str] = {}


class Paths(Protocol):
    """Which files a job makes and reads, filled in."""

    def output_files(self, job: Job) -> tuple[str, ...]: ...
    def input_files(self, job: Job) -> tuple[str, ...]: ...
    def own_paths(self, job: Job, patterns: Sequence[str]) -> tuple[str, ...]: ...


class Awaiting:
    """The jobs that others only wait for, of one DAG and one state."""

    def __init__(self, dag: Dag, paths: Paths, known: Mapping[str, Known]) -> None:
        self._dag = dag
        self._paths = paths
        self._known = known
        self._made: dict[str, str] = {}
        self._unread: dict[str, tuple[str, ...]] = {}

    def note(self, job: str, key: str) -> None:
        """Take down the key of what a job makes in this run."""
        self._made[job] = key

    def keys(self, job: Job) -> Mapping[str, str]:
        """Give the key of each job that made something and that this one only waits for."""
        if not job.depends_on:
            return _NONE
        names = self._unread.get(job.name)
        if names is None:
            names = self._unread[job.name] = self._find(job)
        found = {name: self._made.get(name) or self._recorded(name) for name in names}
        return {name: key for name, key in found.items() if key}

    def _recorded(self, name: str) -> str | None:
        known = self._known.get(name)
        return known.key if known is not None and known.status == "done" else None

    def _find(self, job: Job) -> tuple[str, ...]:
        """Name the jobs in depends_on of whose rules the job reads no file, in that order.

        A checkpoint is none: what it finds is which jobs there are.
        """
        jobs, index = self._dag.jobs, self._dag.index
        read = {
            at for path in self._paths.input_files(job) for at in self._outputs.match(tidy(path))
        }
        named = {*job.rule.depends_on}
        joined = {jobs[at].rule.name for at in read} & named
        found = []
        for name in job.depends_on:
            at = index.get(name)
            if at is not None and at not in read:
                rule = jobs[at].rule
                if not rule.checkpoint and rule.name not in joined:
                    found.append(name)
        return tuple(dict.fromkeys(found))

    @cached_property
    def _outputs(self) -> OutputIndex:
        return OutputIndex(self._made_files())

    def _made_files(self) -> Iterator[tuple[str, int]]:
        for at, job in enumerate(self._dag.jobs):
            for path in self._paths.output_files(job):
                yield tidy(path), at
            if job.rule.output_pattern:
                for path in self._paths.own_paths(job, (job.rule.output_pattern,)):
                    yield tidy(path), at
