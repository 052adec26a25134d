"""Find and load the workflow that a command line means.

Owns the way from arguments to a loaded workflow and its directory; what loading is, is in
`engine.load`.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from oxoflow.commands.arguments import Arguments, settle_pairs
from oxoflow.engine.files import absolute
from oxoflow.engine.load import Loaded, find_workflow, load_file, read_text
from oxoflow.errors import UsageError, WorkflowError
from oxoflow.lang.parse import parse_workflow
from oxoflow.lang.positions import locate
from oxoflow.settings import load_limits


class Place(Struct, frozen=True):
    """A workflow file and the directory it runs in, both absolute."""

    file: Path
    workdir: Path


def find_place(arguments: Arguments) -> Place:
    """Resolve FILE and --workdir; raises UsageError when one is not there."""
    workdir = Path(arguments.workdir) if getattr(arguments, "workdir", None) else None
    if workdir is not None and not workdir.is_dir():
        raise UsageError(f"--workdir '{workdir}' is no directory; make it first")
    named = getattr(arguments, "file", None)
    if named and Path(named).is_dir():
        file = find_workflow(Path(named))
    else:
        file = Path(named) if named else find_workflow(Path.cwd())
    if not file.exists():
        raise UsageError(f"workflow file '{file}' not found; check the path")
    file = absolute(file.parent) / file.name
    return Place(file, absolute(workdir or file.parent))


@contextlib.contextmanager
def placed(text: str, file: str | None = None) -> Iterator[None]:
    """Give the problems of a text that is read in here their lines, and their file."""
    try:
        yield
    except WorkflowError as error:
        found = locate(text, error.diagnostics)
        error.diagnostics = tuple(replace(each, file=each.file or file) for each in found)
        raise


def write_text(path: str, text: str) -> None:
    """Write what `--output` asks for; raises UsageError."""
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"'{path}' cannot be written: {error.strerror}") from None


def load(arguments: Arguments, place: Place, *, to_run: bool = True) -> Loaded:
    """Load the workflow with the overrides, samples and profile of the command line.

    Without `to_run`, config values that a run would miss are no error.
    """
    limits = load_limits()
    overrides = dict(arguments.overrides)
    if arguments.pairs:
        known = list(parse_workflow(read_text(place.file), limits).config)
        overrides.update(settle_pairs(arguments.pairs, known, "oxoflow"))
    loaded = load_file(
        place.file,
        workdir=place.workdir,
        overrides=overrides,
        samples=arguments.samples,
        profile=arguments.profile,
        to_run=to_run,
        limits=limits,
    )
    for warning in loaded.workflow.warnings:
        print(f"oxoflow: warning: {warning}", file=sys.stderr)
    return loaded
