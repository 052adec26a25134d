"""Check a text that is to be run, in the directory in which it will run.

Owns what such a text may see: the run directory and declared data roots, nothing else. Knows no
Flask and no database, so that it runs in a text worker, where a hostile text can be stopped.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from oxoflow.engine.checking import check_text
from oxoflow.engine.load import DirectoryView, Loaded, load_text
from oxoflow.engine.render import Renderer
from oxoflow.engine.select import jobs_called
from oxoflow.errors import UsageError, WorkflowError
from oxoflow.lang.deadline import Deadline
from oxoflow.settings import load_limits
from oxoflow.web.looking import SECONDS, folded, rule_order, worded
from oxoflow.web.previews import ROOMY, dry_run_body

MOST_DECLARED = 2000  # outputs; a larger run shows its other files without their rules


class ConfinedView:
    """A directory, and nothing above it or beside it except the data roots."""

    def __init__(self, root: Path, data_roots: Sequence[str]) -> None:
        self._files = DirectoryView(str(root))
        self._roots = tuple(data_root.rstrip("/") for data_root in data_roots)

    def exists(self, path: str) -> bool:
        return self._visible(path) and self._files.exists(path)

    def glob(self, pattern: str) -> list[str]:
        return self._files.glob(pattern) if self._visible(pattern) else []

    def read(self, path: str) -> bytes | None:
        return self._files.read(path) if self._visible(path) else None

    def size(self, path: str) -> int | None:
        return self._files.size(path) if self._visible(path) else None

    def lines(self, path: str) -> int | None:
        return self._files.lines(path) if self._visible(path) else None

    def _visible(self, path: str) -> bool:
        plain = posixpath.normpath(path)
        if not plain.startswith("/"):
            return plain != ".." and not plain.startswith("../")
        return any(plain == root or plain.startswith(root + "/") for root in self._roots)


def plan_launch(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What a submission needs to know of its text; raises WorkflowError with the line.

    With `preview` (the echoed config) the answer is that of a dry run. A name in `targets` or
    `force` that means no job is told as `wrong_name`, with the list as `named_in`; a config value
    among the `settings` that the server does not know as `misplaced`.
    """
    loaded = _load(asked)
    for name in asked.get("settings", ()):
        if name in loaded.workflow.config:
            return {"misplaced": name}
    for place in ("targets", "force"):
        for name in asked.get(place, ()):
            try:
                jobs_called(loaded.dag, name)
            except UsageError as error:
                return {"wrong_name": str(error), "named_in": place}
    if asked.get("preview") is not None:
        return {"preview": dry_run_body(loaded, asked["preview"])}
    return {
        "workflow_name": loaded.workflow.name,
        "order": rule_order(folded(loaded.workflow, loaded.dag)),
        "outputs": {path: list(made) for path, made in declared(loaded).items()},  # as in JSON
    }


def _load(asked: Mapping[str, Any]) -> Loaded:
    """Load a text as its runner will."""
    text, overrides = asked["toml_content"], asked["overrides"]
    view = ConfinedView(Path(asked["directory"]), asked["data_roots"])
    try:
        return load_text(
            text,
            view=view,
            overrides=overrides,
            samples=asked["samples"],
            deadline=Deadline.after(SECONDS),
            limits=load_limits(),
        )
    except WorkflowError as error:
        checked = check_text(
            text,
            view,
            overrides=overrides,
            deadline=Deadline.after(SECONDS),
            limits=load_limits(),
        )
        if not checked.errors:
            raise
        raise type(error)(worded(checked.errors), checked.errors) from None


def declared(loaded: Loaded) -> dict[str, tuple[str, str]]:
    """Relative output paths to the names of their rules and jobs; the first one counts."""
    renderer = Renderer(loaded.workflow, ROOMY, has_program=lambda name: True)
    found: dict[str, tuple[str, str]] = {}
    for job in loaded.jobs:
        if len(found) >= MOST_DECLARED:
            break
        try:
            outputs = renderer.output_files(job)
        except WorkflowError:  # the run will say so
            continue
        for path in outputs:
            if renderer.masked(path) != path or renderer.masked(job.name) != job.name:
                continue  # a sensitive value is never stored, not even in a name
            found.setdefault(posixpath.normpath(path), (job.rule.name, job.name))
    return dict(list(found.items())[:MOST_DECLARED])
