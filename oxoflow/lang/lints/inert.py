"""Say which keys of the format are read and kept, and have no effect here.

Owns two codes of our own: W033 where somebody counts on a key (a message that is not sent, GPUs
that are not passed on), and W034, a note, for what is meant for clusters or other programs.
`marking` tells of single entries by W033.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from oxoflow.errors import Diagnostic
from oxoflow.lang.lints.advice import documents, note, table_of, warn, written_rules
from oxoflow.lang.model import Rule, Workflow

IGNORED, IDLE = "W033", "W034"
_HOOKS = "run a command by on_complete and on_error in [workflow]"
MESSAGES = {"webhook": _HOOKS, "webhooks": _HOOKS}  # top-level tables: what to write instead
_TABLES = {
    "ai": "it is for other programs",
    "cluster": "jobs run on this machine",
    "plugins": "there are no plugins",
}
# Only rules and config of an included file are merged.
_OF_ONE_FILE = (
    "defaults",
    "pairs",
    "sample_groups",
    "values",
    "wildcard_constraints",
    "env_groups",
    "resource_groups",
    "resource_budget",
    "execution_group",
    "reference_dir",
    "references",
)
_OF_ONE_WORKFLOW = (
    "pairs_file",
    "sample_groups_file",
    "metadata_file",
    "pairs_pattern",
    "sample_pattern",
    "interpreter_map",
    "on_complete",
    "on_error",
)
_RULE_KEYS = {
    "cache_key": "results are found by content; to keep a rule out of that, write cache = false",
    "group": "it is for clusters, and jobs run on this machine",
    "input_function": "write the inputs, or use expand_inputs or a checkpoint",
    "resource_hint": "write threads and memory under [rules.resources]",
}


def inert_checks(workflow: Workflow) -> Iterator[Diagnostic]:
    """Yield the keys of a workflow and of its included files that change nothing."""
    for file, document in documents(workflow):
        for found in _tables_of(document):
            yield replace(found, file=file)
        if file is not None:
            for found in _unshared(document, workflow.document):
                yield replace(found, file=file)
    defaults = table_of(workflow.document.get("defaults"))
    yield from _gpus(defaults.get("environment"), None, "defaults.environment")
    for name, environment in table_of(workflow.document.get("env_groups")).items():
        yield from _gpus(environment, None, f"env_groups.{name}")
    for rule, written in written_rules(workflow):
        yield from _rule_keys(rule, written)


def _tables_of(document: Mapping[str, Any]) -> Iterator[Diagnostic]:
    for key, cure in MESSAGES.items():
        if key in document:
            yield warn(IGNORED, f"[{key}] is ignored: nothing is sent", None, key, cure)
    for key, cure in _TABLES.items():
        if key in document:
            yield note(IDLE, f"[{key}] has no effect here", None, key, cure)
    if "format" in table_of(document.get("report")):
        cure = "choose it when you ask for the report"
        yield note(IDLE, "[report] format has no effect", None, "report.format", cure)


def _unshared(document: Mapping[str, Any], host: Mapping[str, Any]) -> Iterator[Diagnostic]:
    """Find what an included file says for itself alone, and the workflow says nothing of (3.4)."""
    cure = "put it into the workflow, if it should count there"
    effect = "of an included file has no effect in the workflow that includes it"
    for key in _OF_ONE_FILE:
        if key in document and key not in host:
            yield note(IDLE, f"'{key}' {effect}", None, key, cure)
    written, shared = table_of(document.get("workflow")), table_of(host.get("workflow"))
    for key in _OF_ONE_WORKFLOW:
        if key in written and key not in shared:
            yield note(IDLE, f"[workflow] '{key}' {effect}", None, f"workflow.{key}", cure)


def _rule_keys(rule: Rule, written: Mapping[str, Any]) -> Iterator[Diagnostic]:
    for key in _RULE_KEYS.keys() & written.keys():
        message = f"rule '{rule.name}': {key} has no effect here"
        yield note(IDLE, message, rule, key, _RULE_KEYS[key])
    yield from _gpus(written.get("environment"), rule, "environment")
    if "partition" in table_of(written.get("resources")):
        message = f"rule '{rule.name}': partition has no effect here"
        yield note(IDLE, message, rule, "resources.partition", "jobs run on this machine")


def _gpus(environment: Any, rule: Rule | None, place: str) -> Iterator[Diagnostic]:
    """Find GPUs named for an environment that is not docker's: the command sees those of the host.

    Only containers are shut off from them.
    """
    table = table_of(environment)
    if "gpus" in table and "docker" not in table:
        named = f"rule '{rule.name}': " if rule else ""
        message = f"{named}{place}.gpus is ignored: it is for docker"
        cure = "add docker = IMAGE, or choose by CUDA_VISIBLE_DEVICES in [rules.envvars]"
        yield warn(IGNORED, message, rule, f"{place}.gpus", cure)
