"""Tell whose result a file is, where more than one job may write it.

Owns the questions that design 5 asks about a result of another job. Reads no file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from oxoflow.engine.dag import Dag
from oxoflow.engine.files import DIRECTORY_SIZE
from oxoflow.engine.matching import tidy
from oxoflow.engine.records import Known, OutputRecord
from oxoflow.lang.model import Job


class Owners:
    """The outputs that are on record, and the jobs that write one path together.

    `holds` evaluates a condition, `rule_of` names the rule of a job on record. Any thread may ask.
    """

    def __init__(
        self,
        dag: Dag,
        recorded: Mapping[str, OutputRecord],
        known: Mapping[str, Known],
        holds: Callable[[str], bool],
        rule_of: Callable[[str], str | None],
    ) -> None:
        self.recorded = recorded
        self._dag = dag
        self._known = known
        self._holds = holds
        self._rule_of = rule_of
        self._sharers = dict(dag.shared_outputs)
        self._to_run: set[int] = set()

    def will_run(self, index: int) -> None:
        """Note that a job is to run."""
        if self._sharers:
            self._to_run.add(index)

    def foreign(self, job: Job, path: str) -> str | None:
        """Name the job that made a path, if it still stands in the workflow but is switched off.

        Two rules whose `when` exclude each other may write one file; a result of the one is then
        no result of the other.
        """
        recorded = self.recorded.get(path)
        if recorded is None or recorded.job == job.name:
            return None
        index = self._dag.index.get(recorded.job)
        if index is None:
            return None
        when = self._dag.jobs[index].rule.when
        return None if not when or self._holds(when) else recorded.job

    def former(self, job: Job, path: str, size: int) -> str | None:
        """Name the job of an earlier workflow that made a path, if nobody changed the file since.

        So is a rule found again under a new name, and the result of one rule is not taken for that
        of another which stands in its place.
        """
        recorded = self.recorded.get(path)
        if recorded is None or recorded.job == job.name or recorded.size != size:
            return None
        known = self._known.get(recorded.job)
        done = known is not None and known.status == "done" and known.key is not None
        return recorded.job if done and recorded.job not in self._dag.index else None

    def later(self, job: Job, path: str) -> str | None:
        """Name another rule's job, no longer in the workflow, that made a path after this one did.

        Jobs of one rule, and all that fill one directory, may have written it together.
        """
        recorded = self.recorded[path]
        vanished = recorded.job not in self._dag.index and recorded.size != DIRECTORY_SIZE
        if not vanished or self._rule_of(recorded.job) == job.rule.name:
            return None
        own, other = self._known.get(job.name), self._known.get(recorded.job)
        same = own is not None and other is not None and own.key == other.key
        return None if same else recorded.job

    def sharer(self, job: Job, path: str) -> str | None:
        """Name another job that writes a path too and ran, or is to: each is to do its part."""
        for other in self._sharers.get(tidy(path), ()) if self._sharers else ():
            name = self._dag.jobs[other].name
            if name != job.name and (other in self._to_run or name in self._known):
                return name
        return None
