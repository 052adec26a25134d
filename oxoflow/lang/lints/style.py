"""Check how a workflow and its rules are described and provided for.

Owns W001 to W016, W019 and W025 (spec/oxo-flow-api.md 5.4): fields that should be there, fields
that make no sense alone, names, environments.
"""

from __future__ import annotations

from collections.abc import Iterator

from oxoflow.errors import Diagnostic
from oxoflow.lang.condition import is_literally_false
from oxoflow.lang.lints.advice import (
    Facts,
    memory_of,
    note,
    threads_of,
    warn,
)
from oxoflow.lang.model import SYSTEM, Environment, EnvironmentKind, Rule, Workflow
from oxoflow.lang.wildcards import PLACEHOLDER

SOME_THREADS, MANY_THREADS = 8, 32
LOCK_FILES = {
    EnvironmentKind.CONDA: (".lock", ".lock.yml", ".lock.yaml"),
    EnvironmentKind.MAMBA: (".lock", ".lock.yml", ".lock.yaml"),
    EnvironmentKind.PIXI: (".lock",),
}


def workflow_checks(workflow: Workflow) -> Iterator[Diagnostic]:
    """Yield advice on the workflow as a whole: W001, W002, W016 of shared environments."""
    if not (workflow.description or "").strip():
        cure = 'add description = "…" to [workflow]'
        yield warn("W001", "the workflow has no description", None, "workflow.description", cure)
    if not (workflow.author or "").strip():
        cure = 'add author = "…" to [workflow]'
        yield warn("W002", "the workflow has no author", None, "workflow.author", cure)
    if workflow.defaults.environment:
        yield from _unlocked(workflow.defaults.environment, None, "defaults.environment")
    for name, environment in workflow.env_groups.items():
        yield from _unlocked(environment, None, f"env_groups.{name}")


def style_checks(rule: Rule, facts: Facts) -> Iterator[Diagnostic]:
    """Yield advice on how one rule is written."""
    yield from _description(rule, facts)
    yield from _resources(rule, facts)
    yield from _name_and_place(rule, facts)
    yield from _combinations(rule)
    yield from facts.repeats.get(rule.name, ())
    own = rule.environment
    if own is not None and own != facts.workflow.defaults.environment and not rule.env_group:
        yield from _unlocked(own, rule, "environment")
    yield from _useless(rule, facts)
    yield from _deprecated(rule, facts)


def _description(rule: Rule, facts: Facts) -> Iterator[Diagnostic]:
    lost = facts.workflow.gaps.keys.get(rule.name, frozenset())
    if not (rule.description or "").strip() and "description" not in lost:
        message = f"rule '{rule.name}' has no description"
        yield warn("W003", message, rule, "description", "say in one line what the rule is for")
    may_inherit = rule.extends is not None and rule.extends not in facts.rules
    if rule.shell and not rule.log and not may_inherit and "log" not in lost:
        message = f"rule '{rule.name}' has a command but no log"
        cure = f'add log = "logs/{_log_name(rule, facts)}.log" and 2> {{log}} to the command'
        yield warn("W004", message, rule, "shell", cure)


def _log_name(rule: Rule, facts: Facts) -> str:
    """Name a log that the jobs of one rule do not share."""
    texts = "\n".join([*rule.input.paths, *rule.output.paths, rule.shell or ""])
    own = {rule.scatter.variable} if rule.scatter else set()
    names = dict.fromkeys(PLACEHOLDER.findall(texts))
    return rule.name + "".join(
        [f"_{{{name}}}" for name in names if name in own or name in facts.fan_out_names]
    )


def _resources(rule: Rule, facts: Facts) -> Iterator[Diagnostic]:
    threads = threads_of(rule, facts.workflow)
    if threads <= SOME_THREADS or memory_of(rule, facts.workflow):
        return
    key = "threads" if rule.threads is not None else "resources.threads"
    message = f"rule '{rule.name}' asks for {threads} threads and no memory"
    cure = "add memory under [rules.resources], or the machine may run out of it"
    yield warn("W005", message, rule, key, cure)
    if threads > MANY_THREADS:
        message = f"rule '{rule.name}' asks for {threads} threads, a whole node, and no memory"
        yield warn("W009", message, rule, key, cure)


def _name_and_place(rule: Rule, facts: Facts) -> Iterator[Diagnostic]:
    if "-" in rule.name:
        message = f"rule name '{rule.name}' has a hyphen"
        cure = f"'{rule.name.replace('-', '_')}' is easier to select and to read in file names"
        yield note("W006", message, rule, "name", cure)
    leaf = facts.parents is not None and not facts.children.get(rule.name)
    if leaf and rule.output.paths and not rule.target:
        message = f"no rule uses the outputs of rule '{rule.name}', and it is no target"
        yield note("W007", message, rule, "output", "add target = true if these are results")
    if rule.shell and facts.effective_environment(rule) == SYSTEM:
        message = f"rule '{rule.name}' has no environment: it uses what is installed"
        cure = "add [rules.environment], or an environment to [defaults]"
        yield note("W008", message, rule, "shell", cure)


def _combinations(rule: Rule) -> Iterator[Diagnostic]:
    if rule.checkpoint and not rule.output.paths:
        message = f"checkpoint rule '{rule.name}' has no outputs"
        yield warn("W010", message, rule, "checkpoint", "declare what the checkpoint produces")
    if rule.shadow and not rule.input.paths:
        message = f"rule '{rule.name}' has a shadow directory but no inputs to put into it"
        yield warn("W011", message, rule, "shadow", "declare the inputs, or remove shadow")
    if rule.retries and not rule.retry_delay:
        message = f"rule '{rule.name}' retries at once"
        yield note("W012", message, rule, "retries", 'add retry_delay = "30s"')
    if rule.on_failure and not rule.retries:
        message = f"rule '{rule.name}' has on_failure but no retries"
        yield note("W013", message, rule, "on_failure", "add retries = 1 if failures may pass")


def _unlocked(environment: Environment, rule: Rule | None, where: str) -> Iterator[Diagnostic]:
    endings = LOCK_FILES.get(environment.kind)
    if endings and not environment.spec.endswith(endings):
        kind = environment.kind.value
        owner = f"rule '{rule.name}'" if rule else f"[{where}]"
        message = f"{owner}: the {kind} file '{environment.spec}' is not a lock file"
        cure = f"name a file ending in {' or '.join(endings[:2])} for the same result next year"
        yield note("W016", message, rule, f"{where}.{kind}", cure)


def _useless(rule: Rule, facts: Facts) -> Iterator[Diagnostic]:
    executes = rule.shell or rule.script or rule.transform
    if facts.parents is None or not executes or rule.output.paths or rule.output_pattern:
        return
    if facts.children.get(rule.name) or is_literally_false(rule.when or ""):
        return
    if "output" in facts.workflow.gaps.keys.get(rule.name, ()):
        return
    message = f"rule '{rule.name}' runs, but has no outputs and nothing depends on it"
    cure = "declare its outputs, so that it runs only when needed"
    yield warn("W019", message, rule, "name", cure)


def _deprecated(rule: Rule, facts: Facts) -> Iterator[Diagnostic]:
    base = facts.rules.get(rule.extends or "")
    for key in ("threads", "memory"):
        value = getattr(rule, key)
        if value is not None and (base is None or getattr(base, key) != value):
            message = f"rule '{rule.name}': '{key}' at rule level is the old form"
            yield note("W025", message, rule, key, f"write it under [rules.resources]: {key} = …")
