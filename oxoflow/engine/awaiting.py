"""Know what a job waits for without reading a declared file of it, and what that job made.

A command may read what a job in `depends_on` made although no input says so: a report over a whole
directory does. Owns which jobs these are, and their keys, which stand for what they made. Any
thread may ask.
"""

from __future__ import annotations

from collections.abc import Mapping
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
        """Name the jobs in depends_on none of whose outputs the job reads, in that order.

        A checkpoint is none: what it finds is which jobs there are.
        """
        jobs, index = self._dag.jobs, self._dag.index
        known = [index[name] for name in dict.fromkeys(job.depends_on) if name in index]
        named = [at for at in known if not jobs[at].rule.checkpoint]
        outputs = OutputIndex(
            (tidy(path), at) for at in named for path in self._paths.output_files(jobs[at])
        )
        read = {at for path in self._paths.input_files(job) for at in outputs.match(tidy(path))}
        return tuple(jobs[at].name for at in named if at not in read)
