"""Keep results under their keys for other runs, and give them back after verifying their content.

Owns the layout of a cache directory: `entries/<key>.json` names what a job made, `objects/` holds
each content once, read-only. Everything appears by rename, so any number of runs may share one
directory at the same moment. A content that is not what its name says is deleted, never given.
What goes when there is too much is decided in `eviction`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, to_builtins

from oxoflow.engine.cloning import share

ENTRIES, OBJECTS = "entries", "objects"
_LARGEST_ENTRY = 16 * 1_048_576  # bytes; a job of a hundred thousand outputs needs as many
LINKED_FROM = 64 * 1_048_576  # bytes; smaller files are copied where blocks cannot be shared


class Stored(Struct, frozen=True):
    """One output of an entry: its path in the run, its content and its mode."""

    path: str
    sha256: str
    size: int
    mode: int


class Entry(Struct, frozen=True):
    """What a job once made, in which run, when (seconds since 1970) and in what environment."""

    run: str
    workdir: str
    job: str
    outputs: tuple[Stored, ...]
    made_at: float | None = None
    environment: str | None = None  # as in the record of the job that made it, JSON


class Given(Struct, frozen=True):
    """How a result was put in place: in words, and the outputs that are hard links."""

    how: str
    linked: tuple[Stored, ...]


def object_path(place: Path, sha256: str) -> str:
    """Where a content lies in a cache."""
    return f"{place}/{OBJECTS}/{sha256[:2]}/{sha256}"


def part_of(target: str) -> str:
    """Where a result waits until all of it is verified; the same name after a crash."""
    folder, _, name = target.rpartition("/")
    return f"{folder}/.{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}.oxo-part"


class ResultCache:
    """One cache directory; any thread, and any process, may use it."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def find(self, key: str) -> Entry | None:
        """What is stored under a key; None when nothing, or nothing whole, is."""
        entry = read_entry(self._entry(key))
        if entry is None:
            return None
        if all(os.path.exists(self._object(output.sha256)) for output in entry.outputs):
            return entry
        return None

    def put(self, key: str, entry: Entry, sources: Mapping[str, str]) -> int:
        """Store a result; `sources` gives each output's file. How many bytes were new; OSError."""
        added = 0
        for output in entry.outputs:
            target = self._object(output.sha256)
            if not os.path.exists(target):
                self._add(sources[output.path], target, output.sha256)
                added += output.size
        text = json.dumps(to_builtins(entry), ensure_ascii=False).encode("utf-8", "surrogateescape")
        place = self._entry(key)
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = place.with_name(f".{os.urandom(16).hex()}")
        draft.write_bytes(text)
        draft.rename(place)
        return added

    def give(self, key: str, entry: Entry, targets: Sequence[str]) -> Given | None:
        """Put the files of an entry at `targets`, verified; says how, None when one is spoilt.

        Nothing is replaced before everything is verified. The entry counts as used. Raises OSError.
        """
        drafts, ways, linked = [], set(), []
        try:
            for output, target in zip(entry.outputs, targets, strict=True):
                os.makedirs(os.path.dirname(target), exist_ok=True)
                draft = part_of(target)
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(draft)
                drafts.append(draft)
                source = self._object(output.sha256)
                how, digest = share(source, draft, link=_may_link(output))
                if digest != output.sha256:
                    os.unlink(source)
                    return None
                ways.add(how)
                if how == "hard link":
                    linked.append(output)
                else:
                    os.chmod(draft, output.mode)
                    os.utime(draft)
            for draft, target in zip(drafts, targets, strict=True):
                os.replace(draft, target)
        finally:
            for draft in drafts:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(draft)
        with contextlib.suppress(OSError):  # evicted meanwhile: the files are here all the same
            os.utime(self._entry(key))
        return Given(" and ".join(sorted(ways)), tuple(linked))

    def _add(self, source: str, target: str, sha256: str) -> None:
        """Copy a file in; one that changed meanwhile is not what its key promises."""
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        draft = f"{os.path.dirname(target)}/.{os.urandom(16).hex()}"
        try:
            _, digest = share(source, draft, link=False)
            if digest != sha256:
                raise OSError(f"'{source}' changed while it was stored")
            os.chmod(draft, stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)
            os.rename(draft, target)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(draft)

    def _entry(self, key: str) -> Path:
        return self.place / ENTRIES / key[:2] / f"{key}.json"

    def _object(self, sha256: str) -> str:
        return object_path(self.place, sha256)


def read_entry(path: Path) -> Entry | None:
    """Read what an entry's file says; None when it is gone or no entry."""
    try:
        if path.stat().st_size > _LARGEST_ENTRY:
            return None
        found: Any = json.loads(path.read_bytes())
        outputs = tuple(Stored(**item) for item in found.pop("outputs"))
        return Entry(**found, outputs=outputs)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _may_link(output: Stored) -> bool:
    """True for a large file that is data: an executable one would lose that with a link."""
    return output.size >= LINKED_FROM and not output.mode & 0o111
