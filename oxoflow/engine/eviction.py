"""Keep a cache of results within bounds: what was used longest ago goes first.

Owns what a cache may hold: its limit, and never the last part of the disk. Runs that take and leave
results at the same moment are not held up: a result that goes while it is looked for is computed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import asdict

from oxoflow.engine.results import ENTRIES, OBJECTS, Entry, object_path, read_entry
from oxoflow.lang.latepattern import late

DEFAULT_LIMIT = 50 * 1024**3  # bytes
_FREE_SHARE, _FREE_MOST = 0.1, 10 * 1024**3  # of the disk, and bytes, that results leave free
_LOW_WATER = 0.9  # of the limit: so that not every result that is left evicts another
_GRACE = 3600.0  # seconds for which content without an entry may still get one
_BLOCK = 4096
_USE = "use.json"
_SAFE = os.O_CLOEXEC | os.O_NOFOLLOW
_FOLDER = late(r"[0-9a-f]{2}")
_FILE = late(r"[0-9a-f]{64}(\.json)?|\.[0-9a-f]{32}")


class Use(Struct, frozen=True):
    """What a cache holds: bytes on the disk, and results."""

    bytes: int
    results: int


def read_use(place: Path) -> Use:
    """What a cache held when it was last looked through; nothing when it never was."""
    try:
        descriptor = os.open(place / _USE, os.O_RDONLY | os.O_NONBLOCK | _SAFE)
        with open(descriptor, "rb") as handle:
            found = json.loads(handle.read(_BLOCK))
        return Use(int(found["bytes"]), int(found["results"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Use(0, 0)


def refusal(place: Path, size: int, limit: int) -> str | None:
    """Why a result of so many bytes is not kept; None when it may be."""
    if size > limit // 2:
        return f"its {size} bytes are more than half of what may be kept"
    if size > _spare(place):
        return "the disk is nearly full"
    return None


def evict(place: Path, limit: int, *, thorough: bool = False) -> Use | None:
    """Delete what was used longest ago until the rest is within bounds; None when busy or absent.

    With `thorough`, also what a killed run left half-way, although there is room.
    """
    try:
        lock = os.open(place / "lock", os.O_RDWR | os.O_CREAT | _SAFE, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return _Eviction(place, time.time()).run(limit, thorough)
    except BlockingIOError:
        return None
    finally:
        os.close(lock)


def _spare(place: Path) -> int:
    """How many bytes results may still take from the disk; negative when they must give some."""
    figures = os.statvfs(place)
    disk, free = figures.f_blocks * figures.f_frsize, figures.f_bavail * figures.f_frsize
    return int(free - min(disk * _FREE_SHARE, _FREE_MOST))


class _Eviction:
    """One look through a cache, under its lock. Files are known by their paths."""

    def __init__(self, place: Path, now: float) -> None:
        self._place = place
        self._now = now
        self._objects = dict(_files(place / OBJECTS))
        self._entries = dict(_files(place / ENTRIES))

    def run(self, limit: int, thorough: bool) -> Use:
        held = self._held()
        ceiling = min(limit, held + min(0, _spare(self._place)))
        if thorough or held > ceiling:
            known = {path: read_entry(Path(path)) for path in self._entries}
            self._drop_broken(known)
            if self._held() > ceiling:
                self._drop_oldest(known, int(ceiling * _LOW_WATER))
        use = Use(self._held(), len(self._entries))
        self._note(use)
        return use

    def _note(self, use: Use) -> None:
        draft = self._place / f".{uuid.uuid4().hex}"
        with open(draft, "x") as handle:
            handle.write(json.dumps(asdict(use)))
        draft.rename(self._place / _USE)

    def _held(self) -> int:
        return sum(map(_on_disk, self._objects.values())) + len(self._entries) * _BLOCK

    def _drop_broken(self, known: dict[str, Entry | None]) -> None:
        """Entries without their content, contents without an entry, drafts of the dead."""
        for path, entry in list(known.items()):
            lacking = entry is None or not self._contents(entry) <= self._objects.keys()
            if (lacking or not path.endswith(".json")) and self._is_old(self._entries[path]):
                self._drop(self._entries, path)
                del known[path]
        wanted = set[str]().union(*(self._contents(entry) for entry in known.values()))
        for path in [path for path in self._objects if path not in wanted]:
            if self._is_old(self._objects[path]):
                self._drop(self._objects, path)

    def _drop_oldest(self, known: Mapping[str, Entry | None], low: int) -> None:
        """Entries by their last use, each with the content that no other one needs."""
        users = Counter(path for entry in known.values() for path in self._contents(entry))
        held = self._held()
        for path in sorted(known, key=lambda path: self._entries[path].st_mtime_ns):
            if held <= low:
                return
            self._drop(self._entries, path)
            held -= _BLOCK
            for content in self._contents(known[path]):
                users[content] -= 1
                if not users[content] and content in self._objects:
                    held -= _on_disk(self._objects[content])
                    self._drop(self._objects, content)

    def _contents(self, entry: Entry | None) -> set[str]:
        """Where the contents of an entry lie."""
        outputs = entry.outputs if entry is not None else ()
        return {object_path(self._place, output.sha256) for output in outputs}

    def _is_old(self, status: os.stat_result) -> bool:
        return self._now - status.st_ctime > _GRACE

    def _drop(self, files: dict[str, os.stat_result], path: str) -> None:
        del files[path]
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _files(place: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Our files two levels below, drafts among them; what vanishes meanwhile is not there.

    Rules can write here, and the server looks through: no link is followed, and what has not one of
    our names is not ours.
    """
    if place.is_symlink() or not place.is_dir():
        return
    for folder in os.scandir(place):
        if not _FOLDER.fullmatch(folder.name) or not folder.is_dir(follow_symlinks=False):
            continue
        for entry in os.scandir(folder):
            if _FILE.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(FileNotFoundError):
                    yield entry.path, entry.stat(follow_symlinks=False)


def _on_disk(status: os.stat_result) -> int:
    return -(-status.st_size // _BLOCK) * _BLOCK
