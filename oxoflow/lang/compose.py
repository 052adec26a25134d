"""Put a workflow together from its text, the files beside it, and what its caller chose.

Owns the order of spec/oxoflow-format.md 0 between parsing and expansion; each step lives in a
module of its own. Collects what is wrong in all steps before it raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from msgspec.structs import replace

from oxoflow.errors import Diagnostic, Severity, WorkflowError
from oxoflow.lang.configrefs import fill, settle
from oxoflow.lang.defaults import apply_defaults
from oxoflow.lang.discovery import PatternError, discover_pairs, discover_samples
from oxoflow.lang.faults import UNUSABLE, error, workflow_failure
from oxoflow.lang.findings import bounded
from oxoflow.lang.gaps import NO_SOURCES, together
from oxoflow.lang.includes import resolve_includes
from oxoflow.lang.inherit import apply_extends
from oxoflow.lang.model import Workflow
from oxoflow.lang.nearest import likely_file, most_alike
from oxoflow.lang.paths import beside, leaves_root, parent
from oxoflow.lang.positions import locate_included
from oxoflow.lang.profiles import merge_profile
from oxoflow.lang.readiness import readiness
from oxoflow.lang.references import DERIVED_KEYS, check_references, derive_references
from oxoflow.lang.selection import ordered_samples, select_samples
from oxoflow.lang.sheets import SheetError, read_groups, read_metadata, read_pairs
from oxoflow.lang.validate import validate
from oxoflow.lang.values import config_text
from oxoflow.lang.view import NOTHING, FileView

T = TypeVar("T")
_MOST_BESIDE = 10_000  # entries of a directory that are looked through for a likely name
_GLOB_MARKS = frozenset("*?[")
_KNOWN_KEYS = frozenset(
    (*DERIVED_KEYS, "reference_dir", "samples_list", "pairs_list", "cache_max_age_days")
)


def compose(
    workflow: Workflow,
    view: FileView,
    *,
    directory: str = "",
    overrides: Mapping[str, str] | None = None,
    samples: Sequence[str] = (),
    profile: Mapping[str, Any] | None = None,
) -> Workflow:
    """Give the workflow with everything merged that decides its jobs.

    `directory` is where the workflow file lies, relative to the view's root; `profile` is a parsed
    profile file. With the view that sees nothing, files are left out without complaint.
    Raises WorkflowError with every problem found.
    """
    merged, problems = merge(
        workflow, view, directory=directory, overrides=overrides, samples=samples, profile=profile
    )
    if problems:
        raise unmerged(merged, problems)
    return settled(merged)


def merge(
    workflow: Workflow,
    view: FileView,
    *,
    directory: str = "",
    overrides: Mapping[str, str] | None = None,
    samples: Sequence[str] = (),
    profile: Mapping[str, Any] | None = None,
) -> tuple[Workflow, list[Diagnostic]]:
    """Give the workflow with the files that it names, its rules still as written, and the problems.

    With problems it is what could be merged, and its gaps tell what is missing; samples are chosen
    only without. Raises WorkflowError for samples that cannot be chosen.
    """
    chosen = dict(overrides or {})
    workflow, problems = resolve_includes(workflow, view, directory)
    whole = profile is None and not (view is NOTHING and workflow.includes)
    strays = _strays(workflow, chosen) if whole and not problems else ()
    workflow = replace(
        workflow,
        config={**workflow.config, **chosen},
        warnings=(*workflow.warnings, *strays),
    )
    if view is not NOTHING:
        unread = len(problems)
        workflow = _read_sources(workflow, view, directory, problems)
        if len(problems) > unread:
            workflow = replace(workflow, gaps=together([workflow.gaps, NO_SOURCES]))
    workflow = inject_lists(workflow)
    problems += check_references(workflow)
    if not problems:
        workflow = derive_references(workflow)
    if profile:
        workflow, found = merge_profile(workflow, profile)
        workflow = replace(workflow, config={**workflow.config, **chosen})
        problems += found
    if samples and not problems:
        workflow = select_samples(workflow, samples, view, directory, _ready_samples(view))
    return workflow, problems


def unmerged(workflow: Workflow, problems: Sequence[Diagnostic]) -> WorkflowError:
    """Make the exception for problems of merging, with what else is certainly wrong."""
    known = set(problems)
    errors = [each for each in validate(workflow) if each.severity is not Severity.WARNING]
    found = [*problems, *[each for each in errors if each not in known]]
    listed = bounded(found, workflow.limits.findings)
    return workflow_failure(locate_included(listed, workflow.modules))


def settled(workflow: Workflow) -> Workflow:
    """Give a merged workflow with its rules completed from their bases and the defaults."""
    return apply_defaults(apply_extends(workflow))


def _strays(workflow: Workflow, chosen: Mapping[str, str]) -> Iterator[str]:
    """Warn of values that are set for keys which the workflow names nowhere: slips of the pen."""
    unknown = [key for key in chosen if key not in workflow.config and key not in _KNOWN_KEYS]
    everything = repr(replace(workflow, modules=())) if unknown else ""
    for key in unknown:
        if key not in everything:
            near = most_alike(key, workflow.config)
            meant = f"; did you mean '{near}'?" if near else ""
            yield f"config '{key}' is set, but nothing in the workflow reads it{meant}"


def _ready_samples(view: FileView) -> Callable[[Workflow], list[str]]:
    def ready(workflow: Workflow) -> list[str]:
        missing = readiness(workflow, view).missing
        return [sample for sample in ordered_samples(workflow) if sample not in missing]

    return ready


def _read_sources(
    workflow: Workflow, view: FileView, directory: str, problems: list[Diagnostic]
) -> Workflow:
    """Append pairs and groups from files and by discovery, in the order of 0, steps 5 and 6."""
    pairs, groups, warnings = workflow.pairs, workflow.groups, workflow.warnings
    if workflow.pairs_file:
        pairs += _sheet(workflow, "pairs_file", read_pairs, view, directory, problems) or ()
    pattern = _filled(workflow.pairs_pattern, workflow, problems)
    if pattern:
        found = _discover(discover_pairs, pattern, view, directory, problems) or ()
        warnings = warnings if found else (*warnings, _nothing("pairs_pattern", pattern))
        pairs += found
    if workflow.sample_groups_file:
        found_groups = _sheet(
            workflow, "sample_groups_file", read_groups, view, directory, problems
        )
        groups += found_groups or ()
    pattern = _filled(workflow.sample_pattern, workflow, problems)
    if pattern:
        group = _discover(discover_samples, pattern, view, directory, problems)
        warnings = warnings if group else (*warnings, _nothing("sample_pattern", pattern))
        groups += (group,) if group else ()
    workflow = replace(workflow, pairs=pairs, groups=groups, warnings=warnings)
    if workflow.metadata_file:
        metadata = _sheet(workflow, "metadata_file", read_metadata, view, directory, problems)
        workflow = replace(workflow, metadata=metadata or {})
    return workflow


def _nothing(key: str, pattern: str) -> str:
    return f"{key} '{pattern}' matches no file"


def _filled(pattern: str | None, workflow: Workflow, problems: list[Diagnostic]) -> str | None:
    if not pattern or "{config." not in pattern:
        return pattern
    texts = {key: config_text(value) for key, value in workflow.config.items()}
    try:
        return fill(pattern, settle(texts))
    except WorkflowError as failure:
        problems.append(error(UNUSABLE, failure.message, key="config"))
        return None


def _likely_sheet(path: str, directory: str, view: FileView) -> str:
    """Name the sheet that is probably meant: alike in its directory, or of its name elsewhere."""
    if leaves_root(beside(directory, path)) or not _GLOB_MARKS.isdisjoint(path):
        return "correct the path"
    name = path.rpartition("/")[2]
    folder, top = beside(directory, parent(path)), f"{directory}/" if directory else ""
    there = view.glob(f"{folder}/*" if folder else "*")[:_MOST_BESIDE]
    near = likely_file(path, there)
    if near is None:
        found = [*view.glob(f"{top}{name}"), *view.glob(f"{top}*/{name}")]
        near = found[0] if found else None
    return f"did you mean '{near.removeprefix(top)}'?" if near else "correct the path"


def _sheet(
    workflow: Workflow,
    key: str,
    read: Callable[[str, bytes, int], T],
    view: FileView,
    directory: str,
    problems: list[Diagnostic],
) -> T | None:
    path = getattr(workflow, key)
    place = beside(directory, path)
    data = view.read(place)
    try:
        if data is None:
            where = f" (looked for '{place}')" if place != path else ""
            raise SheetError(
                f"there is no such file{where}; {_likely_sheet(path, directory, view)}"
            )
        return read(path, data, workflow.limits.sheet)
    except SheetError as fault:
        message = f"{key} '{path}': {fault}"
        problems.append(error(UNUSABLE, message, key=f"workflow.{key}"))
        return None


def _discover(
    discover: Callable[[str, FileView, str], T],
    pattern: str,
    view: FileView,
    directory: str,
    problems: list[Diagnostic],
) -> T | None:
    try:
        return discover(pattern, view, directory)
    except PatternError as fault:
        key = "pairs_pattern" if discover is discover_pairs else "sample_pattern"
        problems.append(error(UNUSABLE, f"{key} {fault}", key=f"workflow.{key}"))
        return None


def inject_lists(workflow: Workflow) -> Workflow:
    """Add `samples_list`, `pairs_list` and `samples_<group>` to the config (2.6)."""
    config = dict(workflow.config)
    _merge_list(config, "samples_list", set(ordered_samples(workflow)))
    _merge_list(config, "pairs_list", {pair.pair_id for pair in workflow.pairs})
    for group in workflow.groups:
        config.setdefault(f"samples_{group.name}", ",".join(group.samples))
    return replace(workflow, config=config)


def _merge_list(config: dict[str, Any], key: str, names: set[str]) -> None:
    """Join the names with a string that the author wrote; an array there is replaced (2.6)."""
    if names:
        written = config.get(key)
        own = [part.strip() for part in written.split(",")] if isinstance(written, str) else []
        config[key] = ",".join(sorted(names.union(own) - {""}))
