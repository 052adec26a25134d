"""Answer questions about a DAG: what a target needs, levels, the longest chain, rules as a graph.

Owns target selection and the figures of spec/oxoflow-format.md 4.2. Pure.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from oxoflow.engine.dag import Dag, nearest, topological_order
from oxoflow.engine.matching import OutputIndex, bare, tidy
from oxoflow.errors import UsageError
from oxoflow.lang.model import Job, Module, Rule


class RuleGraph(Struct, frozen=True):
    """Named nodes and edges by position, producer first: rules, or jobs, ready to be drawn."""

    names: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]

    @property
    def named_edges(self) -> list[tuple[str, str]]:
        """The edges as (producer, consumer) names."""
        return [(self.names[one], self.names[two]) for one, two in self.edges]


class Metrics(Struct, frozen=True):
    """The figures of a graph (4.2)."""

    node_count: int
    edge_count: int
    max_depth: int
    max_width: int


def jobs_called(dag: Dag, name: str) -> list[int]:
    """Give the jobs that a name means: a job, a rule, an output path, else names that begin so."""
    if name in dag.index:
        return [dag.index[name]]
    found = [at for at, job in enumerate(dag.jobs) if job.rule.name == name]
    if not found:
        path = bare(name)
        found = [at for at, job in enumerate(dag.jobs) if path and path in _made(dag, job)]
    if not found:
        found = [at for at, job in enumerate(dag.jobs) if job.name.startswith(name)]
    if name in dag.jobless:
        raise UsageError(
            f"rule '{name}' makes no job here: what it is spread over is empty, or its condition "
            "holds for none of it"
        )
    if not found or not name:
        rules = list(dict.fromkeys(job.rule.name for job in dag.jobs))
        shown = ", ".join(rules[:10]) + (" …" if len(rules) > 10 else "")
        hint = nearest(name, [*rules, *dag.index]) or (f"; rules: {shown}" if rules else "")
        raise UsageError(f"'{name}' is no rule, job or output of this workflow{hint}")
    return found


def jobs_of_module(dag: Dag, modules: Sequence[Module], name: str) -> list[int]:
    """Give the jobs of an included module, and those that make its declared inputs (3.4).

    Raises UsageError for a module that is not there.
    """
    called = [module for module in modules if module.name == name]
    if not called:
        known = list(dict.fromkeys(module.name for module in modules))
        hint = nearest(name, known) or (f"; modules: {', '.join(known)}" if known else "")
        raise UsageError(f"'{name}' is no module that this workflow includes{hint}")
    rules = {rule for module in called for rule in module.rules}
    inputs = {bare(path) for module in called for path in module.inputs}
    inputs |= {bare(dag.texts.path(path)) for path in inputs}
    return [
        at
        for at, job in enumerate(dag.jobs)
        if job.rule.name in rules or not inputs.isdisjoint(_made(dag, job))
    ]


def _made(dag: Dag, job: Job) -> Iterator[str]:
    """Yield the outputs of a job as they are written and as the config fills them."""
    for path in job.output.paths:
        yield bare(path)
        if "{" in path:
            yield bare(dag.texts.path(path))


def ancestors(dag: Dag, starts: Iterable[int]) -> set[int]:
    """Give the starts and everything they need, directly or not."""
    return _reach(starts, dag.parents)


def descendants(dag: Dag, starts: Iterable[int]) -> set[int]:
    """Give the starts and everything that needs them, directly or not."""
    return _reach(starts, dag.children)


def select(dag: Dag, targets: Sequence[str]) -> tuple[int, ...]:
    """Give the jobs that targets need, in topological order; all without targets (`-t`).

    Raises UsageError for a target that means nothing.
    """
    if not targets:
        return dag.order
    wanted = ancestors(dag, [at for target in targets for at in jobs_called(dag, target)])
    return tuple([at for at in dag.order if at in wanted])


def order(dag: Dag) -> list[str]:
    """Give the job names in topological order, ties as declared."""
    return [dag.jobs[at].name for at in dag.order]


def job_graph(dag: Dag) -> RuleGraph:
    """Give the jobs as a graph to draw."""
    edges = [(parent, at) for at, found in enumerate(dag.parents) for parent in found]
    return RuleGraph(tuple([job.name for job in dag.jobs]), tuple(sorted(edges)))


def rule_graph(dag: Dag, rules: Sequence[Rule] = ()) -> RuleGraph:
    """Fold the jobs to their rules; `rules` are all rules in file order, with or without jobs.

    A rule without jobs (an empty list, a condition that holds for no sample) is linked by its
    paths as they are written, as the template graph of spec/oxoflow-format.md 4.3 is.
    """
    places = {rule.name: at for at, rule in enumerate(rules)}
    of_job = [places.setdefault(job.rule.name, len(places)) for job in dag.jobs]
    links = {(of_job[at], id(found)): found for at, found in enumerate(dag.parents)}
    edges = {
        (of_job[parent], at)
        for (at, _), found in links.items()
        for parent in found
        if of_job[parent] != at
    }
    edges.update(_written_edges(rules, places, set(of_job)))
    return RuleGraph(tuple(places), tuple(sorted(edges)))


def _written_edges(
    rules: Sequence[Rule], places: Mapping[str, int], with_jobs: Container[int]
) -> Iterator[tuple[int, int]]:
    """Give the edges into and out of rules without jobs, found in the texts of the rules."""
    idle = {places[rule.name] for rule in rules if places[rule.name] not in with_jobs}
    if not idle:
        return
    outputs = OutputIndex(
        (tidy(path), places[rule.name])
        for rule in rules
        for path in (*rule.output.paths, rule.output_pattern)
        if path
    )
    for rule in rules:
        at = places[rule.name]
        found = {places[name] for name in rule.depends_on if name in places}
        for path in map(tidy, rule.input.paths):
            found.update(outputs.match(path))
        for path in [tidy(spec.pattern) for spec in rule.expand_inputs]:
            found.update(outputs.match(path) or outputs.match_shape(path))
        for parent in found - {at}:
            if parent in idle or at in idle:
                yield parent, at


def levels(graph: RuleGraph | Dag) -> list[list[str]]:
    """Group names by their depth, the longest way from a root; each group sorted (4.2)."""
    names, parents = _plain(graph)
    groups: dict[int, list[str]] = {}
    for at, depth in enumerate(_depths(parents)):
        groups.setdefault(depth, []).append(names[at])
    return [sorted(groups[depth]) for depth in sorted(groups)]


def critical_path(graph: RuleGraph | Dag) -> list[str]:
    """Give the longest chain; among equals the alphabetically first, from its end backwards."""
    names, parents = _plain(graph)
    if not names:
        return []
    depths = _depths(parents)
    deepest = max(depths)
    at = min((at for at, depth in enumerate(depths) if depth == deepest), key=names.__getitem__)
    path = [at]
    while depths[at]:
        before = [parent for parent in parents[at] if depths[parent] == depths[at] - 1]
        at = min(before, key=names.__getitem__)
        path.append(at)
    return [names[at] for at in reversed(path)]


def metrics(graph: RuleGraph | Dag) -> Metrics:
    """Give the figures of a graph."""
    names, parents = _plain(graph)
    groups = levels(graph)
    return Metrics(
        node_count=len(names),
        edge_count=sum(map(len, parents)),
        max_depth=len(groups),
        max_width=max(map(len, groups), default=0),
    )


def parents_of(graph: RuleGraph) -> list[list[int]]:
    """Give the parents of every node."""
    parents: list[list[int]] = [[] for _ in graph.names]
    for parent, child in graph.edges:
        parents[child].append(parent)
    return parents


def _plain(graph: RuleGraph | Dag) -> tuple[Sequence[str], Sequence[Sequence[int]]]:
    if isinstance(graph, RuleGraph):
        return graph.names, parents_of(graph)
    return [job.name for job in graph.jobs], graph.parents


def _depths(parents: Sequence[Sequence[int]]) -> list[int]:
    """Give every node's depth; rules that wait for each other (their jobs do not) come last."""
    children: list[list[int]] = [[] for _ in parents]
    for at, found in enumerate(parents):
        for parent in found:
            children[parent].append(at)
    sequence = topological_order(parents, children)
    depths = [-1] * len(parents)
    for at in sequence:
        depths[at] = 1 + max([depths[parent] for parent in parents[at]], default=-1)
    for at in sorted(set(range(len(parents))) - set(sequence)):
        depths[at] = 1 + max([depths[parent] for parent in parents[at]], default=-1)
    return depths


def _reach(starts: Iterable[int], steps: Sequence[Sequence[int]]) -> set[int]:
    found = set(starts)
    waiting = list(found)
    while waiting:
        for at in steps[waiting.pop()]:
            if at not in found:
                found.add(at)
                waiting.append(at)
    return found
