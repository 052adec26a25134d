"""Make the directory of a run before it is queued, and let the language look into it.

Owns what a text may see while it is checked: the files that came with it, and declared data roots.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from flask import g

from oxoflow.db.runs import Options
from oxoflow.engine.load import DirectoryView, Loaded, check_text, load_text
from oxoflow.errors import Conflict, WorkflowError
from oxoflow.lang.deadline import Deadline
from oxoflow.supervisor.seed import Copy
from oxoflow.web.http import services
from oxoflow.web.looking import SECONDS, worded
from oxoflow.web.submission import wrong
from oxoflow.workspace import WORKFLOW_FILE, is_upload_name, open_regular


class ConfinedView:
    """A directory, and nothing above it or beside it except the data roots."""

    def __init__(self, root: Path, data_roots: tuple[Path, ...]) -> None:
        self._files = DirectoryView(str(root))
        self._roots = tuple(str(data_root).rstrip("/") for data_root in data_roots)

    def exists(self, path: str) -> bool:
        return self._visible(path) and self._files.exists(path)

    def glob(self, pattern: str) -> list[str]:
        return self._files.glob(pattern) if self._visible(pattern) else []

    def read(self, path: str) -> bytes | None:
        return self._files.read(path) if self._visible(path) else None

    def _visible(self, path: str) -> bool:
        plain = posixpath.normpath(path)
        if not plain.startswith("/"):
            return plain != ".." and not plain.startswith("../")
        return any(plain == root or plain.startswith(root + "/") for root in self._roots)


class Stage:
    """A run directory in the making; gone at the end of its block unless it is kept."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.kept = False

    def keep(self) -> None:
        """The run is queued: the directory belongs to it."""
        self.kept = True


@contextlib.contextmanager
def staged(run_id: str, text: str, files: Mapping[str, bytes]) -> Iterator[Stage]:
    """Make the directory of a run of the caller's, with these files and its text."""
    workspace = services().workspace
    everything = {**files, WORKFLOW_FILE: text.encode()}
    stage = Stage(workspace.create(g.account.username, run_id, everything))
    try:
        yield stage
    finally:
        if not stage.kept:
            workspace.remove(stage.directory)


def uploads_wanted(uploads: Mapping[str, str]) -> list[Copy]:
    """The caller's uploads as copies into a run; raises Unprocessable for an unknown one."""
    place = services().workspace.uploads(g.account.username)
    for name in uploads.values():
        if not is_upload_name(name) or not (place / name).is_file():
            raise wrong("uploads", f"names '{name[:200]}', which you have not uploaded")
    return [Copy(str(place), name, path) for path, name in uploads.items()]


def link(directory: Path, copies: Sequence[Copy], where: str) -> None:
    """Stand links in for files that are copied when the run begins, so that a text can be checked.

    Raises Conflict when one is not there, or is itself a link.
    """
    for one in copies:
        descriptor = open_regular(Path(one.directory), one.name)
        if descriptor is None:
            raise Conflict("A file is gone", f"'{one.name[:200]}' of {where}")
        os.close(descriptor)
        target = directory / one.target
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(Path(one.directory) / one.name)


def plannable(text: str, directory: Path, options: Options) -> Loaded:
    """Load a text as its runner will; what is wrong is said with its line."""
    view = ConfinedView(directory, services().settings.data_roots)
    try:
        return load_text(
            text,
            view=view,
            overrides=options.config,
            samples=options.samples,
            deadline=Deadline.after(SECONDS),
        )
    except WorkflowError as error:
        checked = check_text(text, view, overrides=options.config, deadline=Deadline.after(SECONDS))
        if not checked.errors:
            raise
        raise type(error)(worded(checked.errors), checked.errors) from None
