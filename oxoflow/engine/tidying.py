"""Delete what was wanted only on the way: temporary outputs, chunks and `temp_output` files.

Owns the end of spec/oxoflow-format.md 5.9 (and S9): called once, after a run without failures.
A deleted result stays known; the plan makes it again when, and only when, something needs it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from oxoflow.engine.files import DIRECTORY_SIZE, RECORDS, WorkFiles
from oxoflow.engine.outputs import delete, lies_inside
from oxoflow.engine.plan import Planner
from oxoflow.engine.records import FileHash, Known, OutputRecord, Removed
from oxoflow.engine.scratch import remove_scratch
from oxoflow.engine.state import State
from oxoflow.lang.model import Job
from oxoflow.lang.transform import CHUNKS

_ASIDE = f"{RECORDS}/scratch/.gone"  # a directory on its way out


class Leftover(Struct, frozen=True):
    """One job with files that nobody needs any more: outputs of its own, and what lay beside them.

    Paths are relative to the working directory.
    """

    job: Job
    results: tuple[str, ...]
    scraps: tuple[str, ...]


def tidy(planner: Planner, state: State, recorded: Callable[[], None]) -> tuple[Leftover, ...]:
    """Delete the leftovers; `recorded` makes sure that all results are in the state file.

    The deletion is recorded first: what a crash leaves on the disk is deleted by the next run.
    """
    if not any(_may_leave(job) for job in planner.dag.jobs):
        return ()
    recorded()
    remove_scratch(Path(planner.files.full(_ASIDE)))  # of a run that was killed over it
    known, outputs = state.known(), state.outputs()
    found = tuple(_find(planner, known, outputs))
    digests = [_directory(planner.files, path) for left in found for path in left.results]
    removed = [Removed(left.job.name) for left in found if left.results]
    state.apply([*removed, *filter(None, digests)])
    for left in found:
        for path in (*left.results, *left.scraps):
            _delete(planner.files, path)
    return found


def _may_leave(job: Job) -> bool:
    return job.rule.temporary or job.rule.cleanup_chunks or bool(job.rule.temp_output)


def _find(
    planner: Planner, known: Mapping[str, Known], outputs: Mapping[str, OutputRecord]
) -> Iterator[Leftover]:
    dag, fleeting, files = planner.dag, planner.fleeting, planner.files
    for index, job in enumerate(dag.jobs):
        concerned = (job, *(dag.jobs[child] for child in dag.children[index]))
        if not all(_done(each, known) for each in concerned):
            continue
        results = [
            path
            for path in fleeting.outputs(index)
            if (output := outputs.get(path)) is not None
            and _made_by(planner, index, output)
            and _as_recorded(files, output)
        ]
        scraps = [path for path in fleeting.scraps(index) if files.exists(path)]
        if results or scraps:
            yield Leftover(job, tuple(results), tuple(scraps))


def _done(job: Job, known: Mapping[str, Known]) -> bool:
    record = known.get(job.name)
    return record is not None and record.status == "done"


def _made_by(planner: Planner, index: int, output: OutputRecord) -> bool:
    """True for the result of this very job, or of one that writes the path together with it."""
    maker = planner.dag.index.get(output.job)
    return maker == index or maker in planner.fleeting.writers(output.path)


def _as_recorded(files: WorkFiles, output: OutputRecord) -> bool:
    """True for the very file that was verified: what somebody put there since is his."""
    status = files.status(output.path)
    if status is None:
        return False
    if output.size == DIRECTORY_SIZE:
        return True
    return (status.st_size, status.st_mtime_ns) == (output.size, output.mtime_ns)


def _directory(files: WorkFiles, path: str) -> FileHash | None:
    """Give the content of a directory, by which its readers know it when it is gone."""
    if not os.path.isdir(files.full(path)):
        return None
    return FileHash(path, DIRECTORY_SIZE, 0, 0, 0, files.digest(path))


def _delete(files: WorkFiles, path: str) -> None:
    """Delete a file, or a directory at once: half of one would be taken for the whole."""
    if not lies_inside(files.root, path):
        return
    full = files.full(path)
    with contextlib.suppress(OSError):  # gone already, or not ours to delete
        if os.path.isdir(full) and not os.path.islink(full.rstrip("/")):
            aside = Path(files.full(_ASIDE))
            aside.parent.mkdir(parents=True, exist_ok=True)
            os.rename(full, aside)
            remove_scratch(aside)
        else:
            delete(full)
    folder = os.path.dirname(path)
    while folder.startswith(CHUNKS):
        with contextlib.suppress(OSError):  # other chunks are in it
            os.rmdir(files.full(folder))
        folder = os.path.dirname(folder)
