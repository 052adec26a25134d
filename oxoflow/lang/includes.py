"""Bring the rules and config of included files into the workflow that names them.

Owns spec/oxoflow-format.md 1.7 and 3.4 for local files: namespaces, precedence, params, contracts.
Files are seen through the view only; what leaves its root is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from oxoflow.errors import Diagnostic, ParseError
from oxoflow.lang.configrefs import fill, settle
from oxoflow.lang.declared import split_config
from oxoflow.lang.faults import UNUSABLE, error
from oxoflow.lang.gaps import UNREAD, WHOLE, Gaps, is_mark, spoken, together
from oxoflow.lang.model import Include, Module, Rule, Workflow
from oxoflow.lang.nearest import most_alike
from oxoflow.lang.parse import decode_text, read_workflow
from oxoflow.lang.paths import beside, leaves_root, parent, stem
from oxoflow.lang.positions import locate
from oxoflow.lang.values import config_text
from oxoflow.lang.view import NOTHING, FileView
from oxoflow.limits import Limits

_REMOTE = ("http://", "https://")


class _Loading(Struct):
    """What one composition carries through its includes: the view, the findings, the files."""

    view: FileView
    root: str  # the directory of the workflow file, which no include may leave
    limits: Limits
    problems: list[Diagnostic] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    parsed: dict[str, Workflow | None] = field(default_factory=dict)
    count: int = 0

    def complain(self, file: str | None, problem: Diagnostic) -> None:
        """Keep a finding about a file, with its place; None is the workflow's own."""
        if file is not None:
            [problem] = locate(self.texts.get(file, ""), [problem])
        self.problems.append(replace(spoken(problem), file=file))


def resolve_includes(
    workflow: Workflow, view: FileView, directory: str
) -> tuple[Workflow, list[Diagnostic]]:
    """Merge every include, nested ones first, and give what could not be merged.

    A view that sees nothing leaves the includes unresolved, which is not an error: what they bring
    is not known then.
    """
    if not workflow.includes:
        return workflow, []
    if view is NOTHING:
        unread = [UNREAD.of_module(_prefix(include)) for include in workflow.includes]
        return replace(workflow, gaps=together([workflow.gaps, *unread])), []
    loading = _Loading(view, directory, workflow.limits)
    merged = _merge_all(workflow, "", ("this file",), loading)
    for file, problem in _broken_promises(merged):
        loading.complain(file, problem)
    if not loading.problems:
        merged = replace(merged, warnings=(*merged.warnings, *_undeclared_reads(merged)))
    return merged, loading.problems


def _merge_all(
    workflow: Workflow, directory: str, trail: tuple[str, ...], loading: _Loading
) -> Workflow:
    file = trail[-1] if len(trail) > 1 else None
    for entry, include in enumerate(workflow.includes):
        if is_mark(include.path):  # that its path cannot be read is told
            continue
        found = _load(include, directory, trail, loading)
        if isinstance(found, str):
            loading.complain(file, error(UNUSABLE, found, key=f"include.{entry}.path"))
        if isinstance(found, str) or found is None:
            unread = UNREAD.of_module(_prefix(include))
            workflow = replace(workflow, gaps=together([workflow.gaps, unread]))
        else:
            path, written = found
            module = _merge_all(written, parent(path), (*trail, path), loading)
            record = Module(
                include.name or stem(path),
                path,
                inputs=include.inputs,
                outputs=include.outputs,
                entry=entry,
                within=file,
                text=loading.texts[path],
                document=written.document,
                written={rule.name: rule.name for rule in written.rules},
            )
            workflow = _merge(workflow, include, module, record)
    return workflow


def _load(
    include: Include, directory: str, trail: tuple[str, ...], loading: _Loading
) -> tuple[str, Workflow] | str | None:
    """Give the parsed file and its path, or what is wrong; None when that was said before."""
    written = include.path
    if include.repo or written.startswith(_REMOTE):
        return (
            f"include '{include.repo or written}' is remote, and only local files are included; "
            "download it next to the workflow and include the copy"
        )
    path = beside(directory, written)
    if leaves_root(path):
        return (
            f"include '{written}' points outside the workflow's directory; copy the file into it "
            "and include it by a relative path"
        )
    if path in trail[1:] or len(trail) > loading.limits.include_depth:
        chain = " → ".join([*trail, path][-6:])
        return (
            f"include '{written}' is nested too deep or circular ({chain}); the depth limit is "
            f"{loading.limits.include_depth}; remove one include of the circle"
        )
    loading.count += 1
    most = loading.limits.includes
    if loading.count > most:
        return f"more than {most} files are included; include each file once"
    if path not in loading.parsed:
        loading.parsed[path] = None
        data = loading.view.read(beside(loading.root, path))
        if data is None:
            where = f" (looked for '{path}')" if path != written else ""
            if loading.view.exists(beside(loading.root, path)):
                return f"include '{written}' is no file that can be read; name a workflow file"
            return f"include '{written}' is not there{where}; {_cure(path, directory, loading)}"
        loading.parsed[path] = _parse(path, data, loading)
    module = loading.parsed[path]
    return (path, module) if module else None


def _cure(path: str, directory: str, loading: _Loading) -> str:
    """Name the file that is probably meant, if the directory has one that is called like it."""
    folder = beside(loading.root, parent(path))
    there = loading.view.glob(f"{folder}/*.oxoflow" if folder else "*.oxoflow")
    near = most_alike(path.rpartition("/")[2], [name.rpartition("/")[2] for name in there])
    if near is None:
        return "correct the path"
    found = beside(parent(path), near)
    return f"did you mean '{found.removeprefix(directory + '/') if directory else found}'?"


def _parse(path: str, data: bytes, loading: _Loading) -> Workflow | None:
    try:
        loading.texts[path] = decode_text(data)
        workflow, faults = read_workflow(loading.texts[path], loading.limits, path)
    except ParseError as failure:
        workflow, faults = None, list(failure.diagnostics)
    for fault in faults:
        if workflow is None or fault.code != "E002":  # the rules that count are looked at later
            loading.complain(path, fault)
    return workflow


def _merge(host: Workflow, include: Include, module: Workflow, record: Module) -> Workflow:
    """Append what the host does not have: the host wins, then params, then the module (3.4)."""
    own = {rule.name for rule in module.rules}
    prefix = _prefix(include)
    gaps = module.gaps
    rules = [_prefixed(r, prefix, own, gaps) for r in module.rules] if prefix else module.rules
    present = {rule.name for rule in host.rules}
    params, declared_params = split_config(include.params)
    plain = {**params, **host.config}
    config: dict[str, Any] = {**module.config, **plain}
    declared = {**module.declared, **declared_params, **host.declared}
    for key in declared_params:
        plain.pop(key, None) if key not in host.config else None
    record = replace(record, rules=tuple([rule.name for rule in module.rules]))
    modules = [_as_merged(each, prefix, present) for each in (record, *module.modules)]
    return replace(
        host,
        rules=(*host.rules, *_first_of_each(rules, present)),
        config=config,
        declared={k: d for k, d in declared.items() if k in host.declared or k not in plain},
        modules=(*host.modules, *modules),
        gaps=_gaps(host, module, prefix),
        warnings=(*host.warnings, *module.warnings),
    )


def _prefix(include: Include) -> str:
    return f"{include.namespace}::" if include.namespace else ""


def _gaps(host: Workflow, module: Workflow, prefix: str) -> Gaps:
    if module.gaps is WHOLE:
        return host.gaps
    return together([host.gaps, module.gaps.of_module(prefix)])


def _as_merged(module: Module, prefix: str, present: Collection[str]) -> Module:
    """Name a module's rules as the host does, and forget the places of those it has already."""
    names = {prefix + name: own for name, own in module.written.items()}
    return replace(
        module,
        rules=tuple([prefix + name for name in module.rules]),
        written={name: own for name, own in names.items() if name not in present},
    )


def _first_of_each(rules: Iterable[Rule], present: set[str]) -> Iterable[Rule]:
    for rule in rules:
        if rule.name not in present:
            present.add(rule.name)
            yield rule


def _prefixed(rule: Rule, prefix: str, own: set[str], gaps: Gaps) -> Rule:
    """Rename a rule and what it calls by name inside its own file: `ns::name` is tried first.

    What the file may lack by its `gaps` counts as its own, so that nobody misses it.
    """

    def named(name: str) -> str:
        return prefix + name if name in own or gaps.may_name(name) else name

    scatter = rule.scatter
    if scatter and scatter.gather:
        scatter = replace(scatter, gather=named(scatter.gather))
    return replace(
        rule,
        name=prefix + rule.name,
        depends_on=tuple([named(name) for name in rule.depends_on]),
        extends=named(rule.extends) if rule.extends else None,
        scatter=scatter,
    )


def _broken_promises(workflow: Workflow) -> Iterator[tuple[str | None, Diagnostic]]:
    """Check the contracts of 1.7: inputs made by somebody, outputs made by the module itself.

    Nothing is said where there may be outputs that are not known. Each problem comes with the
    included file that holds the contract, None for the workflow.
    """
    if workflow.gaps.outputs:
        return
    texts = _contract_texts(workflow)
    outputs = {
        rule.name: {*rule.output.paths, *[fill(path, texts) for path in rule.output.paths]}
        for rule in workflow.rules
    }
    made = {path for paths in outputs.values() for path in paths}
    made |= {fill(reference.output, texts) for reference in workflow.references}
    for module in workflow.modules:
        own = {path for name in module.rules for path in outputs.get(name, ())}
        for at, path in enumerate(module.inputs):
            if "{" not in path and path not in made:
                key = f"include.{module.entry}.inputs.{at}"
                message = f"module '{module.name}' needs '{path}', which no rule makes"
                hint = "add a rule with that output, or correct the include's inputs"
                yield module.within, error(UNUSABLE, message, key=key, suggestion=hint)
        for at, path in enumerate(module.outputs):
            if "{" not in path and path not in own:
                key = f"include.{module.entry}.outputs.{at}"
                message = f"module '{module.name}' promises '{path}', which none of its rules makes"
                hint = "correct the include's outputs"
                yield module.within, error(UNUSABLE, message, key=key, suggestion=hint)


def _contract_texts(workflow: Workflow) -> Mapping[str, str]:
    """Give what the config fills into outputs before contracts name them, if there are any."""
    if not any(module.inputs or module.outputs for module in workflow.modules):
        return {}
    return settle({key: config_text(value) for key, value in workflow.config.items()})


def _undeclared_reads(workflow: Workflow) -> Iterable[str]:
    """Name the module files that other rules read although the contract does not list them."""
    rules = {rule.name: rule for rule in workflow.rules}
    texts = _contract_texts(workflow)
    for module in workflow.modules:
        if not module.outputs:
            continue
        inside = set(module.rules)
        public = {fill(path, texts) for path in module.outputs}
        made = {path for name in inside if name in rules for path in rules[name].output.paths}
        private = {path for path in made if fill(path, texts) not in public}
        for rule in workflow.rules:
            if rule.name not in inside:
                for path in sorted(private.intersection(rule.input.paths)):
                    yield (
                        f"rule '{rule.name}' reads '{path}' of module '{module.name}', which its "
                        "contract does not list under outputs"
                    )
