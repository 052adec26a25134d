"""Find where two runs part: the first job whose outputs differ, and what differed before it.

Owns the comparison of two directories' records. What one run alone has is listed, not compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from msgspec import Struct

from oxoflow.engine.fingerprint import Difference, differences
from oxoflow.engine.history import History
from oxoflow.engine.records import OutputRecord


class Parted(Struct, frozen=True):
    """A job that differs between the runs: in its results, or only in what it was given.

    `outputs` are (path, content in the first run, in the second); None where one has no such file
    or nobody knows its content.
    """

    job: str
    rule: str
    outputs: tuple[tuple[str, str | None, str | None], ...]
    parts: tuple[Difference, ...]


class Comparison(Struct, frozen=True):
    """Where two runs part. `before` are jobs with equal outputs that were given something else."""

    compared: int
    first: Parted | None
    before: tuple[Parted, ...]
    also: tuple[str, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]


def compare(one: History, two: History) -> Comparison:
    """Compare the results that both runs have, in the first one's order."""
    first: Parted | None = None
    before: list[Parted] = []
    also: list[str] = []
    shared = [r for r in one.in_order() if _is_done(two, r.job)]
    for record in shared:
        outputs = tuple(_differing_outputs(one, two, record.job))
        if first is not None:
            also += [record.job] if outputs else []
            continue
        parts = _differing_parts(one, two, record.job)
        if outputs:
            first = Parted(record.job, record.rule, outputs, parts)
        elif parts:
            before.append(Parted(record.job, record.rule, (), parts))
    return Comparison(
        len(shared),
        first,
        tuple(before),
        tuple(also),
        tuple(r.job for r in one.in_order() if not _is_done(two, r.job)),
        tuple(r.job for r in two.in_order() if not _is_done(one, r.job)),
    )


def _is_done(history: History, job: str) -> bool:
    record = history.records.get(job)
    return record is not None and record.status == "done"


def _differing_outputs(
    one: History, two: History, job: str
) -> Iterator[tuple[str, str | None, str | None]]:
    first = {output.path: output for output in one.by_job.get(job, ())}
    second = {output.path: output for output in two.by_job.get(job, ())}
    for path in sorted(first.keys() | second.keys()):
        a = one.content(first[path]) if path in first else None
        b = two.content(second[path]) if path in second else None
        if a != b or (a is None and _size(first, path) != _size(second, path)):
            yield path, a, b


def _size(outputs: Mapping[str, OutputRecord], path: str) -> int | None:
    return outputs[path].size if path in outputs else None


def _differing_parts(one: History, two: History, job: str) -> tuple[Difference, ...]:
    """What a job was given differently: the parts of its key, and the versions it ran with."""
    same_key = one.records[job].key == two.records[job].key
    a, b = one.detail(job), two.detail(job)
    found: tuple[Difference, ...] = ()
    if not same_key:
        found = differences(a.parts, json.loads(b.parts) if b.parts else {})
    if a.environment != b.environment:
        found += tuple(_differing_versions(a.environment, b.environment))
    return found


def _differing_versions(one: str | None, two: str | None) -> Iterator[Difference]:
    a, b = _versions(one), _versions(two)
    gone = [line for line in a if line not in set(b)]
    come = [line for line in b if line not in set(a)]
    if gone or come:
        shown = (", ".join(gone[:20]) or None, ", ".join(come[:20]) or None)
        yield Difference("versions", *shown)


def _versions(text: str | None) -> list[str]:
    found = json.loads(text) if text else {}
    return [str(line) for line in found.get("versions", ())]
