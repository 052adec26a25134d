"""Judge whether the outputs of a job that is done are still what was verified (design, section 5).

Owns what can be wrong with them: gone, cut, of another size, made by another job. Reads files.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator

from oxoflow.engine.contents import Contents
from oxoflow.engine.files import DIRECTORY_SIZE, MISSING, WorkFiles
from oxoflow.engine.matching import bare
from oxoflow.engine.owners import Owners
from oxoflow.engine.render import Renderer
from oxoflow.lang.model import Job

Finding = tuple[str, str | None, str | None]  # the part of the job, its old and its new state


class Spoiling:
    """Compares outputs on record with the files as they are. Any thread may ask."""

    def __init__(
        self, owners: Owners, contents: Contents, files: WorkFiles, renderer: Renderer
    ) -> None:
        self._owners = owners
        self._contents = contents
        self._files = files
        self._renderer = renderer

    def find(self, job: Job, outputs: Iterable[str]) -> Iterator[Finding]:
        """Name the outputs that are no longer what was verified, each with what it was and is."""
        for path in outputs:
            if "{" in path or "://" in path:
                continue
            status = self._files.status(path)
            if status is None or stat.S_ISFIFO(status.st_mode):
                if status is not None or not self._files.present(path):
                    yield f"output.{path}", "present", MISSING
            else:
                yield from self._changed(job, path, status)

    def _changed(self, job: Job, path: str, status: os.stat_result) -> Iterator[Finding]:
        recorded = self._owners.recorded.get(path)
        if recorded is None:
            return
        own = recorded.job == job.name
        owner = None if own else self._owners.foreign(job, path) or self._owners.later(job, path)
        if owner:
            yield f"output.{path}", f"made by {owner}", None
        elif recorded.size == DIRECTORY_SIZE:
            changed = self._contents.difference(path)
            if changed:
                yield f"output.{path}", *changed
        elif own and not (recorded.size == status.st_size or self._is_link(job, path, status)):
            yield f"output.{path}", f"{recorded.size} bytes", f"{status.st_size} bytes"

    def _is_link(self, job: Job, path: str, status: os.stat_result) -> bool:
        """Say whether an output is a link to an input: then the input is what changed."""
        names = [name for name in self._renderer.input_files(job) if bare(name) != bare(path)]
        found = [self._files.status(name) for name in names]
        return any(each and os.path.samestat(each, status) for each in found)
