"""Take a workflow from its text or file to a DAG of jobs: the one front door of the engine.

Owns the order of the load steps (spec/oxoflow-format.md 0) and the view of a real directory.
Every verb, the command line and the runner come through here; what each step does is in `lang`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from oxoflow.engine.circles import certain_circles, circles_among
from oxoflow.engine.configtext import ConfigTexts
from oxoflow.engine.dag import Dag, build_dag
from oxoflow.engine.files import WorkFiles
from oxoflow.engine.overlaps import overlap_warnings
from oxoflow.engine.render import command_texts
from oxoflow.errors import Diagnostic, ParseError, Severity, UsageError, WorkflowError
from oxoflow.lang.compose import merge, settled, unmerged
from oxoflow.lang.condition import tests_wildcards
from oxoflow.lang.configrefs import MARK
from oxoflow.lang.deadline import Deadline
from oxoflow.lang.declared import check_config
from oxoflow.lang.expand import expand
from oxoflow.lang.faults import summary, workflow_failure
from oxoflow.lang.findings import MORE, bounded
from oxoflow.lang.grouping import empty_groups
from oxoflow.lang.model import Job, Module, Workflow
from oxoflow.lang.parse import decode_text, parse_toml, parse_workflow, read_workflow
from oxoflow.lang.positions import locate, locate_included
from oxoflow.lang.validate import errors_of, stops_a_run, validate, without_rules
from oxoflow.lang.view import NOTHING, FileView
from oxoflow.limits import DEFAULT, Limits

EXTENSION = ".oxoflow"
_CIRCLE = "E006"
DirectoryView = WorkFiles  # a directory as `lang` sees it: exists, glob, read


class Loaded(Struct, frozen=True):
    """A workflow that can be planned, as composed, with its jobs and their DAG."""

    workflow: Workflow
    jobs: tuple[Job, ...]
    dag: Dag


class Checked(Struct, frozen=True):
    """What came of looking at a text: as far as it went, and everything that is wrong with it."""

    workflow: Workflow | None
    jobs: tuple[Job, ...]
    dag: Dag | None
    diagnostics: tuple[Diagnostic, ...]

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """The diagnostics that keep the workflow from running."""
        return tuple(item for item in self.diagnostics if item.severity is Severity.ERROR)


def load_text(
    text: str,
    *,
    view: FileView = NOTHING,
    overrides: Mapping[str, str] | None = None,
    samples: Sequence[str] = (),
    directory: str = "",
    profile: Mapping[str, Any] | None = None,
    deadline: Deadline | None = None,
    to_run: bool = True,
    limits: Limits = DEFAULT,
) -> Loaded:
    """Load a workflow from its text; `directory` is where it lies below the view's root.

    `to_run` asks for what a run needs: no error of the validator, every required config value.
    Raises WorkflowError, its diagnostics with their places.
    """
    modules: tuple[Module, ...] = ()
    try:
        merged, problems = merge(
            parse_workflow(text, limits),
            view,
            directory=directory,
            overrides=overrides or {},
            samples=samples,
            profile=profile,
        )
        modules = merged.modules
        if problems:
            raise unmerged(merged, problems)
        if to_run:
            _require_soundness(merged, view)
        workflow = settled(merged)
        jobs = expand(workflow, view, deadline=deadline)
        if to_run and (MARK in text or workflow.includes):
            _require_config(workflow, jobs)
        dag = _dag(workflow, jobs)
    except WorkflowError as error:
        error.diagnostics = tuple(locate(text, error.diagnostics, modules))
        raise
    more = overlap_warnings(dag, workflow.config)
    more += [summary([each]) for each in empty_groups(workflow, jobs)]
    if more:
        workflow = replace(workflow, warnings=(*workflow.warnings, *more))
    return Loaded(workflow, jobs, dag)


def load_file(
    path: Path,
    *,
    workdir: Path | None = None,
    overrides: Mapping[str, str] | None = None,
    samples: Sequence[str] = (),
    profile: str | None = None,
    to_run: bool = True,
    limits: Limits = DEFAULT,
) -> Loaded:
    """Load a workflow file that runs in `workdir`, by default the file's own directory.

    Raises WorkflowError, and UsageError when the file or the profile is not there.
    """
    root = workdir or path.parent
    text = read_text(path)
    return load_text(
        text,
        view=DirectoryView(str(root.absolute())),
        overrides=overrides,
        samples=samples,
        directory=directory_of(path, root),
        profile=read_profile(path.parent, profile) if profile else None,
        to_run=to_run,
        limits=limits,
    )


def check_text(
    text: str,
    view: FileView = NOTHING,
    *,
    directory: str = "",
    overrides: Mapping[str, str] | None = None,
    look: bool = False,
    deadline: Deadline | None = None,
    limits: Limits = DEFAULT,
) -> Checked:
    """Find everything that is wrong with a text; never raises WorkflowError.

    `look` lets the checks that ask for files (missing inputs, scripts) use the view.
    """
    try:
        workflow, found = read_workflow(text, limits)
    except ParseError as error:
        return Checked(None, (), None, tuple(locate(text, error.diagnostics)))
    sound = not found
    merged = workflow
    try:
        merged, problems = merge(workflow, view, directory=directory, overrides=overrides or {})
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
    placed = _once(locate(text, _new(found), merged.modules))
    return Checked(composed if sound else None, jobs, dag, tuple(placed))


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
        found += [*without_rules(workflow), *empty_groups(workflow, jobs)] if look else ()
        return jobs, _dag(workflow, jobs)
    except WorkflowError as error:
        known = {(item.code, item.rule) for item in found}
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


def _once(placed: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """Leave out what is said of one place in an included file for each time it is included."""
    seen: set[tuple[Any, ...]] = set()
    for each in placed:
        words = each.message.replace(f"'{each.rule}'", "")
        mark = (each.code, each.file, each.line, each.column, words)
        if each.file is None or mark not in seen:
            seen.add(mark)
            yield each


def _unfit_values(workflow: Workflow, view: FileView) -> list[Diagnostic]:
    """Warn of config values that their own declarations refuse: a run wants others (1.4)."""
    return [
        replace(each, severity=Severity.WARNING)
        for each in check_config(workflow, view)
        if each.key and workflow.config.get(each.key.removeprefix("config."))
    ]


def _dag(workflow: Workflow, jobs: Sequence[Job]) -> Dag:
    dag = build_dag(
        jobs,
        execution_groups=workflow.execution_groups,
        config=workflow.config,
        limits=workflow.limits,
    )
    made = {job.rule.name for job in jobs}
    texts = dag.texts
    jobless: dict[str, tuple[str, ...]] = {}
    choosy: dict[str, tuple[str, ...]] = {}
    for rule in workflow.rules:
        if rule.name not in made:
            jobless[rule.name] = tuple([texts.path(path) for path in rule.output.paths])
        elif rule.when and tests_wildcards(rule.when):
            choosy[rule.name] = tuple([texts.path(path) for path in rule.output.paths])
    return replace(dag, jobless=jobless, choosy=choosy)


def directory_of(file: Path, root: Path) -> str:
    """Give where a workflow file lies, as a path relative to the directory it runs in."""
    relative = os.path.relpath(file.parent.absolute(), root.absolute())
    return "" if relative == "." else relative


def read_text(path: Path) -> str:
    """Read a workflow file; raises UsageError when it cannot be read."""
    try:
        return decode_text(path.read_bytes())
    except FileNotFoundError:
        raise UsageError(f"workflow file '{path}' not found; check the path") from None
    except OSError as error:
        raise UsageError(f"workflow file '{path}' cannot be read: {error.strerror}") from None


def find_workflow(directory: Path) -> Path:
    """Find the workflow of a directory: `main.oxoflow`, else the alphabetically first (1.1)."""
    main = directory / f"main{EXTENSION}"
    if main.is_file():
        return main
    found = sorted(path for path in directory.glob(f"*{EXTENSION}") if path.is_file())
    if not found:
        raise UsageError(f"no *{EXTENSION} file in '{directory}'; name the workflow file to use")
    return found[0]


def read_profile(directory: Path, name: str) -> dict[str, Any]:
    """Read `profiles/NAME.toml` (or .oxoflow) beside a workflow (1.19); raises UsageError."""
    folder = directory / "profiles"
    for suffix in (".toml", EXTENSION):
        path = folder / f"{name}{suffix}"
        if path.is_file():
            return parse_toml(read_text(path))
    known = sorted({path.stem for path in folder.glob("*") if path.suffix in (".toml", EXTENSION)})
    listed = f"profiles there: {', '.join(known)}" if known else f"'{folder}' holds no profile"
    raise UsageError(f"profile '{name}' not found; {listed}")


def _require_soundness(workflow: Workflow, view: FileView) -> None:
    """Stop at what validate calls an error (S35), and at config values that do not hold (1.4)."""
    problems = [*stops_a_run(validate(workflow)), *check_config(workflow, view)]
    if problems:
        raise workflow_failure(locate_included(problems, workflow.modules))


def _require_config(workflow: Workflow, jobs: Sequence[Job]) -> None:
    """Stop at the first `{config.key}` that has no value (fact 38), rule by rule."""
    texts = ConfigTexts(workflow.config)
    seen: set[tuple[str, str | None]] = set()
    for job in jobs:
        mark = (job.rule.name, job.shell if job.rule.transform else None)
        if mark in seen:
            continue
        seen.add(mark)
        rule = job.rule
        params = [text for text in rule.params.values() if isinstance(text, str)]
        others = (
            ("input", job.input.paths),
            ("output", job.output.paths),
            ("envvars", rule.envvars.values()),
            ("params", params),
        )
        written = [text for _, text in command_texts(job) if text]
        for _, values in others:
            written += values
        if not texts.defines("\n".join(written)):
            texts.require_defined(rule.name, command_texts(job))
            for field, values in others:
                texts.require_defined(rule.name, [(field, text) for text in values])
