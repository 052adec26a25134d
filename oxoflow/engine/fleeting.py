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

    def __init__(self, dag: Dag, renderer: Renderer, root: str) -> None:
        self._dag = dag
        self._top = f"{root}/"
        self._renderer = renderer
        self._read: dict[int, Paths] = {}
        self._shared = {self._bare(path): frozenset(at) for path, at in dag.shared_outputs}
        self._agreed: dict[str, bool] = {}

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
        return self._shared.get(self._bare(path), ())

    def _is_agreed(self, path: str) -> bool:
        same = self._bare(path)
        if same not in self._agreed:
            self._agreed[same] = all(
                any(self._bare(each) == same for each in self._unwanted(writer))
                for writer in self.writers(path)
            )
        return self._agreed[same]

    def _unwanted(self, index: int) -> tuple[str, ...]:
        """Give the outputs that a job by itself would let go."""
        job, below = self._dag.jobs[index], self._dag.children[index]
        if not below:
            return ()
        own: Sequence[str] = self._renderer.output_files(job)
        if not job.rule.temporary:
            named = {self._bare(path) for path in self._renderer.temporaries(job)}
            own = [path for path in own if self._bare(path) in named or self._is_chunk(path, below)]
        kept = self._kept(job) if own else Paths(())
        return tuple(
            path
            for path in own
            if not (kept.touches(self._bare(path)) or self._asked_for.holds(self._bare(path)))
            and not any(self._reading(child).cuts(self._bare(path)) for child in below)
        )

    def scraps(self, index: int) -> tuple[str, ...]:
        """Give what `temp_output` names besides: files that are nobody's output and no input."""
        paths = self._renderer.temporaries(self._dag.jobs[index])
        return tuple([path for path in paths if not self._is_wanted(self._bare(path))])

    def is_needed(self, index: int, parent: int, gone: Collection[str]) -> bool:
        """Say whether a job cannot run without outputs of a job above it that are gone.

        Who only names that job in `depends_on` may read whatever it makes.
        """
        job, maker = self._dag.jobs[index], self._dag.jobs[parent]
        read = self._reading(index)
        if any(read.touches(self._bare(path)) for path in gone):
            return True
        if not gone or maker.name not in job.depends_on:
            return False
        return not any(
            read.touches(self._bare(path)) for path in self._renderer.output_files(maker)
        )

    def _is_chunk(self, path: str, below: Iterable[int]) -> bool:
        return any(
            self._dag.jobs[child].rule.cleanup_chunks
            and self._reading(child).names(self._bare(path))
            for child in below
        )

    def _bare(self, path: str) -> str:
        """Give a path as all its spellings have in common, also one from the root."""
        return bare(path.removeprefix(self._top))

    def _paths(self, paths: Iterable[str]) -> Paths:
        return Paths(path.removeprefix(self._top) for path in paths)

    def _kept(self, job: Job) -> Paths:
        manifest = (job.rule.checkpoint_manifest,) if job.rule.checkpoint_manifest else ()
        renderer = self._renderer
        return self._paths((*renderer.protected(job), *renderer.own_paths(job, manifest)))

    def _is_wanted(self, path: str) -> bool:
        if path.split("/")[0] == RECORDS:
            return True
        found = (self._all_read, self._asked_for, self._manifests)
        return self._made.touches(path) or any(paths.holds(path) for paths in found)

    def _reading(self, index: int) -> Paths:
        found = self._read.get(index)
        if found is None:
            found = self._read[index] = self._paths(self._inputs(self._dag.jobs[index]))
        return found

    def _inputs(self, job: Job) -> Iterator[str]:
        paths, pattern = self._renderer.input_files(job), job.input.pattern
        return (path if pattern is None else f"{path.rstrip('/')}/{pattern}" for path in paths)

    @cached_property
    def _made(self) -> Paths:
        renderer, jobs = self._renderer, self._dag.jobs
        return self._paths(path for job in jobs for path in renderer.output_files(job))

    @cached_property
    def _all_read(self) -> Paths:
        return self._paths(path for job in self._dag.jobs for path in self._inputs(job))

    @cached_property
    def _asked_for(self) -> Paths:
        conditions = {job.rule.when for job in self._dag.jobs if job.rule.when}
        path = self._renderer.texts.path
        return self._paths(path(each) for text in conditions for each in files_asked(text))

    @cached_property
    def _manifests(self) -> Paths:
        asking = [job for job in self._dag.jobs if job.rule.checkpoint_manifest]
        own = self._renderer.own_paths
        return self._paths(
            path for job in asking for path in own(job, (job.rule.checkpoint_manifest or "",))
        )
