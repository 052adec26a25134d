"""Take a job's result from another run instead of running it, and leave ours for others.

Owns which jobs may be shared at all: their key must say everything that decides about the result.
How results are kept is in `results`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from oxoflow.engine.deciding import Decision
from oxoflow.engine.files import DIRECTORY_SIZE, WorkFiles
from oxoflow.engine.fingerprint import Fingerprint
from oxoflow.engine.matching import is_glob
from oxoflow.engine.outputs import verify
from oxoflow.engine.plan import Planner
from oxoflow.engine.records import OutputRecord
from oxoflow.engine.references import is_reference
from oxoflow.engine.results import Entry, ResultCache, Stored
from oxoflow.lang.model import Job

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Taken:
    """A result that was taken over: its key, its files, and the words and record of its origin."""

    key: Fingerprint
    outputs: tuple[OutputRecord, ...]
    words: str
    origin: str


@dataclass(frozen=True, slots=True)
class Reuse:
    """Shares the results of one run; worker threads share it."""

    cache: ResultCache
    planner: Planner
    root: str
    run_id: str

    def available(self, decision: Decision) -> tuple[Fingerprint, Entry] | None:
        """What another run left for this job; reads inputs that were not read yet."""
        if not _may_share(decision.job, decision.outputs) or _is_forced(decision):
            return None
        key = self.planner.fingerprint(decision)
        if not _is_complete(key):
            return None
        entry = self.cache.find(key.key)
        if entry is None or tuple(item.path for item in entry.outputs) != decision.outputs:
            return None
        return key, entry

    def take(self, decision: Decision, found: tuple[Fingerprint, Entry]) -> Taken | None:
        """Put another run's files in place; None when they are spoilt or do not fit here."""
        key, entry = found
        targets = [f"{self.root}/{path}" for path in decision.outputs]
        try:
            how = self.cache.give(entry, targets)
        except OSError:
            return None  # the job itself will say what is wrong with the disk
        if how is None:
            return None
        outputs = verify(self.root, decision.job.name, decision.outputs).present
        origin = {"run": entry.run, "workdir": entry.workdir, "job": entry.job, "how": how}
        words = f"result taken from run {entry.run} in '{entry.workdir}' by {how}"
        return Taken(key, outputs, words, json.dumps(origin))

    def leave(
        self, decision: Decision, key: Fingerprint, outputs: tuple[OutputRecord, ...]
    ) -> str | None:
        """Store a verified result; says what kept it from being stored, if anything unusual."""
        job, files = decision.job, self.planner.files
        if not _may_share(job, decision.outputs) or not _is_complete(key):
            return None
        if len(outputs) != len(decision.outputs):
            return None
        stored = [_stored(files, output) for output in outputs]
        if None in stored:
            return None
        kept = tuple(item for item in stored if item is not None)
        entry = Entry(self.run_id, self.root, job.name, kept)
        try:
            self.cache.put(key.key, entry, {item.path: files.full(item.path) for item in kept})
        except OSError as error:
            return f"the result could not be kept for other runs: {error}"
        return None


def open_reuse(place: Path | None, planner: Planner, root: str, run_id: str) -> Reuse | None:
    """Share results through a directory; None when the run shall not."""
    return None if place is None else Reuse(ResultCache(place), planner, root, run_id)


def _may_share(job: Job, outputs: tuple[str, ...]) -> bool:
    """True for a job that is its outputs and nothing else, all of them plain files in the run."""
    rule = job.rule
    if not rule.cache or rule.checkpoint or rule.ancient or rule.on_success or is_reference(rule):
        return False
    return bool(outputs) and not any(
        "{" in path or "://" in path or path[:1] == "/" or is_glob(path) for path in outputs
    )


def _is_forced(decision: Decision) -> bool:
    return any(reason.part == "forced" for reason in decision.reasons)


def _is_complete(key: Fingerprint) -> bool:
    """True when every input's content is in the key."""
    inputs = json.loads(key.parts).get("input", {})
    return all(_DIGEST.fullmatch(digest) for digest in inputs.values())


def _stored(files: WorkFiles, output: OutputRecord) -> Stored | None:
    status = files.status(output.path)
    if output.size == DIRECTORY_SIZE or status is None:
        return None
    digest = files.digest(output.path, status)
    mode = status.st_mode & 0o777
    return Stored(output.path, digest, status.st_size, mode) if len(digest) == 64 else None
