"""Keep every user's runs in their own directories, and read what lies there without being led away.

Owns the paths `users/<username>/runs/<run_id>/` (spec/oxo-flow-api.md 3.5). Rules write into run
directories, so every file is opened step by step from the run directory down, following no link,
and only regular files are read. Knows nothing of users' rights: callers pass an owner they checked.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import threading
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from msgspec import Struct

from oxoflow.errors import DiskTrouble, InvalidInput, NotFound

WORKFLOW_FILE = "workflow.oxoflow"
EXECUTION_LOG = "execution.log"
RECORDS = ".oxo-flow"
CACHE = "cache"
DEEPEST = 8  # levels of directories in a listing (4.4)
MOST_FILES = 1000
MOST_LOOKED_AT = 50_000  # entries, so that a directory of millions cannot hold a request
TAIL_BYTES = 64 * 1024
_COMPONENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_UPLOAD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}")
_RUN_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
ANY_BYTES = "surrogatepass"  # of halves of surrogate pairs too, to count them
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a FIFO must not make us wait


class OutputFile(Struct, frozen=True):
    """One file of a run directory; `path` is relative, with slashes, and always text."""

    path: str
    size: int
    modified: float  # seconds since 1970
    name: bytes = b""  # what `path` is on the disk, when that is no UTF-8

    @property
    def opened_as(self) -> str:
        """What to open it by."""
        return os.fsdecode(self.name) if self.name else self.path

    @property
    def encoded(self) -> str | None:
        """The path as a URL has it, when only a URL can tell it; else None."""
        return quote(self.name) if self.name else None


class Listing(Struct, frozen=True):
    """The files of a run, sorted by path; `truncated` when there are more."""

    files: tuple[OutputFile, ...]
    truncated: bool


class Workspace:
    """The tree of all run directories."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run_directory(self, username: str, run_id: str) -> Path:
        """Where a run lives; raises NotFound for names that could lead elsewhere."""
        if not _COMPONENT.fullmatch(username) or not _RUN_ID.fullmatch(run_id):
            raise NotFound("Run not found")
        return self.root / "users" / username / "runs" / run_id

    def cache(self, username: str) -> Path:
        """Where the results of a user's runs are kept for the next ones; raises NotFound."""
        if not _COMPONENT.fullmatch(username):
            raise NotFound("User not found")
        return self.root / "users" / username / CACHE

    def caches(self) -> tuple[Path, ...]:
        """The caches of all users, none of them a link that a rule has put there."""
        found = self.root.glob(f"users/*/{CACHE}")
        return tuple(path for path in found if not path.is_symlink())

    def forget_cache(self, username: str) -> None:
        """Take a user's kept results out of sight at once and delete them in the background."""
        with contextlib.suppress(FileNotFoundError):
            self._throw_away(self.cache(username), uuid.uuid4().hex)

    def uploads(self, username: str) -> Path:
        """Where a user's uploads lie, each a file directly below; raises NotFound like above."""
        if not _COMPONENT.fullmatch(username):
            raise NotFound("Upload not found")
        return self.root / "users" / username / "uploads"

    def create(self, username: str, run_id: str, files: Mapping[str, bytes]) -> Path:
        """Make a run directory with these files, on the disk before it returns."""
        directory = self.run_directory(username, run_id)
        try:
            directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            directory.mkdir(mode=0o700)
            for name, content in files.items():
                self.put(directory, name, content)
            (directory / RECORDS / "control").mkdir(mode=0o700, parents=True)
            _sync_directory(directory)
        except OSError as error:
            self.remove(directory)
            raise disk_trouble(error) from error
        return directory

    def put(self, directory: Path, name: str, content: bytes) -> None:
        """Write one new file of a run directory that no rule has seen yet."""
        path = directory / checked_path(name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(path, "xb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())

    def put_record(self, directory: Path, name: str, content: bytes) -> None:
        """Write one of our own records into a run directory that no rule has seen yet."""
        path = directory / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_bytes(content)

    def discard(self, username: str, run_id: str) -> None:
        """Take a run directory out of sight at once and delete it in the background."""
        with contextlib.suppress(FileNotFoundError):
            self._throw_away(self.run_directory(username, run_id), run_id)

    def _throw_away(self, directory: Path, name: str) -> None:
        trash = self.root / "trash"
        trash.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            directory.rename(trash / name)
        finally:
            self.empty_trash()

    def empty_trash(self) -> None:
        """Delete what was discarded, also before the last start, without waiting for it."""
        if any(self.root.glob("trash/*")):
            threading.Thread(target=self._empty, name="trash", daemon=True).start()

    def _empty(self) -> None:
        for path in self.root.glob("trash/*"):
            for _, folders, _, at in os.fwalk(path):  # a rule may have locked its directories
                for folder in folders:
                    with contextlib.suppress(OSError):
                        if stat.S_ISDIR(os.lstat(folder, dir_fd=at).st_mode):
                            os.chmod(folder, 0o700, dir_fd=at)
            self.remove(path)

    def remove(self, directory: Path) -> None:
        """Delete a run directory, following no link; what is gone already is fine."""
        shutil.rmtree(directory, ignore_errors=True)


def disk_trouble(error: OSError) -> DiskTrouble:
    """What to tell a user when the disk refuses: the fact, without a path of the server."""
    return DiskTrouble("The workspace cannot be written", os.strerror(error.errno or 0))


def cache_beside(run_directory: Path) -> Path:
    """The cache of the user to whom a run directory belongs."""
    return run_directory.parents[1] / CACHE


def is_upload_name(name: str) -> bool:
    """Whether a name may be an upload's: one plain component."""
    return _UPLOAD.fullmatch(name) is not None


def checked_path(name: str) -> PurePosixPath:
    """A relative path that may be put into a run; raises InvalidInput otherwise."""
    path = inside_path(name)
    if "\\" in name or not is_text(name) or any(part.startswith("~") for part in path.parts):
        raise _no_path(name)
    return path


def inside_path(name: str) -> PurePosixPath:
    """A path of something that a rule made in its run directory; raises InvalidInput otherwise.

    What is no UTF-8 in it stands as Python gives names of files.
    """
    path = PurePosixPath(name)
    wrong = (
        not name
        or "\0" in name
        or path.is_absolute()
        or ".." in path.parts
        or path.parts[:1] in ((), (RECORDS,))
        or any(len(part.encode(errors=ANY_BYTES)) > 255 for part in path.parts)
        or len(name.encode(errors=ANY_BYTES)) > 4000
    )
    if wrong:
        raise _no_path(name)
    return path


def is_text(name: str) -> bool:
    """Whether a name of a file is UTF-8 on the disk."""
    return name.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in name)


def _no_path(name: str) -> InvalidInput:
    shown = name[:200].encode(errors="replace").decode()
    return InvalidInput("Invalid path", f"'{shown}' does not name a file of the run")


def open_below(directory: Path, relative: str, flags: int = os.O_RDONLY) -> int:
    """A descriptor of a file below `directory`, no link followed on the way; raises OSError."""
    *parents, last = PurePosixPath(relative).parts
    at = os.open(directory, _DIRECTORY)
    try:
        for part in parents:
            at, above = os.open(part, _DIRECTORY, dir_fd=at), at
            os.close(above)
        if flags & os.O_DIRECTORY:
            return os.open(last, _DIRECTORY, dir_fd=at)
        return os.open(last, flags | _FILE, 0o600, dir_fd=at)
    finally:
        os.close(at)


def open_regular(directory: Path, relative: str) -> int | None:
    """A descriptor to read a regular file below `directory`; None when there is no such file."""
    try:
        descriptor = open_below(directory, relative)
    except (OSError, ValueError):
        return None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None


def read_small(directory: Path, relative: str, limit: int) -> bytes | None:
    """The content of a regular file; None when there is none, or it is longer than `limit`."""
    descriptor = open_regular(directory, relative)
    if descriptor is None:
        return None
    with open(descriptor, "rb") as handle:
        content = handle.read(limit + 1)
    return content if len(content) <= limit else None


@contextlib.contextmanager
def directory_below(directory: Path, relative: str) -> Iterator[Path]:
    """A path to a directory that stays the same one whatever is renamed meanwhile; OSError."""
    descriptor = open_below(directory, relative, os.O_DIRECTORY)
    try:
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def tail(directory: Path, relative: str, lines: int) -> str | None:
    """The last lines of a text file, at most 64 KiB; bytes that are no text are replaced."""
    descriptor = open_regular(directory, relative)
    if descriptor is None:
        return None
    try:
        size = os.fstat(descriptor).st_size
        start = max(0, size - TAIL_BYTES)
        text = os.pread(descriptor, TAIL_BYTES, start).decode("utf-8", "replace")
    finally:
        os.close(descriptor)
    found = text.split("\n")
    if found and not found[-1]:
        found.pop()
    if start:
        found = found[1:] or found  # the first is a piece of a line, unless it is all there is
    return "\n".join(found[-lines:])


def list_files(directory: Path, most: int = MOST_FILES) -> Listing:
    """What a run made: regular files, no links, nothing of our own (4.4)."""
    budget = [MOST_LOOKED_AT]
    try:
        top = os.open(directory, _DIRECTORY)
    except OSError:
        return Listing((), False)
    found: list[OutputFile] = []
    try:
        complete = _walk(top, "", 1, found, budget)
    finally:
        os.close(top)
    found.sort(key=lambda file: file.path)
    return Listing(tuple(found[:most]), not complete or len(found) > most)


def _walk(at: int, prefix: str, depth: int, found: list[OutputFile], budget: list[int]) -> bool:
    """Collect the files of an open directory; False when something was left out."""
    complete = True
    with os.scandir(at) as entries:
        for entry in entries:
            budget[0] -= 1
            if budget[0] < 0:
                return False
            if depth == 1 and entry.name in (RECORDS, WORKFLOW_FILE, EXECUTION_LOG):
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
                    complete &= depth < DEEPEST and _descend(
                        at, entry, prefix, depth, found, budget
                    )
                elif entry.is_file(follow_symlinks=False):
                    facts = entry.stat(follow_symlinks=False)
                    name = os.fsencode(prefix + entry.name)
                    path = name.decode("utf-8", "replace")
                    raw = b"" if path == prefix + entry.name else name
                    found.append(OutputFile(path, facts.st_size, facts.st_mtime, raw))
            except OSError:
                complete = False
    return complete


def _descend(
    at: int, entry: os.DirEntry[str], prefix: str, depth: int, found: list[OutputFile],
    budget: list[int],
) -> bool:  # fmt: skip
    inside = os.open(entry.name, _DIRECTORY, dir_fd=at)
    try:
        return _walk(inside, f"{prefix}{entry.name}/", depth + 1, found, budget)
    finally:
        os.close(inside)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
