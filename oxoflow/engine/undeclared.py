"""Find files that jobs made without declaring them, and others' files they read undeclared.

Owns the two findings after a run, W032 and W027: such files break resuming and sharing, since no
plan knows of them. What a job made is seen by the file's time and by samples of open files.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from msgspec import Struct

from oxoflow.engine.dag import Dag
from oxoflow.engine.files import RECORDS
from oxoflow.engine.matching import is_glob
from oxoflow.engine.outputs import ASIDE
from oxoflow.engine.records import Record
from oxoflow.engine.reentry import manifest_of
from oxoflow.engine.render import Renderer
from oxoflow.engine.select import ancestors
from oxoflow.lang.model import EnvironmentKind, Job

MADE, READ = "W032", "W027"
_OURS = frozenset({RECORDS, "execution.log", "__pycache__", ".pixi"})
_EDITED = (".oxoflow", "~", ".swp")  # ends of names: a workflow, and what editors leave beside it
_ENTRIES = 200_000
_SECONDS = 2.0
_SHOWN = 5
_LAG = 0.02  # seconds by which the times of files may lag behind the clock


class Finding(Struct, frozen=True):
    """What one rule did without saying so in its declaration.

    `rule` is None when it was one of those `at_work`, and nothing tells which.
    """

    code: str
    rule: str | None
    paths: tuple[str, ...]
    at_work: tuple[str, ...] = ()

    def message(self) -> str:
        """The fact and the cure, in a sentence."""
        shown = ", ".join(f"'{path}'" for path in self.paths[:_SHOWN])
        more = f" and {len(self.paths) - _SHOWN} more" if len(self.paths) > _SHOWN else ""
        if self.code == MADE:
            cure = "declare what is a result as output, and what is not as temp_output"
            if self.rule is None:
                rules = ", ".join(f"'{rule}'" for rule in self.at_work[:_SHOWN])
                rules += ", …" if len(self.at_work) > _SHOWN else ""
                return f"{MADE}: one of the rules {rules} made {shown}{more} undeclared; {cure}"
            return f"{MADE}: rule '{self.rule}' made {shown}{more} without declaring it; {cure}"
        cure = "declare it as input, or the order of the two rules is left to chance"
        return f"{READ}: rule '{self.rule}' read {shown}{more}, made by other rules; {cure}"


def find_undeclared(
    root: str,
    dag: Dag,
    renderer: Renderer,
    records: Mapping[str, Record],
    since: float,
    read: Mapping[str, set[str]],
    written: Mapping[str, set[str]],
) -> tuple[Finding, ...]:
    """Compare what was seen since the run began with what the jobs declare."""
    ran = [r for r in records.values() if (r.started_at or 0.0) >= since and r.job in dag.index]
    declared = _Declared(root, dag, renderer)
    made: dict[str, set[str]] = {}
    unclear: dict[str, set[str]] = {}
    sources = _Sources(dag, renderer, records)
    for path, changed_at in _changed(root, since, declared):
        rules = _makers(path, changed_at, ran, written, sources)
        if len(rules) > 1:
            rules = _naming(path, dag, ran, rules) or rules
        if len(rules) == 1:
            made.setdefault(min(rules), set()).add(path)
        elif rules:
            unclear[path] = rules
    found = [Finding(MADE, rule, tuple(sorted(paths))) for rule, paths in sorted(made.items())]
    if unclear:
        at_work = tuple(sorted(set().union(*unclear.values())))
        found.append(Finding(MADE, None, tuple(sorted(unclear)), at_work))
    taken: dict[str, set[str]] = {}
    for job, paths in read.items():
        if job in dag.index:
            foreign = _foreign(dag, renderer, dag.index[job], paths)
            if foreign:
                taken.setdefault(dag.jobs[dag.index[job]].rule.name, set()).update(foreign)
    found += [Finding(READ, rule, tuple(sorted(paths))) for rule, paths in sorted(taken.items())]
    return tuple(found)


class _Declared:
    """The files that some rule says it makes."""

    def __init__(self, root: str, dag: Dag, renderer: Renderer) -> None:
        self._files: set[str] = set()
        self._folders: set[str] = set()
        self._patterns: set[str] = set()
        for job in dag.jobs:
            for path in _places(job, renderer):
                plain = path[:1] != "/" and ".." not in path
                own = path if plain else os.path.relpath(os.path.join(root, path), root)
                self._add(os.path.normpath(own))
            environment = job.rule.environment
            if environment is not None and environment.kind is EnvironmentKind.VENV:
                self._folders.add(os.path.normpath(environment.spec))

    def _add(self, path: str) -> None:
        if "{" in path:
            self._patterns.add(f"{path.partition('{')[0]}*")
        elif is_glob(path):
            self._patterns.add(path)
        else:
            self._files.add(path)

    def covers(self, path: str) -> bool:
        """True for a declared file, directory or match; what lies in a directory is not asked."""
        if path in self._files or path in self._folders:
            return True
        return any(fnmatch.fnmatchcase(path, pattern) for pattern in self._patterns)


def _places(job: Job, renderer: Renderer) -> Iterator[str]:
    rule = job.rule
    yield from renderer.outputs(job)
    yield from renderer.own_paths(job, rule.temp_output)
    if rule.output_pattern:
        yield from renderer.own_paths(job, (rule.output_pattern,))
    script = (job.script or "").split(None, 1)[:1]  # somebody may edit it meanwhile
    named = [path for path in (job.log, rule.benchmark, *script) if path]
    yield from renderer.own_paths(job, named)
    manifest = manifest_of(job, renderer)
    if manifest is not None:
        yield manifest


class _Sources:
    """The files that jobs read before somebody changed them."""

    def __init__(self, dag: Dag, renderer: Renderer, records: Mapping[str, Record]) -> None:
        self._dag = dag
        self._renderer = renderer
        self._records = records

    @cached_property
    def _read_at(self) -> Mapping[str, float]:
        """When each input was first read."""
        found: dict[str, float] = {}
        for job in self._dag.jobs:
            record = self._records.get(job.name)
            if record is not None and record.started_at is not None:
                for path in self._renderer.input_files(job):
                    plain = os.path.normpath(path)
                    found[plain] = min(record.started_at, found.get(plain, record.started_at))
        return found

    def had(self, path: str, at: float) -> bool:
        """True for what was there as an input by then. Looks at all jobs on the first question."""
        return self._read_at.get(path, at) < at


class _Kept:
    """The files in which a caller keeps what the run prints: by `>`, or by `tee` behind it.

    Who stands in one pipeline with us is of our process group; jobs never are.
    """

    @cached_property
    def _files(self) -> frozenset[tuple[int, int]]:
        group, found = os.getpgrp(), set()
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):  # it ended, or is not ours to look at
                if os.getpgid(int(name)) == group:
                    for number in os.listdir(f"/proc/{name}/fd"):
                        status = os.stat(f"/proc/{name}/fd/{number}")
                        found.add((status.st_dev, status.st_ino))
        return frozenset(found)

    def holds(self, status: os.stat_result) -> bool:
        """Looks at processes on the first question only."""
        return (status.st_dev, status.st_ino) in self._files


def _changed(root: str, since: float, declared: _Declared) -> Iterator[tuple[str, float]]:
    """Yield undeclared files that came or changed since; a bounded look at the directory."""
    deadline, entries, kept = time.monotonic() + _SECONDS, 0, _Kept()
    waiting = [""]
    while waiting and entries < _ENTRIES and time.monotonic() < deadline:
        inside = waiting.pop()
        try:
            listed = list(os.scandir(f"{root}/{inside}" if inside else root))
        except OSError:
            continue
        for entry in listed:
            entries += 1
            path = f"{inside}/{entry.name}" if inside else entry.name
            if entry.name in _OURS or path.endswith((ASIDE, *_EDITED)) or declared.covers(path):
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(path)
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if status.st_ctime >= since and not kept.holds(status):
                yield path, status.st_ctime


def _makers(
    path: str,
    changed_at: float,
    ran: Sequence[Record],
    written: Mapping[str, set[str]],
    sources: _Sources,
) -> set[str]:
    """The rules that may have made a file: who was seen to write it, else all at work then.

    A source that changed while its reader was at work was edited by a person.
    """
    seen = {record.rule for record in ran if path in written.get(record.job, ())}
    if not seen and not sources.had(path, changed_at):
        seen = at_work(ran, changed_at)
    return seen


def at_work(ran: Iterable[Record], moment: float) -> set[str]:
    """The rules of the jobs at work at the time of a file, which says a little too early a time."""
    for lag in (0.0, _LAG):
        found = {
            record.rule
            for record in ran
            if (record.started_at or 0.0) - lag <= moment <= (record.finished_at or 0.0)
        }
        if found:
            return found
    return set()


def _naming(path: str, dag: Dag, ran: Sequence[Record], rules: set[str]) -> set[str]:
    """Of some rules, those whose commands name the file, at least without its directory."""
    name = os.path.basename(path)
    jobs = (dag.jobs[dag.index[record.job]] for record in ran if record.rule in rules)
    return {job.rule.name for job in jobs if name in f"{job.shell or ''} {job.script or ''}"}


def _foreign(dag: Dag, renderer: Renderer, index: int, paths: set[str]) -> set[str]:
    """Of the files a job read, those of jobs that it does not wait for."""
    makers: dict[str, int] = {}
    for at, job in enumerate(dag.jobs):
        for path in renderer.outputs(job):
            if path in paths and at != index:
                makers[path] = at
    if not makers:
        return set()
    above = ancestors(dag, [index])
    return {path for path, maker in makers.items() if maker not in above}
