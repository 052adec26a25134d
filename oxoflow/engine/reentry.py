"""Let finished rules bring new samples, pairs and files into the run (3.2).

Owns the manifest, its record in the state, and the workflow that grows by it. A run goes round by
round: when everything that was planned has ended, what the manifests add is expanded; the jobs of
new names are run, and those that read what these make are brought up to date. Earlier additions are
replayed from their record, so that two runs on the same results plan the same jobs; a checkpoint
that will run again has its addition revoked first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli
from msgspec import Struct, to_builtins
from msgspec.structs import replace

from oxoflow.engine.capacity import find_capacity
from oxoflow.engine.dag import Dag, build_dag
from oxoflow.engine.deciding import Verdict
from oxoflow.engine.files import WorkFiles
from oxoflow.engine.load import Loaded
from oxoflow.engine.options import RunOptions
from oxoflow.engine.plan import Planner, PlanOptions
from oxoflow.engine.render import Renderer
from oxoflow.engine.select import jobs_called
from oxoflow.engine.state import State
from oxoflow.errors import RunError, UsageError
from oxoflow.lang.expand import expand
from oxoflow.lang.model import Job, Pair, SampleGroup, Workflow
from oxoflow.lang.shapes import Wrong
from oxoflow.lang.sources import check_sources
from oxoflow.lang.tables import PAIR

MAX_ROUNDS = 32
_META = "reentries"
_DISCOVERED = "auto-discovered"
_CURE = 'write [reentry] with sample = ["NAME", …], or pairs = [{ pair_id = …, experiment = … }, …]'


class Addition(Struct, frozen=True):
    """What one checkpoint brought: samples for a group (None: the first), and pairs."""

    job: str
    group: str | None = None
    samples: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] = ()


def read_manifest(job: str, path: str, content: bytes | None) -> Addition:
    """Read a manifest; raises RunError saying what is wrong with it."""
    if content is None:
        raise RunError(f"checkpoint manifest '{path}' is not there; let the command write it")
    try:
        table = tomli.loads(content.decode()).get("reentry")
    except (UnicodeDecodeError, tomli.TOMLDecodeError) as error:
        raise RunError(f"checkpoint manifest '{path}' is no TOML: {error}; {_CURE}") from None
    if not isinstance(table, dict):
        raise RunError(f"checkpoint manifest '{path}' has no [reentry] table; {_CURE}")
    return _addition(job, path, table)


def _addition(job: str, path: str, table: Mapping[str, Any]) -> Addition:
    group, samples = table.get("group"), table.get("sample", [])
    if not isinstance(group, str | None) or not _is_texts(samples):
        raise RunError(f"checkpoint manifest '{path}': group is a text, sample a list of texts")
    try:
        pairs = tuple(PAIR.shape.read(entry) for entry in table.get("pairs", []))
    except (Wrong, TypeError) as error:
        raise RunError(
            f"checkpoint manifest '{path}': a pair needs pair_id and experiment ({error})"
        ) from None
    if any(not pair.pair_id or not pair.experiment for pair in pairs):
        raise RunError(f"checkpoint manifest '{path}': a pair without pair_id or experiment")
    return Addition(job, group, tuple(dict.fromkeys(samples)), pairs)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and item for item in value)


def extend(workflow: Workflow, addition: Addition) -> Workflow:
    """Give the workflow with what is new; the same object when nothing is. Raises RunError."""
    known = {pair.pair_id: pair for pair in workflow.pairs}
    for pair in addition.pairs:
        if known.get(pair.pair_id, pair) != pair:
            raise RunError(
                f"E015: checkpoint '{addition.job}' gives pair '{pair.pair_id}' another content "
                "than it has; use another pair_id"
            )
    pairs = tuple({p.pair_id: p for p in addition.pairs if p.pair_id not in known}.values())
    groups = _with_samples(workflow.groups, addition)
    if not pairs and groups == workflow.groups:
        return workflow
    return replace(workflow, pairs=(*workflow.pairs, *pairs), groups=groups)


def _with_samples(groups: Sequence[SampleGroup], addition: Addition) -> tuple[SampleGroup, ...]:
    wanted = addition.group or (groups[0].name if groups else _DISCOVERED)
    for at, group in enumerate(groups):
        if group.name == wanted:
            new = [name for name in addition.samples if name not in group.samples]
            grown = replace(group, samples=(*group.samples, *new)) if new else group
            return (*groups[:at], grown, *groups[at + 1 :])
    if not addition.samples:
        return tuple(groups)
    return (*groups, SampleGroup(wanted, addition.samples))


def manifest_of(job: Job, renderer: Renderer) -> str | None:
    """The path of a checkpoint's manifest; None for a job that has none."""
    if not job.rule.checkpoint or not job.rule.checkpoint_manifest:
        return None
    return renderer.own_paths(job, (job.rule.checkpoint_manifest,))[0]


def check_manifest(
    job: Job, workflow: Workflow, renderer: Renderer, files: WorkFiles
) -> str | None:
    """Say what is wrong with what a checkpoint has just written; None when nothing is."""
    path = manifest_of(job, renderer)
    if path is None:
        return None
    try:
        grown = extend(workflow, read_manifest(job.name, path, files.read(path)))
    except RunError as error:
        return error.message
    problems = check_sources(grown) if grown is not workflow else []
    return f"checkpoint manifest '{path}': {problems[0].message}" if problems else None


class Reentries:
    """The rounds of one run, and the record of earlier ones."""

    def __init__(self, state: State, root: Path, options: RunOptions) -> None:
        self._state = state
        self._root = root
        self._options = options
        self._rounds = 0
        self._records = _read_records(state.meta(_META))

    def replay(self, loaded: Loaded, *, keep: bool = False) -> Loaded:
        """Give the workflow as earlier checkpoints left it; those that will run again do not count.

        With `keep` the records of those are deleted, too. Raises RunError when a record contradicts
        the workflow.
        """
        if not self._records:
            return loaded
        kept = []
        valid = self._unchanged(loaded)
        for record in self._records:
            if record.job in valid:
                loaded = self._grow(loaded, [record])
                kept.append(record)
        if keep:
            self._keep(kept)
        return loaded

    def whole(self, loaded: Loaded) -> Loaded:
        """Give the workflow with all that checkpoints ever added, for who looks for their files."""
        return self._grow(loaded, self._records) if self._records else loaded

    def grown(self, loaded: Loaded, renderer: Renderer) -> Loaded | None:
        """Give the workflow with what finished checkpoints add; None when that is nothing."""
        files, known = WorkFiles(str(self._root)), None
        records = {record.job: record for record in self._records}
        found = []
        for job in loaded.jobs:
            path = manifest_of(job, renderer)
            if path is None:
                continue
            known = known or self._state.known()
            if job.name in known and known[job.name].status == "done":
                addition = read_manifest(job.name, path, files.read(path))
                if extend(loaded.workflow, addition) is not loaded.workflow:
                    found.append(addition)
        if not found:
            return self._discovered(loaded)
        self._count_round(f"checkpoint '{found[0].job}' still adds samples", "its manifest")
        grown = self._grow(loaded, found)
        self._keep([*({**records, **{record.job: record for record in found}}.values())])
        return grown

    def _discovered(self, loaded: Loaded) -> Loaded | None:
        """Give the workflow with the jobs that read what an `output_pattern` has found."""
        rules = [rule.name for rule in loaded.workflow.rules if rule.output_pattern]
        if not rules:
            return None
        grown = self._grow(loaded, [])
        if {job.name for job in grown.jobs} <= {job.name for job in loaded.jobs}:
            return None
        self._count_round(f"rule '{rules[0]}' or another still finds files", "what it writes")
        return grown

    def _count_round(self, fact: str, what: str) -> None:
        self._rounds += 1
        if self._rounds > MAX_ROUNDS:
            raise RunError(f"{fact} after {MAX_ROUNDS} rounds; let {what} come to an end")

    def _grow(self, loaded: Loaded, additions: Sequence[Addition]) -> Loaded:
        workflow = loaded.workflow
        for addition in additions:
            workflow = extend(workflow, addition)
        jobs = expand(workflow, WorkFiles(str(self._root)))
        dag = build_dag(
            jobs,
            execution_groups=workflow.execution_groups,
            config=workflow.config,
            limits=workflow.limits,
        )
        return Loaded(workflow, jobs, dag)

    def _unchanged(self, loaded: Loaded) -> set[str]:
        """The jobs that a plan without any addition would skip."""
        capacity = find_capacity(loaded.workflow, self._options.limits)
        options = _without_unknown(self._options.plan, loaded.dag)
        planner = Planner(loaded, self._state, self._root, options, capacity)
        decisions = planner.plan().decisions
        skipped = {d.job.name for d in decisions if d.verdict is Verdict.SKIP and not d.adopt}
        return skipped | {job.name for job in loaded.jobs} - {d.job.name for d in decisions}

    def _keep(self, records: list[Addition]) -> None:
        if records != self._records:
            self._records = records
            numbered = [
                {"round": number, **to_builtins(record)} for number, record in enumerate(records, 1)
            ]
            self._state.set_meta(_META, json.dumps(numbered))


def _without_unknown(options: PlanOptions, dag: Dag) -> PlanOptions:
    """Give what is asked of a workflow that has not grown yet: not what it does not know."""
    force = tuple([name for name in options.force if _is_known(dag, name)])
    if all(_is_known(dag, name) for name in (*options.targets, *options.until)):
        return replace(options, force=force)
    return replace(options, targets=(), until=(), modules=(), rerun=False, force=force)


def _is_known(dag: Dag, name: str) -> bool:
    try:
        return bool(jobs_called(dag, name))
    except UsageError:
        return False


def _read_records(text: str | None) -> list[Addition]:
    """Read what was recorded; what is not of our making counts as nothing."""
    found = []
    try:
        for entry in json.loads(text or "[]"):
            pairs = tuple(Pair(**pair) for pair in entry["pairs"])
            samples = tuple(map(str, entry["samples"]))
            found.append(Addition(str(entry["job"]), entry["group"], samples, pairs))
    except (ValueError, TypeError, KeyError):
        return []
    return found
