"""Let the server hold as many connections as it may, and its runners as many files as it was given.

Owns the server's limit of open files. A shell usually gives 1024, which is fewer than the streams
that README promises; rules keep what the server was started with.
"""

from __future__ import annotations

import logging
import resource

ENOUGH = 65_536  # connections, streams, the database and pipes to runners together

log = logging.getLogger("oxoflow.supervisor")


class DescriptorLimit:
    """The limit of this process as it was, and as it is; changed once, at the start."""

    def __init__(self) -> None:
        self._given: tuple[int, int] | None = None

    def raise_it(self) -> None:
        """Allow this process what it may allow itself."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
        if soft == resource.RLIM_INFINITY or soft >= most:
            return
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        except (OSError, ValueError) as error:
            log.warning("only %d files can be open at a time: %s", soft, error)
            return
        self._given = (soft, hard)

    def give_back(self, pid: int) -> None:
        """Let a child that we started have what we were given; raises nothing when it is gone."""
        if self._given is None:
            return
        try:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, self._given)
        except OSError as error:
            log.warning("process %d keeps our limit of open files: %s", pid, error)


LIMIT = DescriptorLimit()
