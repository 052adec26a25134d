"""Put an execution's records together as the API shows them (spec/oxify-api.md 1.2, 2.5).

Reads the run directory, whose files code of the execution can write: nothing in them is trusted
beyond this one execution's own answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oxoflow.engine.rundir import RunDirectory, RunRecord, RunState
from oxoflow.graph.hiding import SAID_BACK, hidden, mask_of
from oxoflow.graph.journal import NAME, read_journal
from oxoflow.graph.results import NodeResult
from oxoflow.graph.supplies import Supplies

STATES = {
    RunState.RUNNING: "Running",
    RunState.SUCCESS: "Completed",
    RunState.CANCELLED: "Cancelled",
}


def state_json(record: RunRecord) -> Any:
    """The ExecutionState of a record; a failure carries its reason."""
    return STATES.get(record.state) or {"Failed": record.error or "failed"}


def execution_detail(root: Path, record: RunRecord, supplies: Supplies) -> dict[str, Any]:
    """The answer of GET /api/v1/executions/:id for an execution in a directory."""
    return {
        "execution_id": record.run_id,
        "workflow_id": supplies.workflow_id,
        "state": state_json(record),
        **read_shown(RunDirectory(root).records, supplies.variables),
    }


def read_shown(records: Path, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Variables and results (by start) as they may be seen; `records` is its `.oxo-flow`."""
    memory = read_journal(records / NAME)
    results = sorted(memory.results.values(), key=lambda result: result.started)
    shown = {
        "variables": _variables(inputs, results),
        "node_results": [result.as_json() for result in results],
    }
    found: dict[str, Any] = hidden(shown, mask_of(memory.secrets, SAID_BACK))
    return found


def _variables(inputs: Mapping[str, Any], results: list[NodeResult]) -> dict[str, Any]:
    """The execute variables and those that nodes set, in order of completion."""
    found = dict(inputs)
    for result in sorted(results, key=lambda result: result.completed):
        found |= result.variables
    return found
