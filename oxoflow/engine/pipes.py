"""Find the outputs that stream from one running job into another (`pipe`, 5.8).

Owns which edges of a DAG are pipes, and which jobs therefore start together. With `pipe = true`
the outputs of a rule stream into the rule that reads them; on a rule whose own outputs nobody reads
it means its inputs. That must be able to go well: one path, named by one reader, and no file for
which one end would have to wait for the other. Any other output is an ordinary file, with a
warning. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct, field

from oxoflow.engine.cycles import find_cycle
from oxoflow.engine.dag import Dag, topological_order
from oxoflow.engine.matching import OutputIndex, is_glob, tidy
from oxoflow.engine.references import is_reference
from oxoflow.engine.render import Renderer
from oxoflow.lang.condition import asks_files
from oxoflow.lang.model import Job

Holds = Callable[[str], bool]  # evaluates a condition as things are now
Group = tuple[int, ...]
_SHARED_FILES = "its writer and its reader wait for each other's files as well"


class Pipe(Struct, frozen=True):
    """One output that is never a file: its path, who writes it and who reads it."""

    path: str
    writer: int
    reader: int


class Pipes(Struct, frozen=True):
    """The pipes of a plan; `order` is topological, the jobs of a group one behind another."""

    order: tuple[int, ...] = ()
    of_job: Mapping[int, tuple[Pipe, ...]] = field(default_factory=dict)
    group_of: Mapping[int, Group] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def written(self, index: int) -> tuple[str, ...]:
        """The paths through which a job streams its output."""
        return tuple(p.path for p in self.of_job.get(index, ()) if p.writer == index)

    def source(self, path: str, index: int) -> int | None:
        """The job that streams `path` into a job; None for a file."""
        if index not in self.of_job:
            return None
        path = tidy(path)
        found = (p.writer for p in self.of_job[index] if p.reader == index)
        return next((at for at in found if path in self._tidy_paths(at)), None)

    def among(self, group: Group) -> tuple[Pipe, ...]:
        """The pipes between the members of one group."""
        return tuple(pipe for at in group for pipe in self.of_job[at] if pipe.writer == at)

    def _tidy_paths(self, writer: int) -> set[str]:
        return {tidy(path) for path in self.written(writer)}


NO_PIPES = Pipes()


def find_pipes(dag: Dag, renderer: Renderer, selected: Sequence[int], holds: Holds) -> Pipes:
    """Find the pipes among the selected jobs; their order is that of `selected` without any."""
    if not any(job.rule.pipe for job in dag.jobs):
        return Pipes(tuple(selected))
    search = _Search(dag, renderer, selected, holds)
    pipes = list(search.candidates())
    groups = _groups(pipes)
    while bad := search.tangled(pipes, groups):
        pipes = [pipe for pipe in pipes if pipe.writer not in bad]
        groups = _groups(pipes)
    of_job: dict[int, tuple[Pipe, ...]] = {}
    for pipe in pipes:
        for at in (pipe.writer, pipe.reader):
            of_job[at] = (*of_job.get(at, ()), pipe)
    group_of = {at: group for group in groups for at in group}
    return Pipes(search.order(group_of), of_job, group_of, tuple(search.warnings.values()))


def _groups(pipes: Iterable[Pipe]) -> list[Group]:
    """The jobs that pipes hold together."""
    of: dict[int, list[int]] = {}
    for pipe in pipes:
        one = of.setdefault(pipe.writer, [pipe.writer])
        two = of.setdefault(pipe.reader, [pipe.reader])
        if one is not two:
            one.extend(two)
            of.update((at, one) for at in two)
    return [tuple(sorted(each)) for each in {id(each): each for each in of.values()}.values()]


class _Search:
    """One search: what is asked again and again, and what is to be said of it."""

    def __init__(self, dag: Dag, renderer: Renderer, selected: Sequence[int], holds: Holds) -> None:
        self._dag = dag
        self._renderer = renderer
        self._selected = tuple(selected)
        self._active = {at for at, job in enumerate(dag.jobs) if _takes_part(job, holds)}
        self._shared = {tidy(path) for path, _ in dag.shared_outputs}
        self._grows = any(job.rule.checkpoint_manifest for job in dag.jobs)
        self.warnings: dict[tuple[str, str], str] = {}

    def candidates(self) -> Iterator[Pipe]:
        """Yield the outputs that could stream, each looked at by itself."""
        jobs, selected = self._dag.jobs, set(self._selected)
        for at in self._selected:
            below = [to for to in self._dag.children[at] if to in self._active]
            if at not in self._active or not any(self._asks(at, to) for to in below):
                continue
            for path in self._renderer.outputs(jobs[at]):
                readers = [to for to in below if self._reads(to, path)]
                if not any(self._asks(at, to) for to in readers):
                    continue
                reason = self._obstacle(at, path, readers)
                if reason is not None:
                    self._warn(at, path, reason)
                elif readers[0] in selected:
                    yield Pipe(path, at, readers[0])

    def _asks(self, at: int, reader: int) -> bool:
        """True when `pipe` at one of its ends speaks of this edge."""
        if self._dag.jobs[at].rule.pipe:
            return True
        return self._dag.jobs[reader].rule.pipe and not self._dag.children[reader]

    def _reads(self, reader: int, path: str) -> str | None:
        """How a job reads a path: by its `name`, by a `pattern`, or not at all."""
        job, index = self._dag.jobs[reader], OutputIndex([(tidy(path), 0)])
        pattern = job.input.pattern
        for named in map(tidy, self._renderer.input_files(job)):
            if pattern is not None:
                if index.match_directory(named, pattern):
                    return "pattern"
            elif index.exact(named):
                return "name"
            elif index.match(named):
                return "pattern"
        return None

    def _obstacle(self, at: int, path: str, readers: Sequence[int]) -> str | None:
        """Why an output must be a file after all."""
        rule, first = self._dag.jobs[at].rule, self._dag.jobs[readers[0]].rule
        if len(readers) > 1:
            return "more than one job reads it"
        if self._reads(readers[0], path) == "pattern":
            return "it is read by a glob or as part of a directory"
        if not _is_plain(path):
            return "its path is no plain file below the working directory"
        if is_reference(rule):
            return "it is a reference"
        if tidy(path) in self._shared:
            return "several jobs write it"
        if path in self._renderer.protected(self._dag.jobs[at]):
            return "it is a protected output"
        if rule.optional or first.optional:
            return "its writer or reader is optional"
        if any(asks_files(each.when or "") for each in (rule, first)):
            return "a condition of its writer or reader asks for files"
        if self._grows and not self._dag.jobs[at].bindings:
            return "a checkpoint may bring further readers"
        return None

    def tangled(self, pipes: Sequence[Pipe], groups: Sequence[Group]) -> set[int]:
        """The members of groups that cannot start together, since a file stands between them."""
        group_of = {at: group for group in groups for at in group}
        streams: dict[tuple[int, int], set[str]] = {}
        for pipe in pipes:
            streams.setdefault((pipe.writer, pipe.reader), set()).add(pipe.path)
        bad = [
            group
            for group in groups
            for at in group
            for above in self._dag.parents[at]
            if above in group and self._waits(at, above, streams.get((above, at), set()))
        ]
        if not bad:
            parents = self._contracted(group_of)
            order = topological_order(parents, _turned(parents))
            if len(order) == len(parents):
                return set()
            bad = [group_of[at] for at in find_cycle(parents, order) if at in group_of]
        return self._give_up(pipes, groups, bad)

    def _waits(self, at: int, above: int, streams: set[str]) -> bool:
        """True when one member needs of another what does not stream."""
        outputs = self._renderer.outputs(self._dag.jobs[above])
        return not streams or any(p not in streams and self._reads(at, p) for p in outputs)

    def _give_up(
        self, pipes: Sequence[Pipe], groups: Sequence[Group], bad: Sequence[Group]
    ) -> set[int]:
        """Drop groups, and with them all of the same rules: they have the same trouble."""
        kinds = {self._rules(group) for group in bad}
        members = {at for group in groups if self._rules(group) in kinds for at in group}
        for pipe in pipes:
            if pipe.writer in members:
                self._warn(pipe.writer, pipe.path, _SHARED_FILES)
        return members

    def _rules(self, group: Group) -> frozenset[str]:
        return frozenset(self._dag.jobs[at].rule.name for at in group)

    def _contracted(self, group_of: Mapping[int, Group]) -> list[tuple[int, ...]]:
        """The parents of every job, those of a whole group at its first member."""
        found: list[set[int]] = [set() for _ in self._dag.jobs]
        first = {at: group[0] for at, group in group_of.items()}
        for at, parents in enumerate(self._dag.parents):
            here = first.get(at, at)
            found[here].update(first.get(above, above) for above in parents)
            found[here].discard(here)
        return [tuple(parents) for parents in found]

    def order(self, group_of: Mapping[int, Group]) -> tuple[int, ...]:
        """The selected jobs in an order in which nothing comes between the members of a group."""
        if not group_of:
            return self._selected
        parents = self._contracted(group_of)
        place = {at: number for number, at in enumerate(self._dag.order)}
        wanted = set(self._selected)
        order: list[int] = []
        for at in topological_order(parents, _turned(parents)):
            group = group_of.get(at, (at,))
            if at == group[0]:
                order += sorted(wanted.intersection(group), key=place.__getitem__)
        return tuple(order)

    def _warn(self, at: int, path: str, reason: str) -> None:
        rule = self._dag.jobs[at].rule.name
        self.warnings.setdefault(
            (rule, reason), f"rule '{rule}': '{path}' becomes a file and is no pipe: {reason}"
        )


def _takes_part(job: Job, holds: Holds) -> bool:
    return bool(job.shell or job.script) and (not job.rule.when or holds(job.rule.when))


def _turned(parents: Sequence[Sequence[int]]) -> list[list[int]]:
    children: list[list[int]] = [[] for _ in parents]
    for at, found in enumerate(parents):
        for above in found:
            children[above].append(at)
    return children


def _is_plain(path: str) -> bool:
    special = is_glob(path) or "{" in path or "://" in path
    return not special and not path.startswith("/") and not {"", ".."} & set(path.split("/"))
