"""Take a workflow from its text or file to a DAG of jobs: the one front door of the engine.

Owns the order of the load steps (spec/oxoflow-format.md 0) and the view of a real directory.
Every verb, the command line and the runner come through here; what each step does is in `lang`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from oxoflow.engine.checking import Reading, check, read
from oxoflow.engine.configtext import ConfigTexts
from oxoflow.engine.dag import Dag
from oxoflow.engine.files import WorkFiles
from oxoflow.engine.joining import join
from oxoflow.engine.overlaps import overlap_warnings
from oxoflow.engine.render import command_texts
from oxoflow.errors import Diagnostic, UsageError, WorkflowError
from oxoflow.lang.checks.rules import idle_scatter
from oxoflow.lang.compose import merge, settled, unmerged
from oxoflow.lang.configrefs import MARK
from oxoflow.lang.deadline import Deadline
from oxoflow.lang.declared import check_config
from oxoflow.lang.expand import expand
from oxoflow.lang.faults import summary, workflow_failure
from oxoflow.lang.findings import once
from oxoflow.lang.grouping import empty_groups
from oxoflow.lang.model import Job, Module, Workflow
from oxoflow.lang.parse import decode_text, parse_toml, require_readable
from oxoflow.lang.positions import locate_included
from oxoflow.lang.validate import stops_a_run, validate
from oxoflow.lang.view import NOTHING, FileView
from oxoflow.limits import DEFAULT, Limits

EXTENSION = ".oxoflow"
DirectoryView = WorkFiles  # a directory as `lang` sees it: exists, glob, read


class Loaded(Struct, frozen=True):
    """A workflow that can be planned, as composed, with its jobs and their DAG."""

    workflow: Workflow
    jobs: tuple[Job, ...]
    dag: Dag


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
    Raises WorkflowError with every error that is found, at its place.
    """
    chosen: dict[str, Any] = {
        "directory": directory,
        "overrides": overrides or {},
        "samples": samples,
        "profile": profile,
    }
    reading = read(text, limits)
    try:
        loaded = _load(reading, view, chosen, deadline, to_run=to_run, asks=MARK in text)
    except WorkflowError as error:
        checked = check(reading, view, chosen, deadline=deadline)
        _add(error, stops_a_run(checked.errors))
        raise
    more = overlap_warnings(loaded.dag, loaded.workflow.config)
    more += [summary([each]) for each in empty_groups(loaded.workflow, loaded.jobs)]
    if loaded.dag.jobless:
        config = loaded.workflow.config
        idle = [found for rule in loaded.workflow.rules for found in idle_scatter(rule, config)]
        more += [summary([each]) for each in idle]
    if more:
        warnings = (*loaded.workflow.warnings, *more)
        loaded = replace(loaded, workflow=replace(loaded.workflow, warnings=warnings))
    return loaded


def _load(
    reading: Reading,
    view: FileView,
    chosen: Mapping[str, Any],
    deadline: Deadline | None,
    *,
    to_run: bool,
    asks: bool,
) -> Loaded:
    """Go the steps; `asks` says that the text itself names config values."""
    modules: tuple[Module, ...] = ()
    try:
        require_readable(reading.workflow, reading.faults)
        merged, problems = merge(reading.workflow, view, **chosen)
        modules = merged.modules
        if problems:
            raise unmerged(merged, problems)
        if to_run:
            _require_soundness(merged, view)
        workflow = settled(merged)
        jobs = expand(workflow, view, deadline=deadline)
        if to_run and not workflow.gaps.config and (asks or workflow.includes):
            _require_config(workflow, jobs)
        return Loaded(workflow, jobs, join(workflow, jobs))
    except WorkflowError as error:
        error.diagnostics = tuple(reading.places.locate(error.diagnostics, modules))
        raise


def _add(error: WorkflowError, found: Iterable[Diagnostic]) -> None:
    """Let an exception say what else is wrong, unless it stands for no place in the text."""
    error.diagnostics = tuple(once(error.diagnostics))
    told = {(each.code, each.file, each.line, each.column) for each in error.diagnostics}
    more = [each for each in found if (each.code, each.file, each.line, each.column) not in told]
    if error.diagnostics:
        error.diagnostics = (*error.diagnostics, *more)
        error.message = summary(error.diagnostics)
        error.args = (error.message,)


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
