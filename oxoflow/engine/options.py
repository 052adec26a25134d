"""Name what a caller asks of a run, and what comes of it.

Owns the two records at the engine's front door. Pure.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import fields

from oxoflow.engine.capacity import Limits
from oxoflow.engine.ending import Receipt
from oxoflow.engine.events import Event
from oxoflow.engine.plan import PlanOptions
from oxoflow.engine.reuse import Caching
from oxoflow.engine.rundir import Launch, RunState


class RunOptions(Struct, frozen=True):
    """One call of `run`. Times in seconds, sizes in MB.

    `settings` is recorded in `run.json` as it is. `environ` are the caller's variables, which rules
    inherit. `observe` is called with every event once it is written, from another thread.
    """

    workdir: Path
    limits: Limits = field(default_factory=Limits)
    plan: PlanOptions = field(default_factory=PlanOptions)
    keep_going: bool = False
    retry: int = 0
    timeout: float | None = None
    disk_reserve_mb: int = 0
    enforce_memory: bool = False
    skip_environments: bool = False  # they are there: neither looked for nor made
    cache: Caching | None = None  # where results are shared with other runs
    launch: Launch | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    observe: Callable[[Event], None] | None = None


class Counts(Struct, frozen=True):
    """How many jobs ended how; `failed` are required, `interrupted` were stopped with the run."""

    succeeded: int = 0
    skipped: int = 0
    failed: int = 0
    non_required_failed: int = 0
    blocked: int = 0
    interrupted: int = 0


def add_counts(rounds: Sequence[Counts]) -> Counts:
    """Add up the counts of several rounds."""
    names = [field.name for field in fields(Counts)]
    return Counts(**{name: sum(getattr(each, name) for each in rounds) for name in names})


class Outcome(Struct, frozen=True):
    """What came of a run: its state, exit code, and the failures as (job, error)."""

    run_id: str
    state: RunState
    exit_code: int
    counts: Counts = field(default_factory=Counts)
    failures: tuple[tuple[str, str], ...] = ()
    blocked: tuple[str, ...] = ()
    error: str | None = None
    receipt: Receipt = field(default_factory=Receipt)
    duration_secs: float = 0.0
