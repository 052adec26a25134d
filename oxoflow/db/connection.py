"""Open the server's SQLite file: one writer thread that commits in groups, readers per thread.

Owns the connections and the file's mode. Knows no table: queries live in the
other modules of `db`, each a function that takes a connection.
"""

from __future__ import annotations

import logging
import os
import queue
import sqlite3
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from oxoflow.db.schema import prepare
from oxoflow.errors import Unavailable

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], Any]

GROUP = 512  # most functions in one commit, so that a flood cannot delay the first for long
BUSY_MS = 5000  # how long another process may hold the file before we answer "locked"

log = logging.getLogger("oxoflow.db")


class DatabaseTrouble(Unavailable):
    """The database cannot be written just now: disk full, locked by another process, or gone."""


class _Reader(sqlite3.Connection):
    """A connection that can be referred to weakly, so that a dead thread's is collected."""


class Database:
    """The server's database.

    Writes go through one thread: it takes all waiting functions, runs them inside one
    `BEGIN IMMEDIATE`, each under a savepoint, commits once and only then hands out the results.
    A function that raises is rolled back to its savepoint and raises only to its caller. So a
    result that a caller holds is on disk (`synchronous=FULL`), and many producers share one fsync.
    """

    def __init__(self, path: Path, busy_ms: int = BUSY_MS) -> None:
        self.path = path
        self.commits = 0  # raised by the writer before it hands out what a commit gave
        self._busy_ms = busy_ms
        self._local = threading.local()
        self._readers: weakref.WeakSet[_Reader] = weakref.WeakSet()
        self._readers_lock = threading.Lock()
        self._closed = False
        _create_private(path)
        self._writer = self._connect(sqlite3.Connection)
        try:
            prepare(self._writer)
        except BaseException:
            self._writer.close()
            raise
        self._work: queue.SimpleQueue[tuple[Work, Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="db-writer", daemon=True)
        self._thread.start()

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work(connection)` in the writer thread; return its result after it is committed.

        Raises what `work` raises, and DatabaseTrouble when the commit is impossible. `work` must
        be quick, must not call `write`, and must not commit or roll back itself.
        """
        return self.submit(work).result()

    def submit(self, work: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Like `write`, without waiting: the future has the result after the commit."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("a function inside Database.write may not write again")
        future: Future[T] = Future()
        if self._closed:
            raise DatabaseTrouble("The server is stopping", retry_after=5)
        self._work.put((work, future))
        return future

    def read(self) -> sqlite3.Connection:
        """This thread's read-only connection; every statement sees the latest commit."""
        reader: _Reader | None = getattr(self._local, "reader", None)
        if reader is None:
            if self._closed:
                raise DatabaseTrouble("The server is stopping", retry_after=5)
            reader = self._connect(_Reader)
            reader.execute("PRAGMA query_only = ON")
            self._local.reader = reader
            with self._readers_lock:
                self._readers.add(reader)
        return reader

    def close(self) -> None:
        """Finish the waiting writes and close every connection; safe to call twice."""
        if self._closed:
            return
        self._closed = True
        self._work.put(None)
        self._thread.join()
        with self._readers_lock:
            for reader in list(self._readers):
                reader.close()
        self._writer.close()

    def _connect(self, factory: type[Any]) -> Any:
        connection = sqlite3.connect(
            self.path,
            timeout=self._busy_ms / 1000,
            isolation_level=None,
            check_same_thread=False,
            factory=factory,
            cached_statements=256,
        )
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    def _serve(self) -> None:
        stopping = False
        while not stopping:
            group = [self._work.get()]
            while len(group) < GROUP and group[-1] is not None:
                try:
                    group.append(self._work.get_nowait())
                except queue.Empty:
                    break
            stopping = group[-1] is None
            todo = [item for item in group if item is not None]
            if todo:
                self._commit(todo)
        self._refuse_rest()

    def _refuse_rest(self) -> None:
        """Answer what was put in the queue behind the order to stop."""
        while True:
            try:
                item = self._work.get_nowait()
            except queue.Empty:
                return
            if item is not None:
                item[1].set_exception(DatabaseTrouble("The server is stopping", retry_after=5))

    def _commit(self, group: list[tuple[Work, Future[Any]]]) -> None:
        """Run one group in one transaction and hand out its results."""
        done: list[tuple[Future[Any], Any]] = []
        failed: list[tuple[Future[Any], BaseException]] = []
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            for work, future in group:
                try:
                    done.append((future, self._run(work)))
                except _Lost:
                    raise
                except Exception as error:
                    failed.append((future, error))
            self._writer.execute("COMMIT")
        except Exception as error:
            self._abandon(group, error)
            return
        self.commits += 1
        for future, result in done:
            future.set_result(result)
        for future, failure in failed:
            future.set_exception(failure)

    def _run(self, work: Work) -> Any:
        """Run one function under its savepoint."""
        self._writer.execute("SAVEPOINT one")
        try:
            result = work(self._writer)
        except Exception as error:
            # A full disk makes SQLite drop the whole transaction, and our neighbours' work with it.
            if not self._writer.in_transaction:
                raise _Lost(str(error)) from error
            self._writer.execute("ROLLBACK TO one")
            self._writer.execute("RELEASE one")
            raise
        self._writer.execute("RELEASE one")
        return result

    def _abandon(self, group: list[tuple[Work, Future[Any]]], error: Exception) -> None:
        """Nothing of this group was committed: say so to every caller."""
        if self._writer.in_transaction:
            try:
                self._writer.execute("ROLLBACK")
            except sqlite3.Error as second:
                log.error("database: rollback failed: %s", second)
        log.error("database: %d writes failed: %s", len(group), error)
        trouble = DatabaseTrouble("The database cannot be written", str(error), retry_after=5)
        for _, future in group:
            future.set_exception(trouble)


class _Lost(Exception):
    """SQLite rolled the whole transaction back by itself."""


def _create_private(path: Path) -> None:
    """Make the file before SQLite does, so that it is never readable by others."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)
