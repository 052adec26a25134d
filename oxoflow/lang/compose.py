"""Put a workflow together from its text, the files beside it, and what its caller chose.

Owns the order of spec/oxoflow-format.md 0 between parsing and expansion; each step lives in a
module of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from oxoflow.errors import Diagnostic, Severity, WorkflowError
from oxoflow.lang.defaults import apply_defaults
from oxoflow.lang.lists import config_list
from oxoflow.lang.model import SampleGroup, Workflow
from oxoflow.lang.view import FileView


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

    `directory` is where the workflow file lies, relative to the view's root. Raises WorkflowError.
    """
    workflow = _inject_lists(workflow)
    if overrides:
        workflow = replace(workflow, config={**workflow.config, **overrides})
    if samples:
        workflow = _select(workflow, samples)
    return apply_defaults(workflow)


def _inject_lists(workflow: Workflow) -> Workflow:
    """Add `samples_list`, `pairs_list` and `samples_<group>` to the config (2.6)."""
    samples = {sample for group in workflow.groups for sample in group.samples}
    samples |= {name for pair in workflow.pairs for name in (pair.experiment, pair.control) if name}
    config = dict(workflow.config)
    _merge_list(config, "samples_list", samples)
    _merge_list(config, "pairs_list", {pair.pair_id for pair in workflow.pairs})
    for group in workflow.groups:
        config.setdefault(f"samples_{group.name}", ",".join(group.samples))
    return replace(workflow, config=config)


def _merge_list(config: dict[str, Any], key: str, names: set[str]) -> None:
    if names:
        written = config.get(key)
        own = config_list(config, key) or () if isinstance(written, str) else ()
        config[key] = ",".join(sorted(names.union(own)))


def _select(workflow: Workflow, samples: Sequence[str]) -> Workflow:
    wanted = [name.strip() for spec in samples for name in spec.split(",") if name.strip()]
    if not workflow.groups:
        return replace(workflow, groups=(SampleGroup("samples", tuple(wanted)),))
    kept = [
        replace(group, samples=tuple([s for s in group.samples if s in wanted]))
        for group in workflow.groups
    ]
    groups = tuple([group for group in kept if group.samples])
    if not groups:
        message = f"--samples {','.join(wanted)} leaves no sample of the workflow; check the names"
        raise WorkflowError(message, (Diagnostic(Severity.ERROR, "E018", message),))
    return replace(workflow, groups=groups)
