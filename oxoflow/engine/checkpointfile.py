"""Write `.oxo-flow/checkpoint.json` for workflows whose rules read it.

Owns the part of that file that reports are made of (spec/oxoflow-format.md 5.10): which jobs are
done or failed, and the commands that ran. Nothing here is ever read back; `State` is the truth.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from oxoflow.engine.disk import replace_file
from oxoflow.engine.files import RECORDS
from oxoflow.engine.matching import tidy
from oxoflow.engine.state import State
from oxoflow.lang.model import Job

CHECKPOINT = f"{RECORDS}/checkpoint.json"
_OURS = "oxoflow"


def is_asked_for(jobs: Iterable[Job]) -> bool:
    """Say whether any job has the file among its inputs."""
    return any(
        CHECKPOINT in path and tidy(path) == CHECKPOINT for job in jobs for path in job.input.paths
    )


def write_checkpoint(root: Path, state: State) -> None:
    """Bring the file up to what is known now; one that another program wrote stays as it is."""
    path = root / CHECKPOINT
    old = path.read_bytes() if path.exists() else None
    if old is not None and f'"written_by": "{_OURS}"'.encode() not in old:
        return
    new = json.dumps(_content(root, state), indent=1, sort_keys=True).encode()
    if new != old:
        replace_file(path, new)


def _content(root: Path, state: State) -> dict[str, Any]:
    records, commands = state.records(), state.commands()
    runs = {
        job: {"command": commands[job], "exit_code": record.exit_code, "stderr_tail": ""}
        for job, record in records.items()
        if job in commands and record.status in ("done", "failed")
    }
    return {
        "written_by": _OURS,
        "workdir": str(root),
        "completed_rules": sorted(job for job, r in records.items() if r.status == "done"),
        "failed_rules": sorted(job for job, r in records.items() if r.status == "failed"),
        "rule_runs": runs,
    }
