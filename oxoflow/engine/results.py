"""Keep results under their keys for other runs, and give them back after verifying their content.

Owns the layout of a cache directory: `entries/<key>.json` names what a job made, `objects/` holds
each content once, read-only. Everything appears by rename, so any number of runs may share one
directory at the same moment. A content that is not what its name says is deleted, never given.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from oxoflow.engine.cloning import clone, share

_LINKED_FROM = 64 * 1_048_576  # bytes; smaller files are copied where blocks cannot be shared


@dataclass(frozen=True, slots=True)
class Stored:
    """One output of an entry: its path in the run, its content and its mode."""

    path: str
    sha256: str
    size: int
    mode: int


@dataclass(frozen=True, slots=True)
class Entry:
    """What a job once made, and in which run."""

    run: str
    workdir: str
    job: str
    outputs: tuple[Stored, ...]


class ResultCache:
    """One cache directory; any thread, and any process, may use it."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def find(self, key: str) -> Entry | None:
        """What is stored under a key; None when nothing, or nothing whole, is."""
        try:
            found: Any = json.loads(self._entry(key).read_bytes())
            outputs = tuple(Stored(**item) for item in found["outputs"])
            entry = Entry(str(found["run"]), str(found["workdir"]), str(found["job"]), outputs)
        except (OSError, ValueError, TypeError, KeyError):
            return None
        if all(os.path.exists(self._object(output.sha256)) for output in outputs):
            return entry
        return None

    def put(self, key: str, entry: Entry, sources: Mapping[str, str]) -> None:
        """Store a result; `sources` gives each output's file. Raises OSError."""
        for output in entry.outputs:
            target = self._object(output.sha256)
            if not os.path.exists(target):
                self._add(sources[output.path], target, output.sha256)
        text = json.dumps(asdict(entry), ensure_ascii=False).encode("utf-8", "surrogateescape")
        place = self._entry(key)
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = place.with_name(f".{uuid.uuid4().hex}")
        draft.write_bytes(text)
        draft.rename(place)

    def give(self, entry: Entry, targets: Sequence[str]) -> str | None:
        """Put the files of an entry at `targets`, verified; says how, None when one is spoilt.

        Nothing is replaced before everything is verified. Raises OSError.
        """
        drafts, ways = [], set()
        try:
            for output, target in zip(entry.outputs, targets, strict=True):
                os.makedirs(os.path.dirname(target), exist_ok=True)
                draft = f"{os.path.dirname(target)}/.{uuid.uuid4().hex}.oxo-part"
                drafts.append(draft)
                source = self._object(output.sha256)
                ways.add(share(source, draft, link=output.size >= _LINKED_FROM))
                if _sha256(draft) != output.sha256:
                    os.unlink(source)
                    return None
                if os.stat(draft).st_nlink == 1:
                    os.chmod(draft, output.mode)
                    os.utime(draft)
            for draft, target in zip(drafts, targets, strict=True):
                os.replace(draft, target)
        finally:
            for draft in drafts:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(draft)
        return " and ".join(sorted(ways))

    def _add(self, source: str, target: str, sha256: str) -> None:
        """Copy a file in; one that changed meanwhile is not what its key promises."""
        os.makedirs(os.path.dirname(target), exist_ok=True)
        draft = f"{os.path.dirname(target)}/.{uuid.uuid4().hex}"
        try:
            clone(source, draft)
            if _sha256(draft) != sha256:
                raise OSError(f"'{source}' changed while it was stored")
            os.chmod(draft, stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)
            os.rename(draft, target)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(draft)

    def _entry(self, key: str) -> Path:
        return self._place / "entries" / key[:2] / f"{key}.json"

    def _object(self, sha256: str) -> str:
        return f"{self._place}/objects/{sha256[:2]}/{sha256}"


def _sha256(path: str) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
