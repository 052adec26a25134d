"""Know the outputs of rules whose jobs an `output_pattern` has yet to call for.

Owns what a run may still make although no job for it is planned: a later form of the format lets
files decide, while the run goes on, which jobs there are. Pure; reads the texts of rules only.
"""

from __future__ import annotations

from collections.abc import Callable

from oxoflow.engine.dag import Dag
from oxoflow.engine.matching import template_fits, tidy
from oxoflow.lang.model import Rule, Workflow
from oxoflow.lang.wildcards import PAIR_NAMES, PLACEHOLDER, SAMPLE_NAMES


class LateRules:
    """The rules of a workflow without jobs that read a wildcard which only files give values to.

    False when there are none, as in every workflow without an `output_pattern`.
    """

    def __init__(self, workflow: Workflow, dag: Dag, expand: Callable[[str], str]) -> None:
        self._shapes: list[list[str]] = []
        patterns = [rule.output_pattern for rule in workflow.rules if rule.output_pattern]
        if not patterns:
            return
        known = {*SAMPLE_NAMES, *PAIR_NAMES, *(table.name for table in workflow.values)}
        fresh = {name for text in patterns for name in PLACEHOLDER.findall(text)} - known
        with_jobs = {job.rule.name for job in dag.jobs}
        for rule in workflow.rules:
            if rule.name not in with_jobs and not fresh.isdisjoint(_placeholders(rule)):
                paths = [tidy(expand(path)) for path in rule.output.paths]
                self._shapes += [PLACEHOLDER.sub("\0", path).split("\0") for path in paths]

    def __bool__(self) -> bool:
        return bool(self._shapes)

    def may_make(self, path: str) -> bool:
        """Say whether a job to come may write this path, or a file that this glob finds."""
        path = tidy(path)
        return any(
            template_fits(shape, path) if len(shape) > 1 else shape == [path]
            for shape in self._shapes
        )


def _placeholders(rule: Rule) -> list[str]:
    texts = (*rule.input.paths, *rule.output.paths, rule.shell or "")
    return [name for text in texts for name in PLACEHOLDER.findall(text)]
