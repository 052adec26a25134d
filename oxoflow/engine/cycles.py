"""Find the circles among jobs that wait for each other, and say what closes them.

Owns the words for a circle (spec/oxoflow-format.md 4.2). Jobs are known by their position.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from oxoflow.engine.configtext import ConfigTexts
from oxoflow.engine.matching import OutputIndex, looks_like_directory, tidy
from oxoflow.errors import Diagnostic, Severity
from oxoflow.lang.model import Job

_SHOWN = 20  # names of a cycle that a message spells out
_MOST = 20  # cycles that are told of one workflow
_Links = Sequence[Sequence[int]]


def cycle_faults(
    jobs: Sequence[Job], parents: _Links, children: _Links, order: Sequence[int], texts: ConfigTexts
) -> Iterator[Diagnostic]:
    """Tell of the cycles among the jobs missing from `order`, no job in two of them."""
    left = set(range(len(parents))) - set(order)
    for _ in range(_MOST):
        if not left:
            return
        cycle = _find(parents, left)
        first, last = jobs[cycle[0]], jobs[cycle[-1]]
        key, _ = _edge(last, first, texts)
        message = _cycle_message(jobs, cycle, texts)
        yield Diagnostic(Severity.ERROR, "E006", message, rule=first.rule.name, key=key)
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


def _cycle_message(jobs: Sequence[Job], cycle: Sequence[int], texts: ConfigTexts) -> str:
    names = [jobs[at].name for at in [*cycle, cycle[0]]]
    if len(names) > _SHOWN:
        names = [*names[: _SHOWN - 1], f"… {len(names) - _SHOWN} more …", names[-1]]
    links = zip(cycle, [*cycle[1:], cycle[0]], strict=True)
    causes = [_edge(jobs[one], jobs[two], texts)[1] for one, two in links][:_SHOWN]
    surprising = "; ".join([cause for cause in causes if "directory" in cause][:3])
    because = surprising or "; ".join(causes[:3])
    return (
        f"cycle detected in workflow DAG: {' → '.join(names)} ({because}); "
        "let one of these rules write elsewhere or not read what comes after it"
    )


def _edge(producer: Job, consumer: Job, texts: ConfigTexts) -> tuple[str, str]:
    """Say by which of its keys, and why, `consumer` waits for `producer`."""
    if producer.name in consumer.depends_on:
        cause = f"'{consumer.name}' names '{producer.name}' in depends_on"
        return "depends_on", cause
    outputs = OutputIndex((tidy(texts.path(path)), 0) for path in producer.output.paths)
    for number, written in enumerate(consumer.input.paths):
        path, key = tidy(texts.path(written)), f"input.{consumer.rule.input.step(number)}"
        if outputs.exact(path):
            return key, f"'{consumer.name}' reads '{path}' of '{producer.name}'"
        if outputs.match(path) or outputs.match_directory(path, consumer.input.pattern):
            kind = ", which counts as a directory," if looks_like_directory(path) else ""
            return key, f"'{consumer.name}' reads '{path}'{kind} where '{producer.name}' writes"
    return "input", f"'{consumer.name}' follows '{producer.name}'"
