"""List, or with --yes delete, the files that a workflow makes (`clean`).

Owns what counts as made by a workflow and what must never be deleted (spec/oxoflow-format.md
5.12; oxo-flow-api.md 5.11): nothing outside the directory, nothing protected, nothing in use.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from oxoflow.commands.arguments import Arguments, Verb
from oxoflow.commands.loading import find_place, load
from oxoflow.commands.options import COMPOSING, FILE, JSON, TARGETS, flag
from oxoflow.commands.output import plural, print_json
from oxoflow.engine.capacity import Limits, find_capacity
from oxoflow.engine.files import WorkFiles
from oxoflow.engine.load import Loaded
from oxoflow.engine.matching import bare, is_glob
from oxoflow.engine.options import RunOptions
from oxoflow.engine.pathset import Paths
from oxoflow.engine.reentry import Reentries
from oxoflow.engine.render import Renderer
from oxoflow.engine.rundir import RunDirectory, WorkdirLock, lock_holder
from oxoflow.engine.select import jobs_called
from oxoflow.engine.state import State
from oxoflow.lang.discovery import as_glob
from oxoflow.lang.model import Job

_SHOWN = 3
_OWN = ("chunks", "scratch")  # below .oxo-flow: left-overs that no run needs


def clean_outputs(arguments: Arguments) -> int:
    """Show what would go; with --yes delete it."""
    place = find_place(arguments)
    loaded = load(arguments, place, to_run=False)
    directory = RunDirectory(place.workdir)
    with _lock(directory, arguments.force):
        loaded = _with_added(loaded, directory)
        found, spared = outputs_of(loaded, place.workdir, arguments.target)
        if arguments.orphans:
            found += list(_orphans(directory))
        sizes = {path: _size(place.workdir / path) for path in found}
        if arguments.force:
            for path in found:
                _delete(place.workdir / path)
    if arguments.json:
        files = [{"path": path, "size_bytes": size} for path, size in sizes.items()]
        total = sum(sizes.values())
        print_json({"files": files, "total_bytes": total, "deleted": arguments.force})
        return 0
    for path in found:
        print(path)
    words = f"{plural(len(found), 'path')}, {sum(sizes.values())} bytes"
    print(f"{words} deleted" if arguments.force else f"{words}; --yes deletes them")
    if spared:
        shown = ", ".join(spared[:_SHOWN]) + (", …" if len(spared) > _SHOWN else "")
        why = "left alone, protected or outside the working directory"
        print(f"oxoflow: {plural(len(spared), 'path')} {why}: {shown}", file=sys.stderr)
    return 0


def _with_added(loaded: Loaded, directory: RunDirectory) -> Loaded:
    """Give the workflow with the samples and pairs that its checkpoints have added."""
    state = State.view(directory.state)
    try:
        return Reentries(state, directory.root, RunOptions(directory.root)).whole(loaded)
    finally:
        state.close()


@contextlib.contextmanager
def _lock(directory: RunDirectory, deleting: bool) -> Iterator[None]:
    """Keep runs out while files are deleted; refuse while one is at work."""
    lock = WorkdirLock(directory.lock)
    held = False
    if directory.records.is_dir() and (deleting or lock_holder(directory.lock) is not None):
        lock.acquire()
        held = True
    try:
        yield
    finally:
        if held:
            lock.release()


def outputs_of(
    loaded: Loaded, workdir: Path, targets: Iterable[str] = ()
) -> tuple[list[str], list[str]]:
    """Give the outputs that exist: those that may go, and those to be spared.

    The latter are protected, or do not lie inside the directory when links are followed.
    """
    renderer = Renderer(loaded.workflow, find_capacity(loaded.workflow, Limits()))
    files = WorkFiles(str(workdir))
    wanted = {at for name in targets for at in jobs_called(loaded.dag, name)}
    jobs = [loaded.jobs[at] for at in sorted(wanted)] if wanted else loaded.jobs
    kept = Paths(path for job in loaded.jobs for path in renderer.protected(job))
    found: dict[str, None] = {}
    spared: dict[str, None] = {}
    for job in jobs:
        for path in (*renderer.output_files(job), *_found_by(job, renderer)):
            if "{" in path or "://" in path:
                continue
            matches = files.glob(path) if is_glob(path) and not files.exists(path) else [path]
            for match in matches:
                if os.path.lexists(workdir / match):
                    safe = kept.touches(bare(match)) or not _is_inside(workdir, match)
                    (spared if safe else found)[match] = None
    return list(found), list(spared)


def _found_by(job: Job, renderer: Renderer) -> Iterator[str]:
    """Give the glob of what an `output_pattern` finds."""
    if job.rule.output_pattern:
        for path in renderer.own_paths(job, (job.rule.output_pattern,)):
            yield as_glob(path)


def _is_inside(workdir: Path, path: str) -> bool:
    """Say whether a path, its links followed, lies below the directory and is not ours."""
    if path.startswith(("/", "~")) or ".." in path.split("/"):
        return False
    top = os.path.realpath(workdir)
    folder = os.path.realpath(os.path.dirname(os.path.join(top, path.rstrip("/"))))
    full = os.path.join(folder, os.path.basename(path.rstrip("/")))
    records = os.path.join(top, ".oxo-flow")
    return full.startswith(top + os.sep) and full not in (records, top + os.sep)


def _orphans(directory: RunDirectory) -> Iterator[str]:
    for name in _OWN:
        path = directory.records / name
        if path.exists():
            yield str(path.relative_to(directory.root))


def _size(path: Path) -> int:
    if path.is_dir() and not path.is_symlink():
        return sum(
            os.lstat(os.path.join(at, name)).st_size
            for at, _, names in os.walk(path)
            for name in names
        )
    return path.lstat().st_size


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


VERBS: Mapping[str, Verb] = {
    "clean": Verb(
        "List the files that a workflow makes; with --yes delete them.",
        (
            FILE,
            *COMPOSING,
            TARGETS,
            flag("--force", "--yes", help="delete them"),
            flag("--orphans", help="also what runs left in .oxo-flow: chunks, scratch directories"),
            JSON,
        ),
        clean_outputs,
        overrides=True,
    )
}
