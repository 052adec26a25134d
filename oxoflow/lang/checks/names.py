"""Check the names by which rules call each other and their environments.

Owns E007, E008 and E010 (spec/oxo-flow-api.md 5.3), and entries that name nothing usable.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from oxoflow.errors import Diagnostic, WorkflowError
from oxoflow.lang.expand import expand
from oxoflow.lang.faults import error, warning
from oxoflow.lang.gaps import WHOLE
from oxoflow.lang.inherit import extends_cycles
from oxoflow.lang.model import Workflow
from oxoflow.lang.nearest import Guesser, is_one_slip

_MANY_PARTS = 100  # of a name, between underscores


def dependency_checks(workflow: Workflow, guess: Guesser) -> Iterator[Diagnostic]:
    """Find depends_on entries that name neither a rule nor a job (E007).

    Where jobs cannot be made, names that may be theirs are let pass.
    """
    names = {rule.name for rule in workflow.rules}
    unknown = [
        (rule.name, index, name)
        for rule in workflow.rules
        if rule.depends_on
        for index, name in enumerate(rule.depends_on)
        if name not in names and not workflow.gaps.may_name(name)
    ]
    if not unknown:
        return
    called = {name for _, _, name in unknown}
    may_be = {name for name in called if _may_be_job(name, names)}
    jobs = _job_names(workflow) if may_be else None
    known = may_be if jobs is None else jobs
    unread = _unread_rules(workflow)
    for rule, index, name in unknown:
        if name not in known:
            message = f"rule '{rule}' depends on '{name}', which is no rule"
            hint = unread.get(name.rpartition("::")[2]) or _meant(name, rule, names, guess)
            hint = hint or "correct the name or remove it"
            key = f"depends_on.{index}"
            yield error("E007", message, rule=rule, key=key, suggestion=hint)


def _unread_rules(workflow: Workflow) -> dict[str, str]:
    """Say of the rules below misspelt headers where they stand."""
    found = {}
    for document in (workflow.document, *(module.document for module in workflow.modules)):
        for table, entries in document.items():
            if isinstance(entries, list) and is_one_slip(table.lower(), "rules"):
                hint = f"did you mean [[rules]] where [[{table}]] stands?"
                found.update(
                    {e["name"]: hint for e in entries if isinstance(e, dict) and "name" in e}
                )
    return {name: hint for name, hint in found.items() if isinstance(name, str)}


def _meant(name: str, rule: str, names: Collection[str], guess: Guesser) -> str | None:
    """Say which rule is probably meant: one of the same namespace by its name there (3.4)."""
    space = rule[: rule.rfind("::") + 2] if "::" in rule else ""
    own = [each[len(space) :] for each in names if each.startswith(space)] if space else ()
    near = guess.near(name, own)
    return f"did you mean '{near}'?" if near else guess.meant(name, names)


def _may_be_job(name: str, rules: Collection[str]) -> bool:
    """Say whether a name is that of a rule and more; making the jobs to see costs far more."""
    places = [place for place, char in enumerate(name) if char == "_"]
    return len(places) > _MANY_PARTS or any(name[:place] in rules for place in places)


def _job_names(workflow: Workflow) -> set[str] | None:
    """Give the names of all jobs, which depends_on may use as well; None if they cannot be made."""
    if workflow.gaps is not WHOLE:
        return None
    try:
        return {job.name for job in expand(workflow)}
    except WorkflowError:
        return None


def extends_checks(workflow: Workflow, guess: Guesser) -> Iterator[Diagnostic]:
    """Find bases that do not exist, and rules that extend themselves in a circle (E008)."""
    extending = [(rule, rule.extends) for rule in workflow.rules if rule.extends is not None]
    if not extending:
        return
    rules = {rule.name: rule for rule in workflow.rules}
    circles = extends_cycles(rules)
    for rule, base in extending:
        if base not in rules:
            if workflow.gaps.may_name(base):
                continue
            message = f"rule '{rule.name}' extends '{base}', which is no rule"
            near = _meant(base, rule.name, rules, guess)
            hint = near or "correct the name or remove extends"
        elif rule.name in circles:
            circle = circles[rule.name]
            shown = " → ".join([*circle[:10], *(["…"] if len(circle) > 10 else []), circle[0]])
            message = f"rule '{rule.name}' extends itself: {shown}"
            hint = "remove one extends of the circle"
        else:
            continue
        yield error("E008", message, rule=rule.name, key="extends", suggestion=hint)


def env_group_checks(workflow: Workflow, guess: Guesser) -> Iterator[Diagnostic]:
    """Find rules that name an environment group which is not defined (E010)."""
    if "env_groups" in workflow.gaps.tables:
        return
    for rule in workflow.rules:
        if rule.env_group is not None and rule.env_group not in workflow.env_groups:
            message = f"rule '{rule.name}': there is no [env_groups.{rule.env_group}]"
            hint = guess.meant(rule.env_group, workflow.env_groups) or "define it"
            yield error("E010", message, rule=rule.name, key="env_group", suggestion=hint)


def resource_group_checks(workflow: Workflow, guess: Guesser) -> Iterator[Diagnostic]:
    """Warn of rules that never get the units they ask for: they fail when they start (1.17)."""
    groups = workflow.resource_groups
    if "resource_groups" in workflow.gaps.tables:
        return
    for rule in workflow.rules:
        for name, units in rule.resources.groups.items():
            asks = f"rule '{rule.name}': resources.groups asks for {units} of '{name}'"
            key = f"resources.groups.{name}"
            if name not in groups:
                hint = guess.meant(name, groups) or f"add [resource_groups.{name}] with max"
                message = f"{asks}, which no [resource_groups] declares"
                yield warning("E010", message, rule=rule.name, key=key, suggestion=hint)
            elif units > groups[name].max:
                message = f"{asks}, which has {groups[name].max}"
                hint = "ask for fewer, or raise its max"
                yield warning("E010", message, rule=rule.name, key=key, suggestion=hint)


def gather_checks(workflow: Workflow, guess: Guesser) -> Iterator[Diagnostic]:
    """Warn where a scatter's gather names no rule: nothing is joined then (1.12)."""
    names = {rule.name for rule in workflow.rules}
    for rule in workflow.rules:
        gather = rule.scatter.gather if rule.scatter else None
        if gather and gather not in names and not workflow.gaps.may_name(gather):
            message = f"rule '{rule.name}': scatter.gather names '{gather}', which is no rule"
            hint = guess.meant(gather, names) or "correct the name, or nothing is gathered"
            yield warning("E007", message, rule=rule.name, key="scatter.gather", suggestion=hint)
