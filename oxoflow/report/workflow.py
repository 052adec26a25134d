"""Report on a workflow that has not run: what it is and in which order its rules would go."""

from __future__ import annotations

from collections.abc import Sequence

from oxoflow.lang.defaults import apply_defaults
from oxoflow.lang.model import Workflow
from oxoflow.lang.summary import environment_kind, threads
from oxoflow.report.model import KeyValue, Report, Section, Table


def report_workflow(
    workflow: Workflow, order: Sequence[str], edges_count: int, generated_at: str
) -> Report:
    """Make the report of spec/oxo-flow-api.md 5.12; `order` are rule names as they would run."""
    return Report(
        title=f"{workflow.name} — Workflow Report",
        generated_at=generated_at,
        workflow_name=workflow.name,
        workflow_version=workflow.version,
        sections=(_overview(workflow, edges_count), _execution_order(workflow, order)),
        metadata={"rules_count": str(len(workflow.rules)), "edges_count": str(edges_count)},
    )


def _overview(workflow: Workflow, edges_count: int) -> Section:
    pairs = (
        ("Name", workflow.name),
        ("Version", workflow.version),
        ("Description", workflow.description or "N/A"),
        ("Author", workflow.author or "N/A"),
        ("Rules", str(len(workflow.rules))),
        ("DAG edges", str(edges_count)),
    )
    return Section("Workflow Overview", "overview", KeyValue(pairs))


def _execution_order(workflow: Workflow, order: Sequence[str]) -> Section:
    rules = {rule.name: rule for rule in apply_defaults(workflow).rules}
    rows = tuple(
        (str(step), name, str(threads(rules[name])), environment_kind(rules[name]))
        for step, name in enumerate((name for name in order if name in rules), 1)
    )
    table = Table(("Step", "Rule", "Threads", "Environment"), rows)
    return Section("Execution Order", "execution-order", table)
