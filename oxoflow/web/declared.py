"""Say which rule declared which output of a workflow, as far as can be told before it runs."""

from __future__ import annotations

import posixpath

from oxoflow.engine.load import Loaded
from oxoflow.engine.render import Renderer
from oxoflow.errors import WorkflowError
from oxoflow.web.previews import ROOMY

MOST = 2000  # paths; a larger run shows its other files without their rules


def declared(loaded: Loaded) -> dict[str, str]:
    """Relative output paths to the names of their rules; the first one counts."""
    renderer = Renderer(loaded.workflow, ROOMY, has_program=lambda name: True)
    found: dict[str, str] = {}
    for job in loaded.jobs:
        if len(found) >= MOST:
            break
        try:
            outputs = renderer.outputs(job)
        except WorkflowError:  # the run will say so
            continue
        for path in outputs:
            found.setdefault(posixpath.normpath(path), job.rule.name)
    return dict(list(found.items())[:MOST])


def rule_of(path: str, known: dict[str, str]) -> str | None:
    """The rule of a file: of its own path, or of a directory that was declared as an output."""
    while path:
        if path in known:
            return known[path]
        path = posixpath.dirname(path)
    return None
