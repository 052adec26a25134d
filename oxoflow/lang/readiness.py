"""Tell which samples have all the input files that no rule makes.

Owns the readiness of spec/oxoflow-format.md 2.8. Looks through a view; changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from oxoflow.lang.condition import evaluate
from oxoflow.lang.configrefs import fill, settle
from oxoflow.lang.expand import expand
from oxoflow.lang.model import Job, Workflow
from oxoflow.lang.values import config_text
from oxoflow.lang.view import FileView

_SAMPLE_BINDINGS = ("sample", "experiment", "control")


class Readiness(Struct, frozen=True):
    """The missing files of each sample that lacks some, and those that belong to no sample."""

    missing: Mapping[str, tuple[str, ...]]
    unattributed: tuple[str, ...]


def readiness(workflow: Workflow, view: FileView) -> Readiness:
    """Look for every external input of every job that must have its inputs.

    A job whose condition is false as things stand needs none.
    """
    texts = settle({key: config_text(value) for key, value in workflow.config.items()})
    jobs = expand(workflow, view)
    made = {fill(path, texts) for job in jobs for path in job.output.paths}
    made |= {fill(reference.output, texts) for reference in workflow.references}
    made |= {folder for path in made for folder in _folders(path)}
    missing: dict[str, dict[str, None]] = {}
    unattributed: dict[str, None] = {}
    held: dict[str, bool] = {}
    for job in jobs:
        when = job.rule.when
        if when and when not in held:
            held[when] = evaluate(when, workflow.config, view)
        if job.rule.optional or (when and not held[when]):
            continue
        for written in job.input.paths:
            path = fill(written, texts)
            if path.rstrip("/") in made or "{" in path or "*" in path or view.exists(path):
                continue
            sample = _owner(job, path)
            (missing.setdefault(sample, {}) if sample else unattributed)[path] = None
    return Readiness(
        {sample: tuple(paths) for sample, paths in missing.items()}, tuple(unattributed)
    )


def _folders(path: str) -> Iterator[str]:
    """Yield a path without a slash at its end, and the directories that it is in."""
    path = path.rstrip("/")
    while path:
        yield path
        path = path.rpartition("/")[0]


def _owner(job: Job, path: str) -> str | None:
    """Give the longest sample name of the job that stands in the path."""
    bindings = dict(job.bindings)
    names = [bindings[key] for key in _SAMPLE_BINDINGS if bindings.get(key)]
    inside = [name for name in names if name in path]
    return max(inside, key=len) if inside else None
