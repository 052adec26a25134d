"""Make the directory of a run before it is queued, and have its text checked there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from flask import g

from oxoflow.db.runs import Options
from oxoflow.errors import Conflict
from oxoflow.supervisor.seed import Copy
from oxoflow.web.http import services
from oxoflow.web.submission import wrong
from oxoflow.workspace import WORKFLOW_FILE, is_upload_name, open_regular


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


def planned(
    text: str,
    directory: Path,
    options: Options,
    preview: Mapping[str, Any] | None = None,
    settings: Sequence[str] = (),
) -> dict[str, Any]:
    """What a worker finds out about a text before it is queued (`planning.plan_launch`).

    Raises WorkflowError, and Unprocessable for a target or a rule to repeat that means no job, or
    when one of the unknown `settings` that were given is the name of a config value of the text.
    """
    asked = {
        "toml_content": text,
        "directory": str(directory),
        "data_roots": [str(path) for path in services().settings.data_roots],
        "overrides": dict(options.config),
        "samples": list(options.samples),
        "targets": list(options.targets),
        "force": list(options.force),
        "preview": preview,
        "settings": list(settings),
    }
    found = services().texts("launch", asked)
    if "misplaced" in found:
        raise wrong(
            f"config.{found['misplaced']}",
            "is no setting of a run: values of the workflow's [config] go into 'config_overrides'",
        )
    if "wrong_name" in found:
        field = "from_rule" if found["named_in"] == "force" else "targets"
        raise wrong(field, f"names no job: {found['wrong_name']}")
    return found
