"""Make jobs out of files: one per group of `input_groups`, one per file of an `output_pattern`.

Both are later than the spec. Files count when they are on the disk or when an earlier rule makes
them; what commands will only discover is not known before they ran, so a plan made then has more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from oxoflow.errors import Diagnostic
from oxoflow.lang.condition import evaluate, tests_wildcards
from oxoflow.lang.configrefs import MARK, fill, settle
from oxoflow.lang.discovery import PatternError, as_glob, match_path
from oxoflow.lang.fanout import Ground, Instances, plan_choices
from oxoflow.lang.faults import UNUSABLE, error, warning, workflow_failure
from oxoflow.lang.filling import Filler
from oxoflow.lang.model import InputGroup, Job, Rule, Workflow
from oxoflow.lang.nearest import Guesser
from oxoflow.lang.sources import Choice, Sources, collect_sources, meta_bindings
from oxoflow.lang.values import config_text
from oxoflow.lang.view import NOTHING
from oxoflow.lang.wildcards import GROUP_PREFIX, META_PREFIX, PLACEHOLDER, Template, names_in

EMPTY = "W035"  # of our own: a rule has no jobs


def check_groups(rule: Rule, guess: Guesser) -> Iterator[Diagnostic]:
    """Find `input_groups` that can make no job: two entries, odd patterns, unknown names."""
    if len(rule.input_groups) > 1:
        message = f"rule '{rule.name}': input_groups takes one entry; split the rule in two"
        yield error(UNUSABLE, message, rule=rule.name, key="input_groups.1")
    for at, entry in enumerate(rule.input_groups):
        names = PLACEHOLDER.findall(entry.pattern)
        if MARK not in entry.pattern:
            try:
                match_path(entry.pattern)
            except PatternError as fault:
                message = f"rule '{rule.name}': input_groups: {fault}"
                key = f"input_groups.{at}.pattern"
                yield error(UNUSABLE, message, rule=rule.name, key=key)
        if entry.group_by not in names and not entry.group_by.startswith(META_PREFIX):
            message = f"rule '{rule.name}': input_groups are by '{entry.group_by}', which the "
            message += f"pattern '{entry.pattern}' does not have, so the rule has no jobs"
            hint = guess.meant(entry.group_by, names) or "name a wildcard of the pattern"
            key = f"input_groups.{at}.group_by"
            yield warning(EMPTY, message, rule=rule.name, key=key, suggestion=hint)


class Discovery:
    """The files known while the rules of one workflow are planned in their order."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._texts: Mapping[str, str] | None = None
        self._made: dict[str, None] = {}
        self._seen = 0

    def group(self, rule: Rule, planned: Sequence[Instances]) -> Instances:
        """Give one job per group of the rule; no file, no job. Raises WorkflowError."""
        entry = rule.input_groups[0]
        if len(rule.input_groups) > 1:
            raise _unusable(rule, "input_groups", "takes one entry; split the rule in two")
        groups: dict[str, list[tuple[str, Mapping[str, str]]]] = {}
        for path, values in self._matches(rule, entry, planned):
            key = self._key(entry, values)
            if key:
                groups.setdefault(key, []).append((path, values))
        choices = [Choice(f"_{k}", self._bindings(entry, k, groups[k])) for k in sorted(groups)]
        planned_jobs = plan_choices(rule, choices, self._ground)
        files = {f"{rule.name}_{k}": tuple([path for path, _ in groups[k]]) for k in groups}
        return replace(planned_jobs, files=[files[name] for name in planned_jobs.names])

    def consume(self, rule: Rule, named: str, planned: Sequence[Instances]) -> Instances:
        """Give one job of a rule per file of the named rule's pattern; none before files are."""
        producer = next((each for each in planned if each.rule.name == named), None)
        if producer is None:
            return Instances(rule, (), ())
        trigger = self._ground.sources.trigger
        own = trigger is not None and trigger.search("\n".join(_texts(rule))) is not None
        choices: dict[str, Choice] = {}
        for name, bindings in zip(producer.names, producer.bindings, strict=True):
            suffix = name.removeprefix(producer.rule.name) if own else ""
            for values in self._found(producer.rule, bindings):
                choice = Choice(f"{suffix}_{'_'.join(values.values())}", {**bindings, **values})
                choices.setdefault(choice.suffix, choice)
        depends_on = tuple(dict.fromkeys([*rule.depends_on, producer.rule.name]))
        after = replace(rule, depends_on=depends_on)
        return plan_choices(after, [*choices.values()], self._ground)

    def _found(self, rule: Rule, bindings: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
        pattern = self._filled(Template(rule.output_pattern or "", bindings).fill(bindings))
        try:
            read = match_path(pattern)
        except PatternError as fault:
            raise _unusable(rule, "output_pattern", str(fault)) from None
        for path in sorted(self._ground.view.glob(as_glob(pattern))):
            values = read(path)
            if values:
                yield values

    def _matches(
        self, rule: Rule, entry: InputGroup, planned: Sequence[Instances]
    ) -> Iterator[tuple[str, Mapping[str, str]]]:
        pattern = self._filled(entry.pattern)
        try:
            read = match_path(pattern)
        except PatternError as fault:
            raise _unusable(rule, "input_groups", str(fault)) from None
        self._learn(planned)
        on_disk = self._ground.view.glob(as_glob(pattern))
        for path in sorted({*self._made, *on_disk}):
            values = read(path)
            if values is not None:
                yield path, values

    def _learn(self, planned: Sequence[Instances]) -> None:
        """Note the outputs of the rules planned since the last time."""
        for instances in planned[self._seen :]:
            rows = instances.bindings
            for files in Filler(instances.rule, rows, self._ground.room).files(
                instances.rule.output
            ):
                self._made.update(dict.fromkeys([self._filled(path) for path in files.paths]))
        self._seen = len(planned)

    def _filled(self, text: str) -> str:
        if "{config." not in text:
            return text
        if self._texts is None:
            config = self._ground.workflow.config
            self._texts = settle({key: config_text(value) for key, value in config.items()})
        return fill(text, self._texts)

    def _key(self, entry: InputGroup, values: Mapping[str, str]) -> str:
        if not entry.group_by.startswith(META_PREFIX):
            return values.get(entry.group_by, "")
        column = entry.group_by.removeprefix(META_PREFIX)
        return meta_bindings(self._ground.workflow, values, [column])[entry.group_by]

    def _bindings(
        self, entry: InputGroup, key: str, files: Sequence[tuple[str, Mapping[str, str]]]
    ) -> dict[str, str]:
        """Bind the group, what is kept of its first file, and every value as a list."""
        first = files[0][1]
        lists = {
            GROUP_PREFIX + name: " ".join(dict.fromkeys([values[name] for _, values in files]))
            for name in first
        }
        if entry.group_by.startswith(META_PREFIX):
            return {entry.group_by.removeprefix(META_PREFIX): key, **lists}
        kept = {n: v for n, v in first.items() if entry.keep is None or n in entry.keep}
        own = {**kept, entry.group_by: key}
        columns = self._ground.sources.columns
        return {**own, **meta_bindings(self._ground.workflow, own, columns), **lists}


def empty_groups(workflow: Workflow, jobs: Iterable[Job]) -> list[Diagnostic]:
    """Warn of rules that have no jobs: no file is there to be grouped, or they wait in a circle.

    Nothing is said of a rule that the config switches off.
    """
    grouping = [r for r in workflow.rules if r.input_groups and not _is_off(r, workflow.config)]
    alive = {job.rule.name for job in jobs} if grouping else set()
    return [*_waiting_in_circles(workflow)] + [
        warning(
            EMPTY,
            f"rule '{rule.name}' has no jobs: '{rule.input_groups[0].pattern}' gives no group"
            + (" for which its condition holds" if rule.when else ""),
            rule=rule.name,
            key="input_groups",
            suggestion="correct the pattern, or put rules that make such files above this one",
        )
        for rule in grouping
        if rule.name not in alive
    ]


def _waiting_in_circles(workflow: Workflow) -> Iterator[Diagnostic]:
    """Find rules that read each other's `output_pattern`, so that none ever has a job."""
    if sum(rule.output_pattern is not None for rule in workflow.rules) < 2:
        return
    sources = collect_sources(workflow, NOTHING)
    fresh = {r.name: fresh_names(r, sources) for r in workflow.rules if r.output_pattern}
    reads = {rule.name: discoverer(rule, fresh) for rule in workflow.rules}
    told: set[str] = set()
    for start in reads:
        path: dict[str, None] = {}
        name: str | None = start
        while name is not None and name not in told:
            if name in path:
                circle = [*path][[*path].index(name) :]
                yield _circle(circle)
                break
            path[name] = None
            name = reads[name]
        told.update(path)


def _circle(names: Sequence[str]) -> Diagnostic:
    shown = " → ".join([*names[:10], *(["…"] if len(names) > 10 else []), names[0]])
    message = f"rules that wait for each other's output_pattern have no jobs: {shown}"
    hint = "let one of them read files that are there before the run"
    return warning(EMPTY, message, rule=names[0], key="input", suggestion=hint)


def _is_off(rule: Rule, config: Mapping[str, Any]) -> bool:
    when = rule.when
    if when is None or tests_wildcards(when) or "file_exists" in when:
        return False
    return not evaluate(when, config, NOTHING)


def discoverer(rule: Rule, fresh: Mapping[str, frozenset[str]]) -> str | None:
    """Name the rule whose `output_pattern` gives values to a wildcard of this one."""
    return next((n for n, names in fresh.items() if n != rule.name and uses(rule, names)), None)


def fresh_names(rule: Rule, sources: Sources) -> frozenset[str]:
    """Give the wildcards that only the files of the rule's `output_pattern` give values to."""
    if rule.output_pattern is None:
        return frozenset()
    found = PLACEHOLDER.findall(rule.output_pattern)
    trigger = sources.trigger
    known = set(trigger.findall(rule.output_pattern)) if trigger else set()
    return frozenset(found) - known


def uses(rule: Rule, names: frozenset[str]) -> bool:
    """Say whether a rule reads one of the names in its paths or its command."""
    return not names.isdisjoint(names_in(_texts(rule)))


def _texts(rule: Rule) -> list[str]:
    return [*rule.input.paths, *rule.output.paths, rule.output_pattern or "", rule.shell or ""]


def _unusable(rule: Rule, key: str, text: str) -> Exception:
    message = f"rule '{rule.name}': {key} {text}"
    return workflow_failure([error(UNUSABLE, message, rule=rule.name, key=key)])
