"""Cut a `transform` rule into its map and combine halves.

Owns the transform half of spec/oxoflow-format.md 1.12. The halves are rules again, so that they
fan out, name and fill their texts like every other rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from oxoflow.errors import Diagnostic
from oxoflow.lang.faults import UNUSABLE, error, warning
from oxoflow.lang.lists import config_list
from oxoflow.lang.model import Combine, FileSet, Rule, Split, Transform
from oxoflow.lang.values import config_text
from oxoflow.lang.view import NOTHING, FileView

CHUNKS = ".oxo-flow/chunks"
INSTANCE = "_instance"  # the binding that keeps chunks of different jobs apart, never shown
COMBINE_SUFFIX = "_combine"
_METHODS = ("concat", "json_merge")


class SplitError(Exception):
    """A split gives no values; the message says why."""


def check_transform(rule: Rule) -> list[Diagnostic]:
    """Find a combine that combines nothing, and a split that can never give values."""
    transform = rule.transform
    if transform is None:
        return []
    problems = []
    split, combine = transform.split, transform.combine
    if not (split.values or split.values_from or split.n or split.glob):
        message = f"rule '{rule.name}': transform.split has no values, values_from, n or glob"
        problems.append(error(UNUSABLE, message, rule=rule.name, key="transform.split"))
    if combine and not combine.shell:
        message = ""
        if not combine.aggregate:
            message = "transform.combine has neither shell nor aggregate = true"
        elif combine.method not in _METHODS:
            known = " or ".join([f"'{m}'" for m in _METHODS])
            message = f"transform.combine.method is '{combine.method}', and must be {known}"
        elif not rule.output.paths:
            message = "transform.combine has no file to write to; give the rule an output"
        if message:
            message = f"rule '{rule.name}': {message}"
            key = "transform.combine.method" if "method" in message else "transform.combine"
            problems.append(error(UNUSABLE, message, rule=rule.name, key=key))
    return problems


def check_split(
    rule: Rule, config: Mapping[str, Any], view: FileView, limit: int
) -> Iterator[Diagnostic]:
    """Find a split whose values cannot be had, and a number of chunks that is none (1.12)."""
    split = rule.transform.split if rule.transform else None
    if split is None or not (split.values or split.values_from or split.n or split.glob):
        return
    named = "" if split.values else split.values_from
    if named and named.removeprefix("config.") not in config:
        return  # that the key is not defined is told with the others (E005)
    try:
        split_values(split, config, view, limit)
    except SplitError as fault:
        message = f"rule '{rule.name}': transform.split: {fault}"
        yield error(UNUSABLE, message, rule=rule.name, key="transform.split")
    counted = split.n is not None and not split.values and not split.values_from
    if counted and not _written_count(split.n or "", config).isdecimal():
        message = f"rule '{rule.name}': transform.split.n '{split.n}' is no number and no key of "
        message += "[config] that holds one, so there is one chunk"
        hint = "write a number, such as 4, or the name of a key of [config]"
        yield warning(UNUSABLE, message, rule=rule.name, key="transform.split.n", suggestion=hint)


def split_values(
    split: Split, config: Mapping[str, Any], view: FileView, limit: int
) -> Sequence[str]:
    """Give the values of the first source present: values, values_from, n, glob.

    Raises SplitError. A view that sees nothing makes one value of a glob: the glob itself.
    """
    if split.values:
        return split.values
    if split.values_from:
        listed = config_list(config, split.values_from)
        if listed is not None and not listed:
            raise SplitError(f"values_from '{split.values_from}' is an empty list; add values")
        if not listed:
            raise SplitError(f"values_from '{split.values_from}' is no list in [config]")
        return listed
    if split.n is not None:
        return _numbers(split.n, config, limit)
    if split.glob:
        found = [split.glob] if view is NOTHING else view.glob(split.glob)
        if not found:
            raise SplitError(f"glob '{split.glob}' matches no file")
        return found
    raise SplitError("there is no values, values_from, n or glob")


def _numbers(text: str, config: Mapping[str, Any], limit: int) -> Sequence[str]:
    written = _written_count(text, config)
    usable = written.isascii() and written.isdigit() and len(written) < 10
    count = int(written) if usable else 1
    if not count:
        raise SplitError("n = 0 makes no chunks; use 1 or more")
    if count > limit:
        raise SplitError(
            f"n = {count} is more than the {limit} jobs that are allowed; use a smaller n"
        )
    return [str(number) for number in range(count)]


def _written_count(text: str, config: Mapping[str, Any]) -> str:
    value = config.get(text.removeprefix("config."))
    return (config_text(value) if value is not None else text).strip()


def map_rule(rule: Rule, transform: Transform, *, own_chunks: bool) -> Rule:
    """Give the rule that makes one chunk; `{<by>}` in its texts is filled like a wildcard.

    With `own_chunks` the chunks lie in a directory of each instance, named by `{_instance}`: two
    transforms over the same variable must not write the same files (S17).
    """
    return Rule(
        name=rule.name,
        input=rule.input,
        output=FileSet((chunk_path(rule, transform.split.by, own_chunks=own_chunks),)),
        expand_inputs=rule.expand_inputs,
        shell=transform.map,
        description=rule.description,
        threads=rule.threads,
        memory=rule.memory,
        resources=rule.resources,
        environment=rule.environment,
        env_group=rule.env_group,
        required=rule.required,
        retries=rule.retries,
        depends_on=rule.depends_on,
        when=rule.when,
        params=rule.params,
        envvars=rule.envvars,
        tags=rule.tags,
    )


def combine_rule(rule: Rule, transform: Transform, combine: Combine) -> Rule:
    """Give the rule that joins the chunks; its inputs are added per instance."""
    return Rule(
        name=rule.name,
        input=FileSet(),
        output=rule.output,
        shell=_combine_command(combine),
        description=rule.description,
        threads=rule.threads,
        memory=rule.memory,
        resources=rule.resources,
        environment=rule.environment,
        env_group=rule.env_group,
        required=rule.required,
        when=rule.when,
        params=rule.params,
        envvars=rule.envvars,
        tags=rule.tags,
        cleanup_chunks=transform.cleanup,
    )


def chunk_path(rule: Rule, by: str, *, own_chunks: bool) -> str:
    """Give the pattern of a chunk: the first output when it names the variable, else our place."""
    first = rule.output.paths[0] if rule.output.paths else ""
    if f"{{{by}}}" in first:
        return first
    name = first.rpartition("/")[2]
    extension = name.partition(".")[2] or "out"
    own = f"{{{INSTANCE}}}/" if own_chunks else ""
    return f"{CHUNKS}/{by}/{own}{{{by}}}.{extension}"


def _combine_command(combine: Combine) -> str:
    if combine.shell:
        return combine.shell.replace("{chunks}", "{input}")
    if combine.method == "json_merge":
        return "jq -s add {input} > {output[0]}"
    if combine.header is None:
        return "cat {input} > {output[0]}"
    quoted = "'" + combine.header.replace("'", "'\\''") + "'"
    return f"{{ echo {quoted} && cat {{input}}; }} > {{output[0]}}"
