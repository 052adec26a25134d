"""Keep what runs leave for later runs within bounds, in the background.

Runs do the same at their ends; this is for what killed ones left, and for a smaller limit.
"""

from __future__ import annotations

import logging
import threading

from oxoflow.engine.eviction import evict
from oxoflow.workspace import Workspace

log = logging.getLogger("oxoflow.supervisor")


def bound_caches(workspace: Workspace, limit: int) -> None:
    """Look through every user's cache, without waiting for it; with a limit of 0 all goes."""
    if workspace.caches():
        threading.Thread(target=_bound, args=(workspace, limit), name="caches", daemon=True).start()


def _bound(workspace: Workspace, limit: int) -> None:
    for place in workspace.caches():
        try:
            evict(place, limit, thorough=True)
        except OSError as error:
            log.warning("the cache '%s' could not be looked through: %s", place, error)
