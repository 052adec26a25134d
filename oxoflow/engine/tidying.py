"""Delete what was wanted only on the way: temporary outputs, chunks and `temp_output` files.

Owns the end of spec/oxoflow-format.md 5.9 (and S9): called once, after a run without failures.
A deleted result stays known; the plan makes it again when, and only when, something needs it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct

from oxoflow.engine.files import DIRECTORY_SIZE, WorkFiles
from oxoflow.engine.fleeting import fleeting, is_temporary
from oxoflow.engine.outputs import delete
from oxoflow.engine.plan import Planner
from oxoflow.engine.records import Known, OutputRecord, Removed
from oxoflow.engine.state import State
from oxoflow.lang.model import Job
from oxoflow.lang.transform import CHUNKS


class Leftover(Struct, frozen=True):
    """One job with files that nobody needs any more; `result` says that outputs are among them.

    `paths` are relative to the working directory.
    """

    job: Job
    paths: tuple[str, ...]
    result: bool


def tidy(planner: Planner, state: State, recorded: Callable[[], None]) -> tuple[Leftover, ...]:
    """Delete the leftovers; `recorded` makes sure that all results are in the state file.

    The deletion is recorded first: what a crash leaves on the disk is deleted by the next run.
    """
    if not any(_may_leave(job) for job in planner.dag.jobs):
        return ()
    recorded()
    known, outputs = state.known(), state.outputs()
    found = tuple(_find(planner, known, outputs))
    state.apply([Removed(left.job.name) for left in found if left.result])
    for left in found:
        for path in left.paths:
            _delete(planner.files, path)
    return found


def _may_leave(job: Job) -> bool:
    return job.rule.temporary or job.rule.cleanup_chunks or bool(job.rule.temp_output)


def _find(
    planner: Planner, known: Mapping[str, Known], outputs: Mapping[str, OutputRecord]
) -> Iterator[Leftover]:
    dag = planner.dag
    for index, job in enumerate(dag.jobs):
        if not (is_temporary(dag, index) or job.rule.temp_output) or not _done(job, known):
            continue
        if not all(_done(dag.jobs[child], known) for child in dag.children[index]):
            continue
        own = planner.renderer.outputs(job)
        results = [
            path
            for path in fleeting(dag, index, planner.renderer)
            if _as_recorded(planner.files, path, outputs.get(path))
        ]
        kept = {*own, *planner.renderer.own_paths(job, job.rule.protected_output)}
        paths = [*results, *(p for p in planner.renderer.temporaries(job) if p not in kept)]
        if any(planner.files.exists(path) for path in paths):
            yield Leftover(job, tuple(paths), bool(results))


def _done(job: Job, known: Mapping[str, Known]) -> bool:
    record = known.get(job.name)
    return record is not None and record.status == "done"


def _as_recorded(files: WorkFiles, path: str, output: OutputRecord | None) -> bool:
    """True for the very file that was verified: what somebody put there since is his."""
    status = files.status(path)
    if status is None or output is None or "{" in path or "://" in path:
        return False
    if output.size == DIRECTORY_SIZE:
        return True
    return (status.st_size, status.st_mtime_ns) == (output.size, output.mtime_ns)


def _delete(files: WorkFiles, path: str) -> None:
    full = files.full(path)
    if not os.path.realpath(full).startswith(os.path.realpath(files.root) + "/"):
        return
    with contextlib.suppress(OSError):  # gone already, or not ours to delete
        delete(full)
    folder = os.path.dirname(path)
    while folder.startswith(CHUNKS):
        with contextlib.suppress(OSError):  # other chunks are in it
            os.rmdir(files.full(folder))
        folder = os.path.dirname(folder)
