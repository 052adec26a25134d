"""Do now and then what no request does: measure the machine, end expired sessions, tell the audit.

Owns one thread.
"""

from __future__ import annotations

import logging
import threading

from oxoflow.db.audit import last_row
from oxoflow.web.services import Services
from oxoflow.web.system import SAMPLE_EVERY

HOUR = 3600.0

log = logging.getLogger("oxoflow")


class Housekeeper:
    """One thread for what is done now and then."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._told: tuple[int, str] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="housekeeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        ticks = 0
        while True:
            try:
                self._services.machine.sample()
                if ticks % int(HOUR / SAMPLE_EVERY) == 0:
                    self._services.access.sessions.sweep()
                    self._tell_audit()
            except Exception:
                log.exception("housekeeping failed; trying again")
            ticks += 1
            if self._stop.wait(SAMPLE_EVERY):
                return

    def _tell_audit(self) -> None:
        """Put the last hash of the audit log where who rewrites the database does not reach it."""
        found = last_row(self._services.db.read())
        if found != self._told and found[0]:
            self._told = found
            log.info("the audit log has %d rows, the last hash is %s", *found)
