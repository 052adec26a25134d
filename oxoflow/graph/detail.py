"""Put an execution's records together as the API shows them (spec/oxify-api.md 1.2, 2.5).

Reads the run directory, whose files code of the execution can write: nothing in them is trusted
beyond this one execution's own answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oxoflow.engine.rundir import RunDirectory, RunRecord, RunState
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
    results = read_results(RunDirectory(root).records)
    return {
        "execution_id": record.run_id,
        "workflow_id": supplies.workflow_id,
        "state": state_json(record),
        "variables": variables_of(supplies.variables, results),
        "node_results": [result.as_json() for result in results],
    }


def read_results(records: Path) -> list[NodeResult]:
    """The results of an execution's nodes, by start; `records` is its `.oxo-flow`."""
    memory = read_journal(records / NAME)
    return sorted(memory.results.values(), key=lambda result: result.started)


def variables_of(inputs: Mapping[str, Any], results: list[NodeResult]) -> dict[str, Any]:
    """The execute variables and those that nodes set, in order of completion."""
    found = dict(inputs)
    for result in sorted(results, key=lambda result: result.completed):
        found |= result.variables
    return found
