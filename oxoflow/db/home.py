"""Claim the server's home directory: make it, check that it can be written, let one server hold it.

Owns HOME/server.lock. The lock is the kernel's, so that it cannot outlive its holder.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path

from oxoflow.db.connection import Database
from oxoflow.errors import OxoflowError, UsageError

LOCK_FILE = "server.lock"


class Home:
    """A home held by this process until `release`."""

    def __init__(self, path: Path) -> None:
        """Claim `path`; raises UsageError with one sentence when it cannot be had."""
        self.path = path
        self._lock = _open_lock(path)
        try:
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._lock, 32, 0).decode("ascii", "replace").strip()
            os.close(self._lock)
            raise UsageError(
                f"the home {path} is in use by another oxoflow server (process {holder}): "
                "stop that one or choose another --home"
            ) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let another server have the home."""
        os.close(self._lock)


def _open_lock(path: Path) -> int:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        (path / "workspace").mkdir(mode=0o700, exist_ok=True)
        return os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(
            f"the home {path} cannot be written ({error.strerror}): choose another with --home"
        ) from None


def open_database(home: Path) -> Database:
    """Open HOME/oxoflow.db; raises UsageError when the file is no usable database."""
    path = home / "oxoflow.db"
    try:
        return Database(path)
    except (sqlite3.Error, OSError, OxoflowError) as error:
        raise UsageError(f"the database {path} cannot be opened: {error}") from None
