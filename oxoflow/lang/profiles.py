"""Merge a profile into a workflow: config, defaults, cluster.

Owns the tables of a profile (spec/oxoflow-format.md 1.19) and 3.5 (fill and override). What the
command line set is applied again afterwards by `compose`: it always wins (S12).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import fields, replace

from oxoflow.errors import Diagnostic
from oxoflow.lang.declared import split_config
from oxoflow.lang.faults import UNUSABLE, error
from oxoflow.lang.model import Defaults, Workflow
from oxoflow.lang.shapes import TABLE, Shape, Wrong
from oxoflow.lang.tables import CLUSTER, PROFILE_DEFAULTS


def merge_profile(
    workflow: Workflow, profile: Mapping[str, Any]
) -> tuple[Workflow, list[Diagnostic]]:
    """Give the workflow with the profile's config, defaults and cluster, and what is wrong."""
    problems: list[Diagnostic] = []
    override = workflow.profile_mode == "override"
    config = _read(profile, "config", TABLE, problems) or {}
    defaults = _read(profile, "defaults", PROFILE_DEFAULTS.shape, problems) or Defaults()
    written = _read(profile, "cluster", TABLE, problems) or {}
    own = workflow.document.get("cluster", {})
    cluster = workflow.cluster
    if written:
        merged = {**own, **_worth_setting(written)} if override else {**written, **own}
        cluster = _read({"cluster": merged}, "cluster", CLUSTER.shape, problems)
    workflow = replace(
        workflow,
        config=_merge_config(workflow, config, override),
        defaults=_merge_defaults(workflow.defaults, defaults, override),
        cluster=cluster,
    )
    return workflow, problems


def _read(
    profile: Mapping[str, Any], key: str, shape: Shape[Any], problems: list[Diagnostic]
) -> Any:
    if key not in profile:
        return None
    try:
        return shape.read(profile[key])
    except Wrong as wrong:
        for fault in wrong.faults:
            where = ".".join([key, *[str(step) for step in fault.path]])
            problems.append(
                error(UNUSABLE, f"profile: {where} {fault.text}", suggestion=fault.suggestion)
            )
        return None


def _worth_setting(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key != "extra_args" or value}


def _merge_config(workflow: Workflow, config: Mapping[str, Any], override: bool) -> dict[str, Any]:
    plain, _ = split_config(config)
    if override:
        return _merged_deep(workflow.config, plain)
    open_keys = {
        key
        for key, declaration in workflow.declared.items()
        if declaration.default is None and workflow.config.get(key) == ""
    }
    return {
        **workflow.config,
        **{k: v for k, v in plain.items() if k not in workflow.config or k in open_keys},
    }


def _merged_deep(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Merge tables; depth is bounded, since both were parsed with a depth limit."""
    merged = dict(below)
    for key, value in above.items():
        mine = merged.get(key)
        both = isinstance(mine, dict) and isinstance(value, dict)
        merged[key] = _merged_deep(mine, value) if both else value  # type: ignore[arg-type]
    return merged


def _merge_defaults(own: Defaults, profile: Defaults, override: bool) -> Defaults:
    first, second = (profile, own) if override else (own, profile)
    return Defaults(
        **{
            f.name: getattr(first, f.name)
            if getattr(first, f.name) is not None
            else getattr(second, f.name)
            for f in fields(Defaults)
        }
    )
