"""Choose samples from the command line: sheets that replace or append, names, first:N, ready.

Owns spec/oxoflow-format.md 2.8 and keeps the injected config lists in step. Sheets run in order,
then the filters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from oxoflow.lang.faults import UNUSABLE, error, workflow_failure
from oxoflow.lang.lists import split_commas
from oxoflow.lang.model import Pair, SampleGroup, Workflow
from oxoflow.lang.paths import beside
from oxoflow.lang.sheets import SheetError, read_groups
from oxoflow.lang.view import FileView
from oxoflow.lang.wildcards import PAIR_NAMES, SAMPLE_NAMES

DECLARED_GROUP = "samples"
READY = "ready"
_FIRST = "first:"


class _Filters(Struct, frozen=True):
    names: tuple[str, ...]
    first: int | None
    ready: bool


def select_samples(
    workflow: Workflow,
    specs: Sequence[str],
    view: FileView,
    directory: str,
    ready_samples: Callable[[Workflow], Iterable[str]],
) -> Workflow:
    """Apply every `--samples` spec. `ready_samples` tells which have all their input files.

    Raises WorkflowError for an unreadable or empty sheet, a malformed spec, nothing left.
    """
    for spec in specs:
        if spec.startswith(("@", "+@")):
            path = beside(directory, spec.lstrip("+").removeprefix("@"))
            groups = _read_sheet(spec, path, view, workflow.limits.sheet)
            workflow = _append(workflow, groups) if spec[0] == "+" else _replace(workflow, groups)
    filters = _filters([spec for spec in specs if not spec.startswith(("@", "+@"))])
    if filters.ready:
        workflow = _keep(workflow, set(ready_samples(workflow)), "ready")
    if filters.names or filters.first is not None:
        workflow = _filter(workflow, filters)
    return workflow


def _read_sheet(spec: str, path: str, view: FileView, largest: int) -> tuple[SampleGroup, ...]:
    data = view.read(path)
    if data is None:
        raise _failure(f"--samples {spec}: there is no file '{path}'; correct the path")
    try:
        groups = read_groups(path, data, largest)
    except SheetError as fault:
        raise _failure(f"--samples {spec}: {fault}") from None
    if not any(group.samples for group in groups):
        raise _failure(f"--samples {spec}: the sheet lists no sample; add some")
    return groups


def _failure(message: str) -> Exception:
    return workflow_failure([error(UNUSABLE, message)])


def _filters(specs: Sequence[str]) -> _Filters:
    names: list[str] = []
    first: int | None = None
    ready = False
    for spec in specs:
        if not split_commas(spec):
            raise _failure(f"--samples {spec!r} names no sample; leave it out to take all")
    for part in [part for spec in specs for part in split_commas(spec)]:
        if part == READY:
            ready = True
        elif part.startswith(_FIRST):
            digits = part.removeprefix(_FIRST).strip()
            if not (digits.isascii() and digits.isdigit() and len(digits) < 10):
                raise _failure(f"--samples {part} is malformed; write first:N, such as first:2")
            first = max(first or 0, int(digits))
        else:
            names.append(part)
    return _Filters(tuple(dict.fromkeys(names)), first, ready)


def _replace(workflow: Workflow, groups: tuple[SampleGroup, ...]) -> Workflow:
    """Take the sheet's groups instead; pairs that lost a member go too."""
    gone = {group.name for group in workflow.groups} - {group.name for group in groups}
    config = {
        key: value
        for key, value in workflow.config.items()
        if key not in {f"samples_{name}" for name in gone}
    }
    known = {sample for group in groups for sample in group.samples}
    pairs = tuple([pair for pair in workflow.pairs if _members(pair) <= known])
    return _chosen(replace(workflow, config=config), groups, pairs)


def _append(workflow: Workflow, groups: tuple[SampleGroup, ...]) -> Workflow:
    merged = {group.name: group for group in workflow.groups}
    for group in groups:
        mine = merged.get(group.name)
        samples = (*(mine.samples if mine else ()), *group.samples)
        merged[group.name] = replace(mine or group, samples=tuple(dict.fromkeys(samples)))
    return with_lists(replace(workflow, groups=tuple(merged.values())))


def _filter(workflow: Workflow, filters: _Filters) -> Workflow:
    order = ordered_samples(workflow)
    if not order and filters.names:
        group = SampleGroup(DECLARED_GROUP, filters.names)
        return with_lists(replace(workflow, groups=(group,)))
    by_id = {pair.pair_id: pair for pair in workflow.pairs}
    wanted = set(order[: filters.first or 0])
    unknown = []
    for name in filters.names:
        if name in by_id:
            wanted |= _members(by_id[name])
        elif name in order:
            wanted.add(name)
        else:
            unknown.append(name)
    if unknown:
        warning = f"--samples: {', '.join(unknown)} named, but no such sample is in the workflow"
        workflow = replace(workflow, warnings=(*workflow.warnings, warning))
    return _keep(workflow, wanted, "named")


def _keep(workflow: Workflow, wanted: set[str], how: str) -> Workflow:
    groups = tuple(
        [replace(g, samples=tuple([s for s in g.samples if s in wanted])) for g in workflow.groups]
    )
    pairs = tuple([pair for pair in workflow.pairs if _members(pair) <= wanted])
    if not pairs and not any(group.samples for group in groups):
        listed = ", ".join(ordered_samples(workflow)[:20]) or "none"
        half = next((pair for pair in workflow.pairs if _members(pair) & wanted), None)
        if half is not None:
            both = f"{half.experiment} and {half.control}"
            raise _failure(
                f"--samples leaves nothing: pair '{half.pair_id}' needs both of its samples, {both}"
            )
        raise _failure(f"--samples leaves nothing: no {how} sample among: {listed}")
    return _chosen(workflow, groups, pairs)


def _chosen(
    workflow: Workflow, groups: tuple[SampleGroup, ...], pairs: tuple[Pair, ...]
) -> Workflow:
    """Give the workflow with what was chosen; rules for what has nothing left have no jobs."""
    emptied, warnings = set(workflow.emptied), list(workflow.warnings)
    if workflow.pairs and not pairs:
        emptied.update(PAIR_NAMES, *[pair.metadata for pair in workflow.pairs])
        warnings.append("--samples leaves no pair: rules for pairs have no jobs")
    if any(g.samples for g in workflow.groups) and not any(g.samples for g in groups):
        emptied.update(SAMPLE_NAMES)
        warnings.append("--samples leaves no sample of a group: rules for samples have no jobs")
    chosen = replace(workflow, groups=groups, pairs=pairs, emptied=frozenset(emptied))
    return with_lists(replace(chosen, warnings=tuple(warnings)))


def _members(pair: Pair) -> set[str]:
    return {pair.experiment, pair.control} - {""}


def ordered_samples(workflow: Workflow) -> list[str]:
    """Give every sample once: groups in order, then the members of pairs."""
    names = [sample for group in workflow.groups for sample in group.samples]
    names += [n for pair in workflow.pairs for n in (pair.experiment, pair.control) if n]
    return list(dict.fromkeys(names))


def with_lists(workflow: Workflow) -> Workflow:
    """Write the injected lists anew, in workflow order, also when empty (2.6)."""
    config: dict[str, Any] = dict(workflow.config)
    config["samples_list"] = ",".join(ordered_samples(workflow))
    config["pairs_list"] = ",".join(sorted({pair.pair_id for pair in workflow.pairs}))
    for group in workflow.groups:
        config[f"samples_{group.name}"] = ",".join(group.samples)
    return replace(workflow, config=config)
