"""Remember which files a directory held when it was verified, and say which it holds no longer.

Owns the listing that the state keeps of an output that is a directory. A file that came later is
somebody else's, and so is one that a job declares by itself: neither counts.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from bisect import bisect_left
from collections.abc import Callable, Mapping
from functools import cached_property

from oxoflow.engine.dag import Dag
from oxoflow.engine.files import WorkFiles
from oxoflow.engine.matching import bare
from oxoflow.engine.pathset import Paths
from oxoflow.engine.render import Renderer

MISSING_IN_IT = "missing in it"
_GOING = ".nfs"  # what NFS keeps of a deleted file until its last reader closes it
_NAMED = 3  # files that a reason spells out


def list_contents(full: str) -> str:
    """Give the regular files below a directory with their sizes in bytes, as JSON.

    Links are followed to files, not into directories; what is on its way out is left out.
    """
    sizes: dict[str, int] = {}
    for folder, _, names in os.walk(full):
        inside = os.path.relpath(folder, full)
        for name in sorted(names):
            with contextlib.suppress(OSError):  # it went, or leads nowhere
                status = os.stat(f"{folder}/{name}")
                if stat.S_ISREG(status.st_mode) and not name.startswith(_GOING):
                    sizes[name if inside == "." else f"{inside}/{name}"] = status.st_size
    return json.dumps(sizes, separators=(",", ":"))


class Contents:
    """Compares directories with what is known of them; any thread may ask."""

    def __init__(
        self,
        known: Callable[[str], str | None],
        files: WorkFiles,
        dag: Dag,
        renderer: Renderer,
    ) -> None:
        self._known = known
        self._files = files
        self._dag = dag
        self._renderer = renderer

    def difference(self, path: str) -> tuple[str, str] | None:
        """Say what of a directory's files is not as it was, and how; None when all are."""
        if not os.path.isdir(self._files.full(path)):
            return "a directory", "a file"
        before: Mapping[str, int] = json.loads(self._known(path) or "{}")
        full = self._files.full(path).rstrip("/")
        now = {name: _size(f"{full}/{name}") for name, size in before.items()}
        if now == before:
            return None
        others = self._declared_in(path)
        spoiled = [
            name
            for name, size in before.items()
            if now[name] != size and not others.touches(bare(name))
        ]
        lost = [name for name in spoiled if now[name] is None]
        if lost:
            more = f" and {len(lost) - _NAMED} more" if len(lost) > _NAMED else ""
            return ", ".join(lost[:_NAMED]) + more, MISSING_IN_IT
        if not spoiled:
            return None
        name = spoiled[0]
        return f"{name}: {before[name]} bytes", f"{name}: {now[name]} bytes"

    def _declared_in(self, path: str) -> Paths:
        """Give what jobs declare below a directory, by its path there."""
        top = f"{self._bare(path)}/"
        at = bisect_left(self._declared, top)
        found = []
        while at < len(self._declared) and self._declared[at].startswith(top):
            found.append(self._declared[at].removeprefix(top))
            at += 1
        return Paths(found)

    @cached_property
    def _declared(self) -> list[str]:
        renderer = self._renderer
        found: set[str] = set()
        for job in self._dag.jobs:
            logs = (renderer.texts.path(job.log),) if job.log else ()
            paths = (*renderer.output_files(job), *renderer.temporaries(job), *logs)
            found.update(map(self._bare, paths))
        return sorted(found)

    def _bare(self, path: str) -> str:
        return bare(path.removeprefix(f"{self._files.root}/"))


def _size(full: str) -> int | None:
    try:
        return os.stat(full).st_size
    except OSError:
        return None
