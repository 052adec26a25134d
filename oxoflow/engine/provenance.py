"""Say which job of which run made a file, and what that was made of, back to the sources.

Owns the walk over records. Files are known by their content, so renamed and copied ones are found;
what the records cannot say is said to be unknown and never guessed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from oxoflow.engine.fingerprint import STREAMED
from oxoflow.engine.history import History, Made
from oxoflow.engine.records import OutputRecord
from oxoflow.errors import UsageError


class Item(Struct, frozen=True):
    """One file of the answer. `maker` indexes the jobs; None for a source.

    `note` says what is not as recorded, or why nothing is known.
    """

    path: str
    digest: str
    maker: int | None
    note: str | None = None


class Step(Struct, frozen=True):
    """One job of the answer with the files it read."""

    made: Made
    inputs: tuple[Item, ...]


class Provenance(Struct, frozen=True):
    """The file that was asked about, and the jobs behind it; later ones first."""

    file: Item
    size: int
    recorded_as: str | None
    same_content: tuple[str, ...]
    steps: tuple[Step, ...]
    read_by: tuple[str, ...] = ()


def trace(file: Path, histories: Sequence[History]) -> Provenance:
    """Find the makers of a file among records; raises UsageError when it cannot be read."""
    try:
        status = file.stat()
        with file.open("rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"'{file}' cannot be read: {error.strerror}; name a file") from None
    for history in histories:
        found = _closest(file, history, history.with_content(digest, status.st_size))
        note: str | None = None
        if not found:
            found = _closest(file, history, history.moved(status))
            note = "known by its size and time only; its content was not recorded"
        if not found:
            inside = history.in_directory(_own_path(file, history), status.st_size)
            found = [inside] if inside is not None else []
            note = "known by its name and size only; its content was not recorded"
        if found:
            walk = _Walk(histories)
            maker = walk.step(history, found[0].job)
            item = Item(str(file), digest, maker, note)
            others = tuple(output.path for output in found[1:6])
            return Provenance(item, status.st_size, found[0].path, others, walk.answer())
    return _unknown(file, digest, status.st_size, histories)


def _closest(file: Path, history: History, found: list[OutputRecord]) -> list[OutputRecord]:
    """The recorded outputs that a file may be: its own path first, then its own name."""
    own = _own_path(file, history)
    return sorted(found, key=lambda o: (o.path != own, os.path.basename(o.path) != file.name))


def _own_path(file: Path, history: History) -> str:
    return os.path.relpath(os.path.abspath(file), history.root)


def _unknown(file: Path, digest: str, size: int, histories: Sequence[History]) -> Provenance:
    note, readers = "no recorded job made this content", []
    for history in histories:
        own = history.outputs.get(_own_path(file, history))
        if own is not None:
            note = f"job '{own.job}' made a file here, but its content has changed since"
        readers += [f"{history.root}: {job}" for job in history.readers(digest)]
    if readers:
        note = "a source: no job made it"
    item = Item(str(file), digest, None, note)
    return Provenance(item, size, None, (), (), tuple(readers))


class _Walk:
    """Collects jobs, each once, from the one that was asked about to the sources."""

    def __init__(self, histories: Sequence[History]) -> None:
        self._histories = {str(history.root): history for history in histories}
        self._numbers: dict[tuple[str, str], int] = {}
        self._steps: dict[int, Step] = {}

    def step(self, history: History, job: str) -> int:
        """The number of a job, with everything behind it collected; no recursion."""
        first = self._number(history, job)
        waiting = [(history, job)]
        while waiting:
            at, name = waiting.pop()
            number = self._number(at, name)
            if number in self._steps:
                continue
            made = at.made(name)
            items = []
            for path, digest in made.inputs.items():
                item, maker = self._item(at, path, digest)
                items.append(item)
                if maker is not None:
                    waiting.append((at, maker))
            self._steps[number] = Step(made, tuple(items))
        return first

    def answer(self) -> tuple[Step, ...]:
        return tuple(self._steps[number] for number in sorted(self._steps))

    def _number(self, history: History, job: str) -> int:
        return self._numbers.setdefault((str(history.root), job), len(self._numbers))

    def _item(self, history: History, path: str, digest: str) -> tuple[Item, str | None]:
        """One input, and the job that made what was read; an older content has no known maker."""
        if digest.startswith(STREAMED):
            maker = history.by_key.get(digest.removeprefix(STREAMED))
            if maker is None:
                return Item(path, digest, None, "a pipe; who wrote it has run anew since"), None
            return Item(path, digest, self._number(history, maker), "a pipe"), maker
        output = history.outputs.get(path)
        if output is None or output.job not in history.records:
            return Item(path, digest, None), None
        content = history.content(output)
        note = None
        if content != digest and len(digest) == 64:
            if content is not None:
                words = f"job '{output.job}' has made this file anew since"
                return Item(path, digest, None, words), None
            note = "the maker's record of its content is gone"
        return Item(path, digest, self._number(history, output.job), note), output.job
