"""Tell which files of a job are wanted only on the way (spec/oxoflow-format.md 5.9 and S9).

Owns the rule by which they are deleted after a run and not missed by a later one. Deletes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property

from oxoflow.engine.dag import Dag
from oxoflow.engine.files import RECORDS
from oxoflow.engine.matching import bare
from oxoflow.engine.pathset import Paths
from oxoflow.engine.render import Renderer
from oxoflow.lang.condition import files_asked
from oxoflow.lang.model import Job


class Fleeting:
    """Knows the files of one DAG. Any thread may ask."""

    def __init__(self, dag: Dag, renderer: Renderer) -> None:
        self._dag = dag
        self._renderer = renderer
        self._read: dict[int, Paths] = {}
        self._shared = {bare(path): writers for path, writers in dag.shared_outputs}

    def outputs(self, index: int) -> tuple[str, ...]:
        """Give the outputs that go when all jobs that read the job's files are done.

        All of a temporary rule's, the chunks that a combine clears away, and those that
        `temp_output` names; but none that is protected, none that nobody below is there to read,
        none that somebody reads as part of a directory, which then would be another one, none
        that a condition asks for, which then would be false, and none that another job writes as
        well and wants to stay.
        """
        own = self._unwanted(index)
        return tuple([path for path in own if self._is_agreed(path)]) if self._shared else own

    def writers(self, path: str) -> Collection[int]:
        """Give the jobs that write a path, where these are several."""
        return self._shared.get(bare(path), ())

    def _is_agreed(self, path: str) -> bool:
        same = bare(path)
        return all(
            any(bare(each) == same for each in self._unwanted(writer))
            for writer in self.writers(path)
        )

    def _unwanted(self, index: int) -> tuple[str, ...]:
        """Give the outputs that a job by itself would let go."""
        job, below = self._dag.jobs[index], self._dag.children[index]
        if not below:
            return ()
        own: Sequence[str] = self._renderer.output_files(job)
        if not job.rule.temporary:
            named = {bare(path) for path in self._renderer.temporaries(job)}
            own = [path for path in own if bare(path) in named or self._is_chunk(path, below)]
        kept = Paths(self._renderer.protected(job)) if own else Paths(())
        return tuple(
            path
            for path in own
            if not (kept.touches(bare(path)) or self._asked_for.holds(bare(path)))
            and not any(self._reading(child).cuts(bare(path)) for child in below)
        )

    def scraps(self, index: int) -> tuple[str, ...]:
        """Give what `temp_output` names besides: files that are nobody's output and no input."""
        paths = self._renderer.temporaries(self._dag.jobs[index])
        return tuple([path for path in paths if not self._is_wanted(bare(path))])

    def is_needed(self, index: int, parent: int, gone: Collection[str]) -> bool:
        """Say whether a job cannot run without outputs of a job above it that are gone.

        Who only names that job in `depends_on` may read whatever it makes.
        """
        job, maker = self._dag.jobs[index], self._dag.jobs[parent]
        read = self._reading(index)
        if any(read.touches(bare(path)) for path in gone):
            return True
        if not gone or maker.name not in job.depends_on:
            return False
        return not any(read.touches(bare(path)) for path in self._renderer.output_files(maker))

    def _is_chunk(self, path: str, below: Iterable[int]) -> bool:
        return any(
            self._dag.jobs[child].rule.cleanup_chunks and self._reading(child).names(bare(path))
            for child in below
        )

    def _is_wanted(self, path: str) -> bool:
        if path.split("/")[0] == RECORDS:
            return True
        asked_for = self._all_read.holds(path) or self._asked_for.holds(path)
        return asked_for or self._made.touches(path)

    def _reading(self, index: int) -> Paths:
        found = self._read.get(index)
        if found is None:
            found = self._read[index] = Paths(self._inputs(self._dag.jobs[index]))
        return found

    def _inputs(self, job: Job) -> Iterator[str]:
        paths, pattern = self._renderer.input_files(job), job.input.pattern
        return (path if pattern is None else f"{path.rstrip('/')}/{pattern}" for path in paths)

    @cached_property
    def _made(self) -> Paths:
        return Paths(path for job in self._dag.jobs for path in self._renderer.output_files(job))

    @cached_property
    def _all_read(self) -> Paths:
        return Paths(path for job in self._dag.jobs for path in self._inputs(job))

    @cached_property
    def _asked_for(self) -> Paths:
        conditions = {job.rule.when for job in self._dag.jobs if job.rule.when}
        return Paths(self._renderer.texts.path(p) for text in conditions for p in files_asked(text))
