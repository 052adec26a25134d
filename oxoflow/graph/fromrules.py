"""Export a `.oxoflow` workflow as a graph: a Code node a job, an edge a dependency (7.2, 7.4).

Lossy on purpose: environments, `when` and the knowledge of what is up to date stay behind. The
commands run in the directory that the execute variable `workdir` names.
"""

from __future__ import annotations

import posixpath
import uuid
from pathlib import Path

from oxoflow.engine.load import Loaded, load_file, load_text
from oxoflow.engine.render import Renderer, quote
from oxoflow.engine.scheduler import Capacity
from oxoflow.errors import GraphError, WorkflowError
from oxoflow.graph import model as m
from oxoflow.graph.document import MAX_NODES
from oxoflow.lang.deadline import Deadline
from oxoflow.lang.model import Job
from oxoflow.lang.values import parse_duration

SPACE = uuid.UUID("5b6a2f5e-4c55-5c0d-8d4e-3f3a0d7f9c11")
DIRECTORY = "workdir"  # the execute variable
SECONDS = 3.0  # for a text from a stranger
DAY_MS = 24 * 3600 * 1000
# Commands are rendered as if the machine had room for everything: the graph may run elsewhere.
ROOMY = Capacity(slots=1, threads=2**31, memory_mb=2**40)


def graph_of_text(text: str) -> m.Graph:
    """The graph of a workflow text, no file seen; raises WorkflowError, also after SECONDS."""
    return graph_of(load_text(text, deadline=Deadline.after(SECONDS), to_run=False))


def graph_of_file(path: Path, workdir: Path) -> m.Graph:
    """The graph of a workflow file that runs in `workdir`; raises WorkflowError, UsageError."""
    return graph_of(load_file(path, workdir=workdir))


def graph_of(loaded: Loaded) -> m.Graph:
    """The graph of a loaded workflow; raises GraphError when it has too many jobs."""
    jobs = loaded.dag.jobs
    if len(jobs) + 2 > MAX_NODES:
        raise GraphError(f"the workflow has {len(jobs)} jobs; a graph holds {MAX_NODES - 2}")
    renderer = Renderer(loaded.workflow, ROOMY, has_program=lambda name: True)
    name = loaded.workflow.name
    start, end = _id(name, " start"), _id(name, " end")
    ids = [_id(name, job.name) for job in jobs]
    nodes = [m.Node(start, "Start", m.Start())]
    nodes += [_node(ids[at], jobs[at], renderer) for at in loaded.dag.order]
    nodes.append(m.Node(end, "End", m.End()))
    edges = [
        (ids[parent], ids[at])
        for at, parents in enumerate(loaded.dag.parents)
        for parent in parents
    ]
    edges += [(start, ids[at]) for at, parents in enumerate(loaded.dag.parents) if not parents]
    edges += [(ids[at], end) for at, children in enumerate(loaded.dag.children) if not children]
    if not jobs:
        edges = [(start, end)]
    about = m.Metadata(
        name=name[:255] or "workflow",
        id=_id(name, " graph"),
        description=loaded.workflow.description,
        version=loaded.workflow.version or "0.1.0",
        tags=("oxoflow",),
    )
    return m.Graph(about, tuple(nodes), tuple(m.Edge(a, b, _id(a, b)) for a, b in edges))


def _id(space: str, name: str) -> str:
    """The same id for the same job of the same workflow, every time."""
    return str(uuid.uuid5(SPACE, f"{space}\n{name}"))


def _node(node_id: str, job: Job, renderer: Renderer) -> m.Node:
    try:
        rendered = renderer.render(job)
    except WorkflowError as error:
        raise WorkflowError(f"job '{job.name}': {error.message}", error.diagnostics) from None
    places = sorted({posixpath.dirname(path) for path in rendered.outputs} - {""})
    lines = [f'cd "$OXIFY_{DIRECTORY.upper()}"']
    lines += [f"mkdir -p {' '.join(map(quote, places))}"] if places else []
    lines += [part for part in (rendered.pre_exec, rendered.composed()) if part]
    rule = job.rule
    retries = rule.retries or 0
    delay = round(_milliseconds(rule.retry_delay, 1000))
    limit = rule.resources.time_limit
    return m.Node(
        node_id,
        job.name,
        m.Code("shell", "\n".join(lines), "", (DIRECTORY,)),
        retry_config=m.Retry(retries, delay, 1.0, delay) if retries else None,
        timeout_config=m.Timeout(round(_milliseconds(limit, DAY_MS))),
    )


def _milliseconds(text: str | None, default: float) -> float:
    try:
        return default if text is None else parse_duration(str(text)) * 1000
    except ValueError:
        return default
