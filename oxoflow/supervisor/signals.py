"""Signal a process that the server itself recorded, and nobody else.

A pid is used again by the kernel; so the process is pinned by a descriptor first, its start time
and boot compared then, and the signal sent through the descriptor.
"""

from __future__ import annotations

import contextlib
import os
import signal

from oxoflow.engine.identity import ProcessIdentity, all_processes
from oxoflow.engine.rundir import MARKER


def send(identity: ProcessIdentity, *numbers: signal.Signals) -> bool:
    """Send signals in order; False when the recorded process is gone, and nothing was sent."""
    try:
        descriptor = os.pidfd_open(identity.pid)
    except OSError:
        return False
    try:
        if not identity.alive():
            return False
        with contextlib.suppress(ProcessLookupError):
            for number in numbers:
                signal.pidfd_send_signal(descriptor, number)
        return True
    finally:
        os.close(descriptor)


def watch(identity: ProcessIdentity) -> int | None:
    """A descriptor that becomes readable when exactly this process ends; None when it has."""
    try:
        descriptor = os.pidfd_open(identity.pid)
    except OSError:
        return None
    if identity.alive():
        return descriptor
    os.close(descriptor)
    return None


def count_marked(run_id: str) -> int:
    """How many processes carry a run's marker in their environment; signals none of them."""
    wanted = f"{MARKER}={run_id}".encode()
    found = 0
    for pid in all_processes():
        try:
            with open(f"/proc/{pid}/environ", "rb") as handle:
                found += wanted in handle.read().split(b"\0")
        except OSError:  # gone, or another account's
            continue
    return found
