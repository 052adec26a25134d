"""Collect where wildcard values come from: pairs, sample groups, value tables.

Owns spec/oxoflow-format.md 2.3 and the checks of 1.13 to 1.16. Knows no rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from oxoflow.errors import Diagnostic
from oxoflow.lang.condition import evaluate
from oxoflow.lang.faults import UNUSABLE, error, warning
from oxoflow.lang.gaps import is_mark
from oxoflow.lang.latepattern import late
from oxoflow.lang.lists import config_list
from oxoflow.lang.model import Pair, SampleGroup, ValueTable, Workflow
from oxoflow.lang.nearest import most_alike
from oxoflow.lang.patterns import Pattern, compile_pattern
from oxoflow.lang.view import NOTHING, FileView
from oxoflow.lang.wildcards import (
    ENGINE_NAMES,
    META_PREFIX,
    PAIR_NAMES,
    RESERVED_NAMES,
    SAMPLE_NAMES,
    trigger_pattern,
)

_META = late(r"\{meta\.([\w-]+)\}")
_METADATA_KEYS = ("sample", "pair_id", "experiment", "control")
_NOT_ALNUM = late(r"[^0-9A-Za-z]")
_SHELL_MARKS = late(r"\$\(|[`\x00\n]")


class Choice(Struct, frozen=True):
    """One way to fill a source's placeholders: the job name's suffix and the values."""

    suffix: str
    bindings: Mapping[str, str]


class Sources(Struct, frozen=True):
    """Every source of a workflow, already filtered by `[wildcard_constraints]`."""

    pairs: tuple[Choice, ...]
    groups: tuple[Choice, ...]
    tables: Mapping[str, tuple[Choice, ...]]
    pair_names: frozenset[str]  # empty without pairs
    has_groups: bool  # some sample exists, allowed by the constraints or not
    columns: tuple[str, ...]  # of the metadata sheet, as far as rules ask for them
    trigger: re.Pattern[str] | None  # finds any placeholder that fans a rule out
    table_trigger: re.Pattern[str] | None


def collect_sources(workflow: Workflow, view: FileView) -> Sources:
    """Gather the choices of a workflow whose sources were checked.

    `view` is asked only by the conditions of pairs.
    """
    constraints = {name: compile_pattern(text) for name, text in workflow.constraints.items()}
    pairs = [
        Choice(f"_{pair.pair_id}", _pair_bindings(pair))
        for pair in workflow.pairs
        if pair.when is None or evaluate(pair.when, workflow.config, view)
    ]
    groups = [choice for group in workflow.groups for choice in _group_choices(group)]
    columns = _columns_used(workflow)
    if columns:
        pairs = [_with_metadata(workflow, choice, columns) for choice in pairs]
        groups = [_with_metadata(workflow, choice, columns) for choice in groups]
    tables = {
        table.name: tuple(_allowed(_table_choices(workflow, table), constraints))
        for table in workflow.values
    }
    keys = {key for pair in workflow.pairs for key in pair.metadata}
    lost = workflow.emptied.difference(SAMPLE_NAMES)
    pair_names = frozenset((*PAIR_NAMES, *keys)) if workflow.pairs else lost
    has_groups = bool(groups) or not workflow.emptied.isdisjoint(SAMPLE_NAMES)
    names = pair_names | frozenset(SAMPLE_NAMES if has_groups else ()) | frozenset(tables)
    return Sources(
        tuple(_allowed(pairs, constraints)),
        tuple(_allowed(groups, constraints)),
        tables,
        pair_names,
        has_groups,
        columns,
        trigger_pattern(names, tables),
        trigger_pattern(tables, tables),
    )


def _table_choices(workflow: Workflow, table: ValueTable) -> list[Choice]:
    return [
        Choice(f"_{table.name}_{_NOT_ALNUM.sub('_', value)}", {table.name: value})
        for value in table_values(workflow, table)
    ]


def table_values(workflow: Workflow, table: ValueTable) -> tuple[str, ...]:
    """Give the values of a table: a list in `[config]` when it names one, else its own."""
    if table.values_from:
        return config_list(workflow.config, table.values_from) or ()
    return table.values


def _pair_bindings(pair: Pair) -> dict[str, str]:
    bindings = dict(pair.metadata)
    bindings["pair_id"] = pair.pair_id
    bindings["experiment"] = bindings["tumor"] = pair.experiment
    bindings["control"] = bindings["normal"] = pair.control
    if pair.experiment_type is not None:
        bindings["experiment_type"] = bindings["tumor_type"] = pair.experiment_type
    return bindings


def _group_choices(group: SampleGroup) -> Iterable[Choice]:
    for sample in group.samples:
        bindings = dict(group.metadata)
        bindings["group"] = group.name
        bindings["sample"] = sample
        yield Choice(f"_{group.name}_{sample}", bindings)


def _columns_used(workflow: Workflow) -> tuple[str, ...]:
    """Give the columns that some `{meta.column}` of a rule asks for."""
    found: set[str] = set()
    sourced = workflow.pairs or workflow.groups
    for rule in workflow.rules if sourced or any(r.input_groups for r in workflow.rules) else ():
        hooks = (rule.pre_exec, rule.on_success, rule.on_failure)
        texts = [rule.shell, rule.script, rule.log, rule.when, rule.output_pattern, *hooks]
        for text in (*rule.input.paths, *rule.output.paths, *texts):
            if text and "{meta." in text:
                found.update(_META.findall(text))
    return tuple(sorted(found))


def _with_metadata(workflow: Workflow, choice: Choice, columns: Iterable[str]) -> Choice:
    found = meta_bindings(workflow, choice.bindings, columns)
    return Choice(choice.suffix, {**choice.bindings, **found})


def meta_bindings(
    workflow: Workflow, bindings: Mapping[str, str], columns: Iterable[str]
) -> dict[str, str]:
    """Give `{meta.column}` for one job: of the first of its samples with a row, else nothing.

    Without a sheet, the metadata of groups and pairs is asked (later than the spec).
    """
    names = [bindings.get(key, "") for key in _METADATA_KEYS]
    row = next((workflow.metadata[name] for name in names if name in workflow.metadata), {})
    return {META_PREFIX + name: row.get(name, bindings.get(name, "")) for name in columns}


def _allowed(choices: list[Choice], constraints: Mapping[str, Pattern]) -> list[Choice]:
    """Drop the choices that break a constraint (1.16): a search, not anchored."""
    if not constraints:
        return choices
    return [
        choice
        for choice in choices
        if all(
            constraints[name].search(value) is not None
            for name, value in choice.bindings.items()
            if name in constraints
        )
    ]


def check_sources(workflow: Workflow) -> list[Diagnostic]:
    """Find value tables, constraints, metadata keys and names that cannot be used."""
    return [
        *_check_tables(workflow),
        *check_constraints(workflow),
        *_check_metadata(workflow),
        *_check_empty(workflow),
        *_check_names(workflow),
    ]


def emptied_sources(workflow: Workflow) -> Iterable[Diagnostic]:
    """Warn where the constraints leave nothing of a source: its rules then disappear (S23)."""
    if not workflow.constraints or check_sources(workflow):
        return
    before = collect_sources(replace(workflow, constraints={}), NOTHING)
    after = collect_sources(workflow, NOTHING)
    sources = [("pairs", before.pairs, after.pairs), ("sample_groups", before.groups, after.groups)]
    sources += [(f"values '{n}'", before.tables[n], after.tables[n]) for n in before.tables]
    for name, had, has in sources:
        if had and not has:
            message = f"[wildcard_constraints] leave nothing of {name}; rules that use it disappear"
            hint = "correct the pattern; it is searched anywhere in the value"
            yield warning(UNUSABLE, message, key="wildcard_constraints", suggestion=hint)


def _check_tables(workflow: Workflow) -> Iterable[Diagnostic]:
    seen: set[str] = set()
    for index, table in enumerate(workflow.values):
        where = f"values.{index}"
        if not table.name:
            yield error(UNUSABLE, 'a [[values]] table has no name; add name = "…"', key=where)
        elif table.name in RESERVED_NAMES:
            message = f"[[values]] '{table.name}' has the name of a built-in placeholder; rename it"
            yield error(UNUSABLE, message, key=f"{where}.name")
        elif table.name in seen:
            message = f"[[values]] '{table.name}' is defined twice; merge or rename the tables"
            yield error(UNUSABLE, message, key=f"{where}.name")
        unknown = table.values_from and workflow.gaps.config
        if not unknown and not table_values(workflow, table):
            yield _no_values(workflow, table, where)
        seen.add(table.name)


def _no_values(workflow: Workflow, table: ValueTable, where: str) -> Diagnostic:
    """Say of a table without values whether its list is missing, empty or no list."""
    message, hint = f"[[values]] '{table.name}' has no values", "add some, or remove it"
    if not table.values_from:
        return error(UNUSABLE, message, key=where, suggestion=hint)
    key = table.values_from.removeprefix("config.")
    if key in workflow.config:
        message += f": '{table.values_from}' gives none"
    else:
        message += f": '{table.values_from}' is not defined"
        near = most_alike(key, workflow.config)
        hint = f"did you mean 'config.{near}'?" if near else f"add {key} = … to [config]"
    return error(UNUSABLE, message, key=f"{where}.values_from", suggestion=hint)


def check_constraints(workflow: Workflow) -> Iterable[Diagnostic]:
    """Find patterns that cannot be compiled (1.16)."""
    for name, text in workflow.constraints.items():
        try:
            compile_pattern(text)
        except ValueError as fault:
            message = f"[wildcard_constraints] {name} is not a usable pattern: {fault}"
            yield error(UNUSABLE, message, key=f"wildcard_constraints.{name}")


def _check_metadata(workflow: Workflow) -> Iterable[Diagnostic]:
    pairs = [("pairs", index, pair.metadata) for index, pair in enumerate(workflow.pairs)]
    groups = [("sample_groups", index, g.metadata) for index, g in enumerate(workflow.groups)]
    for table, index, metadata in (*pairs, *groups):
        if metadata:
            for key in sorted(metadata.keys() & ENGINE_NAMES):
                message = (
                    f"[[{table}]] metadata '{key}' has the name of an engine placeholder, which it "
                    "would replace in every command; rename it"
                )
                yield error(UNUSABLE, message, key=f"{table}.{index}.metadata")


def _check_empty(workflow: Workflow) -> Iterable[Diagnostic]:
    """Refuse samples without a name: their files would be called like their directory."""
    for index, group in enumerate(workflow.groups):
        if "" in group.samples:
            message = f"sample group '{group.name}' has a sample without a name; remove it"
            key = f"sample_groups.{index}.samples.{group.samples.index('')}"
            yield error(UNUSABLE, message, key=key)


def _check_names(workflow: Workflow) -> Iterable[Diagnostic]:
    """Refuse names that a shell would run or that no file may carry (S15)."""
    for key, text in _wildcard_texts(workflow):
        if _SHELL_MARKS.search(text) and not is_mark(text):
            message = (
                f"[[{key.partition('.')[0]}]] has the value {text[:60]!r}, which holds a command "
                "substitution, a line break or a NUL; use plain names"
            )
            yield error("E011", message, key=key)


def _wildcard_texts(workflow: Workflow) -> Iterable[tuple[str, str]]:
    """Give every value that comes from a table, with its key."""
    for index, pair in enumerate(workflow.pairs):
        yield f"pairs.{index}.pair_id", pair.pair_id
        yield f"pairs.{index}.experiment", pair.experiment
        yield f"pairs.{index}.control", pair.control
        for key, text in pair.metadata.items():
            yield f"pairs.{index}.metadata.{key}", text
    for index, group in enumerate(workflow.groups):
        yield f"sample_groups.{index}.name", group.name
        for number, text in _odd_ones(group.samples):
            yield f"sample_groups.{index}.samples.{number}", text
        for key, text in group.metadata.items():
            yield f"sample_groups.{index}.metadata.{key}", text
    for index, table in enumerate(workflow.values):
        for number, text in _odd_ones(table.values):  # those of [config] are the author's to write
            yield f"values.{index}.values.{number}", text


def _odd_ones(texts: Sequence[str]) -> Iterable[tuple[int, str]]:
    """Give the texts with their numbers, none of them when they are harmless together."""
    return enumerate(texts) if _SHELL_MARKS.search(" ".join(texts)) else ()
