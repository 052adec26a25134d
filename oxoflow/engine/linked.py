"""Part hard links from what they are linked to, before a job touches them.

A large result may be one read-only file in two places, here and in a cache. Owns the note of these
(`.oxo-flow/linked`) and their replacement by a copy of their own when a job that declares them, as
input or as output, is about to start: it may edit them in place.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
from collections.abc import Iterable
from pathlib import Path

from oxoflow.engine.disk import trouble
from oxoflow.engine.results import Stored, part_of


class Linked:
    """The hard links of one run directory; any thread may ask."""

    def __init__(self, root: str, note: Path) -> None:
        self._root = root
        self._note = note
        self._modes = _read(note)
        self._lock = threading.Lock()

    def add(self, outputs: Iterable[Stored]) -> None:
        """Note links that were made; raises DiskTrouble."""
        lines = [json.dumps([output.path, output.mode]) + "\n" for output in outputs]
        if not lines:
            return
        with self._lock:
            self._modes.update((output.path, output.mode) for output in outputs)
            try:
                with self._note.open("a") as handle:
                    handle.writelines(lines)
            except OSError as error:
                raise trouble(self._note, error) from error

    def own(self, paths: Iterable[str]) -> None:
        """Make these files, and what lies below these directories, the run's own; DiskTrouble."""
        if not self._modes:
            return
        for path in paths:
            place = os.path.normpath(path)
            with self._lock:
                found = [
                    each for each in self._modes if each == place or each.startswith(f"{place}/")
                ]
                for each in found:
                    self._own(each, self._modes.pop(each))

    def _own(self, path: str, mode: int) -> None:
        full = f"{self._root}/{path}"
        draft = part_of(full)
        try:
            if os.stat(full).st_nlink > 1:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(draft)
                shutil.copy2(full, draft)
                os.chmod(draft, mode)
                os.replace(draft, full)
            else:
                os.chmod(full, mode)
        except FileNotFoundError:
            return
        except OSError as error:
            raise trouble(full, error) from error


def _read(note: Path) -> dict[str, int]:
    """The links that earlier runs here noted; a torn last line is none."""
    try:
        lines = note.read_text().splitlines()
    except OSError:
        return {}
    found: dict[str, int] = {}
    for line in lines:
        with contextlib.suppress(ValueError):
            path, mode = json.loads(line)
            found[path] = mode
    return found
