"""Find the circles of a workflow that cannot be made into jobs as a whole.

Owns what is certain then: circles among the rules that could be read, of jobs when there are jobs,
else of the rules as they are written. What is found is told; nothing here plans or runs.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from oxoflow.engine.configtext import ConfigTexts
from oxoflow.engine.dag import build_dag
from oxoflow.errors import Diagnostic, GraphError, WorkflowError
from oxoflow.lang.condition import tests_wildcards
from oxoflow.lang.deadline import Deadline
from oxoflow.lang.expand import expand
from oxoflow.lang.gaps import WHOLE
from oxoflow.lang.latepattern import late
from oxoflow.lang.model import FileSet, Job, Rule, Workflow
from oxoflow.lang.view import FileView

# The keys that decide which jobs a rule has and what they read and write.
_SHAPING = frozenset(
    (
        "input",
        "output",
        "output_pattern",
        "expand_inputs",
        "input_groups",
        "scatter",
        "transform",
        "when",
        "shell",
        "script",
    )
)
_CODES = ("E006", "E016")  # a circle or too many edges, two jobs of one name
_BRACES = late(r"\{([^{}]*)\}")
_OPEN, _CLOSE = "\x03", "\x04"  # stand for the braces of a wildcard that is not filled in
_WRITTEN = str.maketrans({_OPEN: "{", _CLOSE: "}"})


def certain_circles(
    workflow: Workflow, view: FileView, deadline: Deadline | None = None
) -> list[Diagnostic]:
    """Give the circles among the sound rules of a composed workflow, and jobs of one name."""
    lost = workflow.gaps.keys
    sound = [rule for rule in workflow.rules if _SHAPING.isdisjoint(lost.get(rule.name, ()))]
    found: list[Diagnostic] = []
    if not workflow.gaps.sources:
        try:
            jobs = expand(replace(workflow, rules=tuple(sound)), view, deadline)
            return circles_among(workflow, jobs)
        except WorkflowError as error:
            found += _of_the_graph(error)
    try:
        return found + circles_among(workflow, expand(_unfilled(workflow, sound), view))
    except WorkflowError as error:
        return found + _of_the_graph(error)


def circles_among(workflow: Workflow, jobs: Sequence[Job]) -> list[Diagnostic]:
    """Give the circles of jobs of which some may wait for what is not there."""
    try:
        build_dag(
            with_known_names(jobs),
            execution_groups=workflow.execution_groups,
            config=workflow.config,
            limits=workflow.limits,
        )
    except GraphError as error:
        return _of_the_graph(error)
    return []


def _of_the_graph(error: WorkflowError) -> list[Diagnostic]:
    """Give what an exception says of the graph, with wildcards as they are written."""
    return [
        replace(each, message=each.message.translate(_WRITTEN))
        for each in error.diagnostics
        if each.code in _CODES
    ]


def with_known_names(jobs: Sequence[Job]) -> list[Job]:
    """Give the jobs without what they depend on and nobody is called."""
    names = {job.name for job in jobs}
    return [
        replace(job, depends_on=tuple([name for name in job.depends_on if name in names]))
        if not names.issuperset(job.depends_on)
        else job
        for job in jobs
    ]


def _unfilled(workflow: Workflow, rules: Sequence[Rule]) -> Workflow:
    """Let every rule be one job, in which a wildcard is part of the path, the same for all."""
    texts = ConfigTexts(workflow.config)
    plain = [
        replace(
            rule,
            input=_literal(rule.input, texts),
            output=_literal(rule.output, texts),
            when=None,
        )
        for rule in rules
        if not (rule.output_pattern or rule.expand_inputs or rule.input_groups)
        and not (rule.scatter or rule.transform)
        and not (rule.when and tests_wildcards(rule.when))
    ]
    return replace(
        workflow,
        rules=tuple(plain),
        pairs=(),
        groups=(),
        values=(),
        constraints={},
        metadata={},
        gaps=WHOLE,
    )


def _literal(files: FileSet, texts: ConfigTexts) -> FileSet:
    paths = [_BRACES.sub(rf"{_OPEN}\1{_CLOSE}", texts.path(path)) for path in files.paths]
    return replace(files, paths=tuple(paths))
