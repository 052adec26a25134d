"""Look at the files of a working directory: which exist, and what they contain.

Owns existence, globs, and content hashes with their cache; bounds how many files are read at once.
Reads only; whether a file matters to a job is decided elsewhere.
"""

from __future__ import annotations

import contextlib
import glob as globbing
import hashlib
import itertools
import os
import stat
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from oxoflow.engine.counting import count_lines
from oxoflow.engine.matching import is_glob
from oxoflow.engine.records import FileHash

READERS = min(4, os.cpu_count() or 1)
DIRECTORY_SIZE = -1
MISSING = "missing"
RECORDS = ".oxo-flow"
LOG = "execution.log"  # what all jobs print; it grows while they run
_GLANCES = 50  # at directories, for likely names of missing files
_MOST_BESIDE = 10_000  # entries of a directory that are looked through for a likely name
_PIECE = 262_144  # bytes that are read at once
_SECOND = 1_000_000_000  # in nanoseconds


class WorkFiles:
    """The files below `root`, by paths relative to it. Safe to share between threads.

    Content is read at most once per file identity (size, mtime, ctime, inode). `known` gives the
    hashes from earlier runs and is asked when the first content is; new ones are collected until
    somebody takes them to be kept.
    """

    def __init__(
        self,
        root: str,
        known: Callable[[], Mapping[str, FileHash]] = dict,
        *,
        paranoid: bool = False,
    ) -> None:
        self.root = root
        self._ask_known = known
        self._read: set[str] = set()  # with paranoid: what was read by this process
        self._paranoid = paranoid
        self._learned: list[FileHash] = []
        self._memory: dict[str, os.stat_result | None] | None = None
        self._glances = _GLANCES
        self._lock = threading.Lock()
        self._readers = threading.BoundedSemaphore(READERS)
        self._abandoned = threading.Event()  # nobody waits for what is still read ahead

    def beside(self, path: str) -> list[str]:
        """Give the files in the directory of a path, as paths of the same form; a few times."""
        self._glances -= 1
        if self._glances < 0:
            return []
        directory, _, _ = path.rpartition("/")
        try:
            with os.scandir(os.path.join(self.root, directory)) as entries:
                names = [entry.name for entry in itertools.islice(entries, _MOST_BESIDE)]
        except (OSError, ValueError):
            return []
        return sorted(f"{directory}/{name}" if directory else name for name in names)

    @cached_property
    def _known(self) -> dict[str, FileHash]:
        return dict(self._ask_known())

    def full(self, path: str) -> str:
        """Give the path as this process must open it."""
        return path if path.startswith("/") else f"{self.root}/{path}"

    def status(self, path: str) -> os.stat_result | None:
        """Give what the system knows about a path, following links; None when absent."""
        memory = self._memory
        if memory is not None and path in memory:
            return memory[path]
        try:
            found = os.stat(path if path[:1] == "/" else f"{self.root}/{path}")
        except (OSError, ValueError):
            found = None
        if memory is not None:
            memory[path] = found
        return found

    @contextlib.contextmanager
    def remembering(self) -> Iterator[None]:
        """Ask the system once for each path meanwhile: planning looks at one moment."""
        self._memory = {}
        try:
            yield
        finally:
            self._memory = None

    def exists(self, path: str) -> bool:
        """Say whether something stands at a path."""
        return self.status(path) is not None

    def present(self, path: str) -> bool:
        """Say whether a path, or any file that it matches as a glob, is there."""
        return self.exists(path) or (is_glob(path) and bool(self.glob(path)))

    def glob(self, pattern: str) -> list[str]:
        """Give the paths that match, sorted, hidden ones included (S30); our own log is none."""
        if pattern.startswith("/"):
            return sorted(globbing.glob(pattern, recursive=True, include_hidden=True))
        found = globbing.glob(pattern, root_dir=self.root, recursive=True, include_hidden=True)
        return sorted(path for path in found if path != LOG)

    def read(self, path: str) -> bytes | None:
        """Give the content of a file, None when there is none or it cannot be read."""
        try:
            with open(self.full(path), "rb") as handle:
                return handle.read()
        except (OSError, ValueError):
            return None

    def size(self, path: str) -> int | None:
        """Give the size of a file in bytes, None when there is none."""
        status = self.status(path)
        return status.st_size if status and stat.S_ISREG(status.st_mode) else None

    def lines(self, path: str) -> int | None:
        """Count the lines of a file, None when there is none or it cannot be read."""
        status = self.status(path)
        regular = status is not None and stat.S_ISREG(status.st_mode)
        return count_lines(self.full(path), status) if status and regular else None

    def digest(
        self, path: str, status: os.stat_result | None = None, without: Collection[str] = ()
    ) -> str:
        """Give the sha256 of a file, or of a directory's listing and files, or `missing`.

        Paths in `without` do not count when they lie in the directory.
        """
        status = status or self.status(path)
        if status is None:
            return MISSING
        if stat.S_ISDIR(status.st_mode):
            return self._directory_digest(path, without)
        known = self._known.get(path)
        if known is not None and _same(known, status) and self._may_trust(path):
            return known.sha256
        if not stat.S_ISREG(status.st_mode):
            return f"special:{stat.S_IFMT(status.st_mode):o}"
        with self._readers:
            return self._read_digest(path)

    def identify(self, path: str, without: Collection[str] = ()) -> str | os.stat_result:
        """Give the digest of a path if it costs no reading, else the file's status for later."""
        status = self.status(path)
        if status is None:
            return MISSING
        known = self._known.get(path)
        if not stat.S_ISREG(status.st_mode) or (
            known is not None and _same(known, status) and self._may_trust(path)
        ):
            return self.digest(path, status, without)
        return status

    def last_digest(self, path: str) -> str | None:
        """Give the content that a path had when it was last read, present or not."""
        known = self._known.get(path)
        return known.sha256 if known else None

    def read_ahead(self, paths: Iterable[str]) -> None:
        """Hash what is not known yet, a bounded number of files at once."""
        unknown = []
        for path in dict.fromkeys(paths):
            status = self.status(path)
            known = self._known.get(path)
            if status is None or not stat.S_ISREG(status.st_mode):
                continue
            if known is None or self._paranoid or not _same(known, status):
                unknown.append(path)
        if len(unknown) > 1:
            self._read_together(unknown)

    def _read_together(self, left: list[str]) -> None:
        def read() -> None:
            while left and not self._abandoned.is_set():
                try:
                    path = left.pop()
                except IndexError:  # another thread took the last one
                    return
                self.digest(path)

        threads = [threading.Thread(target=read) for _ in range(min(READERS, len(left)))]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        except BaseException:
            self._abandoned.set()
            raise

    def take_learned(self) -> list[FileHash]:
        """Give the hashes learned since the last call, for the state file."""
        with self._lock:
            learned, self._learned = self._learned, []
        return learned

    def _may_trust(self, path: str) -> bool:
        return not self._paranoid or path in self._read

    def _read_digest(self, path: str) -> str:
        """Read a file; one that changes meanwhile, or may unseen, is hashed but not remembered."""
        try:
            descriptor = os.open(self.full(path), os.O_RDONLY | os.O_CLOEXEC)
            try:
                before = os.fstat(descriptor)
                digest = _sha256(descriptor, self._abandoned)
                after = os.fstat(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            return f"unreadable:{error.errno}"
        entry = FileHash(
            path, before.st_size, before.st_mtime_ns, before.st_ctime_ns, before.st_ino, digest
        )
        whole = not self._abandoned.is_set()
        if whole and _same(entry, after) and not _may_change_unseen(after):
            with self._lock:
                self._known[path] = entry
                self._read.add(path)
                self._learned.append(entry)
        return digest

    def _directory_digest(self, path: str, without: Collection[str]) -> str:
        """Hash the sorted names and contents below a directory; a linked one counts as its link."""
        summary = hashlib.sha256()
        base = path.rstrip("/")
        left_out = {os.path.normpath(each) for each in without}
        for folder, folders, names in os.walk(self.full(base)):
            inside = os.path.relpath(folder, self.full(base))
            place = os.path.normpath(os.path.join(base, inside))
            folders[:] = sorted(
                name
                for name in folders
                if name != RECORDS and os.path.join(place, name) not in left_out
            )
            for name in sorted(names):
                below = os.path.normpath(os.path.join(place, name))
                if below not in left_out:
                    line = f"{inside}/{name}\0{self.digest(below)}\n"
                    summary.update(line.encode("utf-8", "surrogateescape"))
            listed = "".join(f"{inside}/{name}/\n" for name in folders)
            summary.update(listed.encode("utf-8", "surrogateescape"))
        return summary.hexdigest()


def _sha256(descriptor: int, abandoned: threading.Event) -> str:
    """Hash a file, unless abandoned; a file object would cost more than a small file does."""
    hasher = hashlib.sha256()
    while (piece := os.read(descriptor, _PIECE)) and not abandoned.is_set():
        hasher.update(piece)
    return hasher.hexdigest()


def _same(known: FileHash, status: os.stat_result) -> bool:
    return (
        known.size == status.st_size
        and known.mtime_ns == status.st_mtime_ns
        and known.ctime_ns == status.st_ctime_ns
        and known.inode == status.st_ino
    )


def _may_change_unseen(status: os.stat_result) -> bool:
    """Say whether a file just read could be changed within the time that it already bears.

    That lasts where the file system keeps whole seconds only, or every other one.
    """
    age = time.time_ns() - status.st_ctime_ns
    return status.st_ctime_ns % _SECOND == 0 and age < 2 * _SECOND


def absolute(path: Path) -> Path:
    """Give a path from the root; `..` behind a link means what it means to the system."""
    return path.resolve() if ".." in path.parts else path.absolute()


class Listing:
    """Which names exist, by one listing per directory: a snapshot for planning many jobs."""

    def __init__(self, files: WorkFiles) -> None:
        self._files = files
        self._names: dict[str, frozenset[str]] = {}

    def present(self, path: str) -> bool:
        """Say whether something stood at a path when its directory was first looked at."""
        if is_glob(path):
            return self._files.present(path)
        folder, slash, name = path.rstrip("/").rpartition("/")
        if name in ("", ".", ".."):
            return self._files.exists(path)
        key = folder + slash
        if key not in self._names:
            self._names[key] = _names(self._files.full(key or "."))
        return name in self._names[key]


def _names(directory: str) -> frozenset[str]:
    try:
        return frozenset(os.listdir(directory))
    except OSError:
        return frozenset()
