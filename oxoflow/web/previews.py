"""Show what a run would do, without doing it: the body of a dry run."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from oxoflow.db.instants import instant
from oxoflow.engine.load import Loaded
from oxoflow.engine.render import Renderer
from oxoflow.engine.scheduler import Capacity
from oxoflow.errors import WorkflowError
from oxoflow.lang.summary import rule_detail
from oxoflow.web.looking import folded, rule_order

MOST_JOBS = 1000  # shown; all are counted
# Commands are rendered as if the machine had room for everything, so that they tell nothing of it.
ROOMY = Capacity(slots=1, threads=2**31, memory_mb=2**40)


def dry_run_body(loaded: Loaded, config: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of a dry run (spec/oxo-flow-api.md 5.8); nothing is stored or looked up.

    Sensitive values, which a caller may have given with the text, are masked as in a run (5.11).
    """
    workflow = loaded.workflow
    order = rule_order(folded(workflow, loaded.dag))
    rules = {rule.name: rule for rule in workflow.rules}
    details = [rule_detail(rules[name]) for name in order if name in rules]
    return {
        "status": {
            "id": str(uuid.uuid4()),
            "status": "dry-run",
            "rules_total": len(order),
            "rules_completed": 0,
            "started_at": instant(),
        },
        "execution_order": order,
        "rules": details,
        "config": {name: config.get(name) for name in ("max_jobs", "dry_run", "keep_going")},
        "jobs": _jobs(loaded),
        "jobs_total": len(loaded.jobs),
        "warnings": list(workflow.warnings),
    }


def _jobs(loaded: Loaded) -> list[dict[str, Any]]:
    renderer = Renderer(loaded.workflow, ROOMY, has_program=lambda name: True)
    found = []
    for at in loaded.dag.order[:MOST_JOBS]:
        job = loaded.dag.jobs[at]
        try:
            command = renderer.render(job).command
        except WorkflowError as error:
            if not loaded.workflow.gaps.config:
                words = renderer.masked(f"job '{job.name}': {error.message}")
                raise WorkflowError(words, error.diagnostics) from None
            command = job.shell or job.script  # a value stands in a file that is not seen here
        shown = command and renderer.masked(command)
        found.append({"job": renderer.masked(job.name), "rule": job.rule.name, "command": shown})
    return found
