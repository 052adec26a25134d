"""Find everything that is wrong with a workflow text, in one go.

Owns what is still certain when a step of loading fails (spec/oxoflow-format.md 0), and that each
finding comes once. What is checked is in `lang`; how a sound text is loaded, in `load`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from oxoflow.engine.circles import certain_circles, circles_among
from oxoflow.engine.dag import Dag
from oxoflow.engine.joining import join
from oxoflow.errors import Diagnostic, ParseError, Severity, WorkflowError
from oxoflow.lang.compose import merge, settled
from oxoflow.lang.deadline import Deadline
from oxoflow.lang.declared import check_config
from oxoflow.lang.expand import expand
from oxoflow.lang.findings import MORE, bounded, once
from oxoflow.lang.grouping import EMPTY, empty_groups
from oxoflow.lang.model import Job, Workflow
from oxoflow.lang.parse import read_workflow
from oxoflow.lang.positions import Places
from oxoflow.lang.validate import errors_of, without_rules
from oxoflow.lang.view import NOTHING, FileView
from oxoflow.limits import DEFAULT, Limits

_CIRCLE = "E006"
_SPLIT = "transform.split.values_from"  # where it cannot be found, there is no split


class Checked(Struct, frozen=True):
    """What came of looking at a text: as far as it went, and everything that is wrong with it.

    `readable` is what could be read of a text that is no workflow, if it is TOML at least.
    """

    workflow: Workflow | None
    jobs: tuple[Job, ...]
    dag: Dag | None
    diagnostics: tuple[Diagnostic, ...]
    readable: Workflow | None = None

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """The diagnostics that keep the workflow from running."""
        return tuple(item for item in self.diagnostics if item.severity is Severity.ERROR)


class Reading(Struct, frozen=True):
    """A text that was read: as much of it as could be, what is wrong with it, and its places."""

    workflow: Workflow
    faults: Sequence[Diagnostic]
    places: Places


def check_text(
    text: str,
    view: FileView = NOTHING,
    *,
    directory: str = "",
    overrides: Mapping[str, str] | None = None,
    samples: Sequence[str] = (),
    profile: Mapping[str, Any] | None = None,
    look: bool = False,
    deadline: Deadline | None = None,
    limits: Limits = DEFAULT,
) -> Checked:
    """Find everything that is wrong with a text; never raises WorkflowError.

    `look` lets the checks that ask for files (missing inputs, scripts) use the view.
    """
    try:
        reading = read(text, limits)
    except ParseError as error:
        return Checked(None, (), None, error.diagnostics)
    chosen = {
        "directory": directory,
        "overrides": overrides or {},
        "samples": samples,
        "profile": profile,
    }
    return check(reading, view, chosen, look=look, deadline=deadline)


def read(text: str, limits: Limits = DEFAULT) -> Reading:
    """Read a text as far as it can be read. Raises ParseError, placed, when it is not TOML."""
    places = Places(text)
    try:
        return Reading(*read_workflow(text, limits), places)
    except ParseError as error:
        error.diagnostics = tuple(places.locate(error.diagnostics))
        raise


def check(
    reading: Reading,
    view: FileView,
    chosen: Mapping[str, Any],
    *,
    look: bool = False,
    deadline: Deadline | None = None,
) -> Checked:
    """Do the same for a text that was read; `chosen` is what `merge` wants to know."""
    workflow, found = reading.workflow, reading.faults
    limits, sound = workflow.limits, not found
    merged = workflow
    try:
        merged, problems = merge(workflow, view, **chosen)
    except WorkflowError as error:
        problems = _told(error)
    every = chain(found, problems, errors_of(merged, view if look else None))
    found = bounded(_new(_ending(every)), limits.findings)
    found += _unfit_values(merged, view) if look else ()
    composed = settled(merged)
    jobs: tuple[Job, ...] = ()
    dag: Dag | None = None
    if sound and not problems:
        jobs, dag = _joined(composed, view, deadline, found, look=look)
    elif all(each.code != MORE for each in found):
        found += certain_circles(composed, view, deadline)
    placed = once(reading.places.locate(_new(found), merged.modules))
    if not sound:
        return Checked(None, jobs, dag, tuple(placed), readable=merged)
    return Checked(composed, jobs, dag, tuple(placed))


def _joined(
    workflow: Workflow,
    view: FileView,
    deadline: Deadline | None,
    found: list[Diagnostic],
    *,
    look: bool,
) -> tuple[tuple[Job, ...], Dag | None]:
    """Give the jobs of a workflow and their DAG, and add what is wrong with them to `found`."""
    jobs: tuple[Job, ...] = ()
    try:
        jobs = expand(workflow, view, deadline=deadline)
        if look:
            idle = {item.rule for item in found if item.code == EMPTY}
            found += without_rules(workflow)
            found += [item for item in empty_groups(workflow, jobs) if item.rule not in idle]
        return jobs, join(workflow, jobs)
    except WorkflowError as error:
        known = {(item.code, item.rule) for item in found}
        known |= {("E018", item.rule) for item in found if item.key == _SPLIT}
        stopped = _told(error)
        if not error.diagnostics and any(error.message in item.message for item in found):
            stopped = []
        found += [item for item in stopped if (item.code, item.rule) not in known]
    if all(item.code != _CIRCLE for item in stopped):
        if jobs:
            found += circles_among(workflow, jobs)
        else:
            found += certain_circles(workflow, view, deadline)
    return jobs, None


def _told(error: WorkflowError) -> list[Diagnostic]:
    return [*error.diagnostics] or [Diagnostic(Severity.ERROR, _CIRCLE, error.message)]


def _ending(found: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """Yield the findings, and as the last of them what ends the search."""
    try:
        yield from found
    except WorkflowError as error:
        yield from _told(error)


def _new(found: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """Yield each finding once."""
    seen: set[tuple[str | None, ...]] = set()
    for each in found:
        mark = (each.code, each.rule, each.message, each.key, each.file)
        if mark not in seen:
            seen.add(mark)
            yield each


def _unfit_values(workflow: Workflow, view: FileView) -> list[Diagnostic]:
    """Warn of config values that their own declarations refuse: a run wants others (1.4)."""
    return [
        replace(each, severity=Severity.WARNING)
        for each in check_config(workflow, view)
        if each.key and workflow.config.get(each.key.removeprefix("config."))
    ]
