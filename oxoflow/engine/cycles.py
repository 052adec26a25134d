"""Find the circles among jobs that wait for each other, and say what closes them.

Owns the words for a circle (spec/oxoflow-format.md 4.2). Jobs are known by their position.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from oxoflow.engine.configtext import ConfigTexts
from oxoflow.engine.matching import OutputIndex, looks_like_directory, tidy
from oxoflow.errors import Diagnostic, Severity
from oxoflow.lang.model import ExecutionGroup, Job

_SHOWN = 20  # names of a cycle that a message spells out
_MOST = 20  # cycles that are told of one workflow
_Links = Sequence[Sequence[int]]
_Groups = Sequence[ExecutionGroup]


class _Edge(NamedTuple):
    """Why one job waits for another: the key to change, the cause in words, and what to change."""

    key: str
    cause: str
    cure: str = "let one of these rules write elsewhere or not read what comes after it"
    rule: str | None = None  # whose key it is; None: one of the workflow


def cycle_faults(
    jobs: Sequence[Job],
    parents: _Links,
    children: _Links,
    order: Sequence[int],
    texts: ConfigTexts,
    groups: _Groups = (),
) -> Iterator[Diagnostic]:
    """Tell of the cycles among the jobs missing from `order`, no job in two of them."""
    left = set(range(len(parents))) - set(order)
    for _ in range(_MOST):
        if not left:
            return
        cycle = _find(parents, left)
        closing = _edge(jobs[cycle[-1]], jobs[cycle[0]], texts, groups)
        message = _cycle_message(jobs, cycle, texts, groups)
        yield Diagnostic(Severity.ERROR, "E006", message, rule=closing.rule, key=closing.key)
        _take_out(cycle, left, parents, children)


def find_cycle(parents: _Links, order: Sequence[int]) -> list[int]:
    """Give one cycle among the positions missing from `order`, producer before consumer."""
    return _find(parents, set(range(len(parents))) - set(order))


def _find(parents: _Links, left: set[int]) -> list[int]:
    """Give one cycle among positions each of which has a parent among them."""
    at = min(left)
    path: list[int] = []
    place: dict[int, int] = {}
    while at not in place:
        place[at] = len(path)
        path.append(at)
        at = next(parent for parent in parents[at] if parent in left)
    cycle = path[place[at] :][::-1]
    first = cycle.index(min(cycle))
    return cycle[first:] + cycle[:first]


def _take_out(cycle: Sequence[int], left: set[int], parents: _Links, children: _Links) -> None:
    """Leave only what waits for others that are left."""
    gone = list(cycle)
    left.difference_update(gone)
    while gone:
        for child in children[gone.pop()]:
            if child in left and left.isdisjoint(parents[child]):
                left.discard(child)
                gone.append(child)


def _cycle_message(
    jobs: Sequence[Job], cycle: Sequence[int], texts: ConfigTexts, groups: _Groups
) -> str:
    names = [jobs[at].name for at in [*cycle, cycle[0]]]
    if len(names) > _SHOWN:
        names = [*names[: _SHOWN - 1], f"… {len(names) - _SHOWN} more …", names[-1]]
    links = zip(cycle, [*cycle[1:], cycle[0]], strict=True)
    edges = [_edge(jobs[one], jobs[two], texts, groups) for one, two in links][:_SHOWN]
    causes = [edge.cause for edge in edges]
    surprising = "; ".join([cause for cause in causes if "directory" in cause][:3])
    because = surprising or "; ".join(causes[:3])
    cures = ", or ".join(dict.fromkeys(edge.cure for edge in edges))
    return f"cycle detected in workflow DAG: {' → '.join(names)} ({because}); {cures}"


def _edge(producer: Job, consumer: Job, texts: ConfigTexts, groups: _Groups) -> _Edge:
    """Say by which of its keys, and why, `consumer` waits for `producer`."""
    rule = consumer.rule.name
    if producer.name in consumer.depends_on:
        cause = f"'{consumer.name}' names '{producer.name}' in depends_on"
        return _Edge("depends_on", cause, "take out of depends_on what is not needed", rule)
    outputs = OutputIndex((tidy(texts.path(path)), 0) for path in producer.output.paths)
    for number, written in enumerate(consumer.input.paths):
        path, key = tidy(texts.path(written)), f"input.{consumer.rule.input.step(number)}"
        if outputs.exact(path):
            cause = f"'{consumer.name}' reads '{path}' of '{producer.name}'"
            return _Edge(key, cause, rule=rule)
        if outputs.match(path) or outputs.match_directory(path, consumer.input.pattern):
            kind = ", which counts as a directory," if looks_like_directory(path) else ""
            cause = f"'{consumer.name}' reads '{path}'{kind} where '{producer.name}' writes"
            return _Edge(key, cause, rule=rule)
    cause = f"'{consumer.name}' follows '{producer.name}'"
    for number, group in enumerate(groups):
        if group.mode == "sequential" and {producer.rule.name, rule} <= set(group.rules):
            cause += f" in the execution group '{group.name}'"
            cure = 'give the rules of that group the order of their files, or mode = "parallel"'
            key = f"execution_group.{number}.rules.{group.rules.index(rule)}"
            return _Edge(key, cause, cure)
    return _Edge("input", cause, rule=rule)
