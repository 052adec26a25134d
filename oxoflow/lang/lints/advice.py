"""Gather once what the checks of `lint` ask again and again, and word their findings.

Owns the `Facts` of one workflow and the two ways to make a diagnostic of advice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from oxoflow.errors import Diagnostic, Severity, WorkflowError
from oxoflow.lang.checks.names import dependency_checks, extends_checks
from oxoflow.lang.configrefs import fill, settle
from oxoflow.lang.gaps import stands_for
from oxoflow.lang.lints.outputs import Outputs
from oxoflow.lang.model import SYSTEM, Environment, Rule, Workflow
from oxoflow.lang.nearest import Guesser
from oxoflow.lang.values import config_text
from oxoflow.lang.view import FileView
from oxoflow.lang.wildcards import PAIR_NAMES, PLACEHOLDER, SAMPLE_NAMES

MOST_STEPS = 1_000_000  # steps through the graph for all questions of one lint
HOOKS = ("pre_exec", "on_success", "on_failure")


class Reach:
    """Tell which rules wait for which, through others too, within a limited number of steps."""

    def __init__(self, children: Mapping[str, frozenset[str]]) -> None:
        self._children = children
        self._left = MOST_STEPS

    def linked(self, first: str, second: str) -> bool:
        """Return whether one of two rules waits for the other; True once the steps are used up."""
        return self._reaches(first, second) or self._reaches(second, first)

    def _reaches(self, start: str, goal: str) -> bool:
        seen, waiting = {start}, [start]
        while waiting:
            children = self._children.get(waiting.pop(), frozenset())
            self._left -= 1 + len(children)
            if goal in children or self._left < 0:
                return True
            waiting += children - seen
            seen |= children
        return False


class Facts(Struct, frozen=True):
    """What the checks of one rule need to know about the rest of the workflow."""

    workflow: Workflow
    view: FileView | None
    rules: Mapping[str, Rule]
    outputs: Outputs
    parents: Mapping[str, frozenset[str]] | None  # None: there is no graph
    children: Mapping[str, frozenset[str]]
    fan_out_names: frozenset[str]  # wildcards that make one job for each value
    metadata_names: frozenset[str]  # filled in, but only where another wildcard fans out
    known_names: tuple[str, ...]  # both of them, sorted
    tables: frozenset[str]
    conditional: frozenset[str]  # rules with a `when`
    gathering: frozenset[str]  # rules that join what a scatter makes
    finds_samples: bool  # a checkpoint brings samples or pairs
    repeats: Mapping[str, Sequence[Diagnostic]]  # W014 and W015 of a rule
    guesses: Guesser
    reach: Reach
    texts: Mapping[str, str]  # what the config fills into paths; nothing that is sensitive

    def filled(self, path: str) -> str:
        """Return a path with the config filled in."""
        return fill(path, self.texts)

    def effective_environment(self, rule: Rule) -> Environment:
        """Return where the rule's command runs (1.11): group, own, default."""
        if rule.env_group in self.workflow.env_groups:
            return self.workflow.env_groups[rule.env_group or ""]
        own = rule.environment
        return own if own not in (None, SYSTEM) else self.workflow.defaults.environment or SYSTEM


def collect_facts(
    workflow: Workflow, edges: Sequence[tuple[str, str]] | None, view: FileView | None
) -> Facts:
    """Walk the rules once and return the facts about them."""
    texts = _config_texts(workflow)
    writers: dict[str, list[str]] = {}
    for rule in workflow.rules:
        for path in dict.fromkeys([fill(path, texts) for path in rule.output.paths]):
            writers.setdefault(path, []).append(rule.name)
    children: dict[str, set[str]] = {}
    parents: dict[str, set[str]] = {}
    for producer, consumer in edges or ():
        children.setdefault(producer, set()).add(consumer)
        parents.setdefault(consumer, set()).add(producer)
    fan_out = frozenset(_fan_out_names(workflow))
    metadata = frozenset(key for group in workflow.groups for key in group.metadata)
    below, guesses = _frozen(children), Guesser()
    return Facts(
        workflow=workflow,
        gathering=frozenset(r.scatter.gather or "" for r in workflow.rules if r.scatter),
        finds_samples=any(r.checkpoint and r.checkpoint_manifest for r in workflow.rules),
        view=view,
        rules={rule.name: rule for rule in workflow.rules},
        outputs=Outputs(
            {path: tuple(names) for path, names in writers.items()},
            [reference.output for reference in workflow.references],
        ),
        parents=None if edges is None else _frozen(parents),
        children=below,
        fan_out_names=fan_out,
        metadata_names=metadata,
        known_names=tuple(sorted(fan_out | metadata)),
        tables=frozenset(table.name for table in workflow.values),
        conditional=frozenset(rule.name for rule in workflow.rules if rule.when),
        repeats=_repeats(workflow, guesses),
        guesses=guesses,
        reach=Reach(below),
        texts=texts,
    )


def _config_texts(workflow: Workflow) -> dict[str, str]:
    texts = {
        key: config_text(value)
        for key, value in workflow.config.items()
        if key not in workflow.declared or not workflow.declared[key].sensitive
    }
    try:
        return settle(texts)
    except WorkflowError:  # too long: the run says so, and paths are compared as written
        return {}


def _repeats(workflow: Workflow, guesses: Guesser) -> dict[str, list[Diagnostic]]:
    """Return what E007 and E008 say once more as advice, as the catalogue has it."""
    if len(workflow.modules) < len(workflow.includes):
        return {}  # an include may bring the rule
    found: dict[str, list[Diagnostic]] = {}
    checks = chain(dependency_checks(workflow, guesses), extends_checks(workflow, guesses))
    for each in islice(checks, workflow.limits.findings + 1):
        code = "W014" if each.code == "E007" else "W015"
        advice = replace(each, code=code, severity=Severity.WARNING)
        found.setdefault(each.rule or "", []).append(advice)
    return found


def _fan_out_names(workflow: Workflow) -> Iterator[str]:
    """Yield the wildcards that have a source, files that are still to be read included."""
    if workflow.groups or workflow.sample_groups_file or workflow.sample_pattern:
        yield from SAMPLE_NAMES
    if workflow.pairs or workflow.pairs_file or workflow.pairs_pattern:
        yield from PAIR_NAMES
    for pair in workflow.pairs:
        yield from pair.metadata
    for table in workflow.values:
        yield table.name
    for rule in workflow.rules:
        yield from PLACEHOLDER.findall(rule.output_pattern or "")


def written_rules(workflow: Workflow) -> Iterator[tuple[Rule, Mapping[str, Any]]]:
    """Yield each rule with the table it was written as, those of included files too."""
    yield from zip(workflow.rules, _rule_tables(workflow.document), strict=False)
    rules = {rule.name: rule for rule in workflow.rules}
    for module in workflow.modules:
        listed = _rule_tables(module.document)
        tables = {table.get("name"): table for table in listed if type(table.get("name")) is str}
        for name, own in module.written.items():
            number = stands_for(own)
            yield rules[name], tables[own] if number is None else listed[number]


def _rule_tables(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the tables of the rules; none where they are no array of tables."""
    written = document.get("rules")
    if not isinstance(written, list) or not all(isinstance(each, dict) for each in written):
        return []
    return written


def documents(workflow: Workflow) -> Iterator[tuple[str | None, Mapping[str, Any]]]:
    """Yield every text as it was read, each once: the workflow's own, then the included files'."""
    yield None, workflow.document
    yield from {module.path: module.document for module in workflow.modules}.items()


def table_of(value: Any) -> Mapping[str, Any]:
    """Return a table, an empty one for what is none."""
    return value if isinstance(value, Mapping) else {}


def warn(
    code: str, message: str, rule: Rule | None, key: str | None, cure: str | None = None
) -> Diagnostic:
    """Return a warning; `cure` says what to do about it."""
    return Diagnostic(Severity.WARNING, code, message, rule.name if rule else None, cure, key=key)


def note(
    code: str, message: str, rule: Rule | None, key: str | None, cure: str | None = None
) -> Diagnostic:
    """Return a matter of style; `cure` says what would be nicer."""
    return Diagnostic(Severity.INFO, code, message, rule.name if rule else None, cure, key=key)


def threads_of(rule: Rule, workflow: Workflow) -> int:
    """Return the threads a rule gets: its own, else the default (1.5)."""
    if rule.threads is not None:
        return rule.threads
    own = rule.resources.threads or 1
    return own if own > 1 else workflow.defaults.threads or own


def memory_of(rule: Rule, workflow: Workflow) -> str | None:
    """Return the memory a rule gets, as written: its own, else the default (1.5)."""
    return rule.memory or rule.resources.memory or workflow.defaults.memory


def command_texts(rule: Rule) -> list[tuple[str, str]]:
    """Return (key, text) of everything in a rule that bash will read."""
    texts = [("shell", rule.shell), *((key, getattr(rule, key)) for key in HOOKS)]
    if rule.transform:
        texts.append(("transform.map", rule.transform.map))
        if rule.transform.combine:
            texts.append(("transform.combine.shell", rule.transform.combine.shell))
    return [(key, text) for key, text in texts if text]


def _frozen(links: Mapping[str, set[str]]) -> dict[str, frozenset[str]]:
    return {name: frozenset(others) for name, others in links.items()}
