"""Measure the machine in the background, so that no request waits for a measurement."""

from __future__ import annotations

import psutil
from msgspec import Struct

MIB = 1024**2


class Load(Struct, frozen=True):
    """The machine at the last sample; memory in MiB."""

    cpu_usage_percent: float = 0.0
    total_memory_mb: int = 0
    used_memory_mb: int = 0
    total_swap_mb: int = 0
    used_swap_mb: int = 0


class Machine:
    """Holds the last sample; one thread samples, any thread reads."""

    def __init__(self) -> None:
        self.load = Load()
        psutil.cpu_percent(interval=None)  # the first call only sets the starting point
        self.sample()

    def sample(self) -> None:
        """Measure now; the processor's share is that since the last call."""
        memory, swap = psutil.virtual_memory(), psutil.swap_memory()
        self.load = Load(
            cpu_usage_percent=round(psutil.cpu_percent(interval=None), 1),
            total_memory_mb=memory.total // MIB,
            used_memory_mb=memory.used // MIB,
            total_swap_mb=swap.total // MIB,
            used_swap_mb=swap.used // MIB,
        )
