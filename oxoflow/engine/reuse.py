"""Take a job's result from another run instead of running it, and leave ours for others.

Owns which jobs may be shared at all: their key must say everything that decides about the result.
How results are kept is in `results`, for how long in `eviction`.
"""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

from msgspec import Struct

from oxoflow.engine.deciding import Decision
from oxoflow.engine.events import timestamp
from oxoflow.engine.eviction import DEFAULT_LIMIT, evict, refusal
from oxoflow.engine.files import DIRECTORY_SIZE, WorkFiles
from oxoflow.engine.fingerprint import Fingerprint
from oxoflow.engine.linked import Linked
from oxoflow.engine.matching import is_glob
from oxoflow.engine.outputs import verify
from oxoflow.engine.plan import Planner
from oxoflow.engine.records import OutputRecord
from oxoflow.engine.references import is_reference
from oxoflow.engine.results import Entry, ResultCache, Stored, part_of
from oxoflow.lang.latepattern import late
from oxoflow.lang.model import Job

_DIGEST = late(r"[0-9a-f]{64}")
_LOOK_AFTER = 0.1  # of the limit, left by one run, and the cache is looked through


class Caching(Struct, frozen=True):
    """Where results are shared with other runs, and how many bytes may be kept there."""

    place: Path
    limit: int = DEFAULT_LIMIT


class Taken(Struct, frozen=True):
    """A result that was taken over: its key, its files, and the words and record of its origin."""

    key: Fingerprint
    outputs: tuple[OutputRecord, ...]
    words: str
    run: str
    origin: str
    environment: str | None


class Reuse:
    """Shares the results of one run; worker threads share it. `close` it."""

    def __init__(
        self, caching: Caching, planner: Planner, root: str, run_id: str, linked: Linked
    ) -> None:
        self._caching = caching
        self._cache = ResultCache(caching.place)
        self._planner = planner
        self._root = root
        self._run_id = run_id
        self._linked = linked
        self._left = 0  # bytes since the cache was last looked through
        self._began = False
        self._lock = threading.Lock()

    def available(self, decision: Decision) -> tuple[Fingerprint, Entry] | None:
        """What another run left for this job; reads inputs that were not read yet."""
        if not self._may_share(decision) or _is_forced(decision):
            return None
        key = self._planner.fingerprint(decision)
        if not _is_complete(key):
            return None
        entry = self._cache.find(key.key)
        if entry is None or tuple(item.path for item in entry.outputs) != decision.outputs:
            return None
        return key, entry

    def volatile(self, decision: Decision) -> tuple[str, ...]:
        """The files that `take` makes for a while; they must go if we die."""
        return tuple(part_of(f"./{path}").removeprefix("./") for path in decision.outputs)

    def take(self, decision: Decision, found: tuple[Fingerprint, Entry]) -> Taken | None:
        """Put another run's files in place; None when they are spoilt or do not fit here."""
        key, entry = found
        targets = [f"{self._root}/{path}" for path in decision.outputs]
        try:
            given = self._cache.give(key.key, entry, targets)
        except OSError:
            return None  # the job itself will say what is wrong with the disk
        if given is None:
            return None
        self._linked.add(given.linked)
        outputs = verify(self._root, decision.job.name, decision.outputs).present
        origin = {
            "run": entry.run,
            "workdir": entry.workdir,
            "job": entry.job,
            "made_at": None if entry.made_at is None else timestamp(entry.made_at),
            "how": given.how,
        }
        words = f"reused from {origin_words(entry)}, by {given.how}"
        return Taken(key, outputs, words, entry.run, json.dumps(origin), entry.environment)

    def leave(
        self,
        decision: Decision,
        key: Fingerprint,
        outputs: tuple[OutputRecord, ...],
        environment: str | None,
    ) -> str | None:
        """Store a verified result; says what kept it from being stored, if anything unusual."""
        job, files = decision.job, self._planner.files
        if not self._may_share(decision) or not _is_complete(key):
            return None
        if len(outputs) != len(decision.outputs):
            return None
        limit = self._caching.limit
        try:
            self._begin()
            words = refusal(self._caching.place, sum(max(0, o.size) for o in outputs), limit)
            if words is not None:
                return f"the result is not kept for other runs: {words}"
            stored = [_stored(files, output) for output in outputs]
            kept = tuple(item for item in stored if item is not None)
            if len(kept) != len(outputs):
                return None
            entry = Entry(self._run_id, self._root, job.name, kept, time.time(), environment)
            sources = {item.path: files.full(item.path) for item in kept}
            self._count(self._cache.put(key.key, entry, sources))
        except OSError as error:
            return f"the result could not be kept for other runs: {error}"
        return None

    def close(self) -> None:
        """Keep the cache within bounds, if anything was left there."""
        if self._began:
            evict(self._caching.place, self._caching.limit)

    def _begin(self) -> None:
        """Make the directory, for its owner alone: others must not read results there."""
        if not self._began:
            self._caching.place.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._began = True

    def _count(self, size: int) -> None:
        with self._lock:
            self._left += size
            much = self._left > self._caching.limit * _LOOK_AFTER
            if much:
                self._left = 0
        if much:
            evict(self._caching.place, self._caching.limit)

    def _may_share(self, decision: Decision) -> bool:
        """True for a job that is its outputs and nothing else, all of them plain files in the run.

        What reads a sensitive value stays where it was made.
        """
        return _may_share(decision.job, decision.outputs) and not self._planner.reads_secrets(
            decision.job
        )


def open_reuse(
    caching: Caching | None, planner: Planner, root: str, run_id: str, linked: Linked
) -> Reuse | None:
    """Share results through a directory; None when the run shall not."""
    return None if caching is None else Reuse(caching, planner, root, run_id, linked)


def origin_words(entry: Entry) -> str:
    """Name the run that made a result; on a server its directory is called like it."""
    if Path(entry.workdir).name == entry.run:
        return f"run {entry.run}"
    return f"run {entry.run} in '{entry.workdir}'"


def _may_share(job: Job, outputs: tuple[str, ...]) -> bool:
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
