"""Make a decided job ready to run: its commands as arguments, its limits, its directories.

Owns everything that can fail a job before its first command (spec/oxoflow-format.md 5.2, steps
5-12). Starts nothing and changes no file.
"""

from __future__ import annotations

from msgspec import Struct, field

from oxoflow.engine.deciding import Decision
from oxoflow.engine.masking import Mask
from oxoflow.engine.matching import tidy
from oxoflow.engine.outputs import refused
from oxoflow.engine.overlaps import filled_together
from oxoflow.engine.plan import Planner
from oxoflow.engine.products import is_protected
from oxoflow.engine.references import is_reference
from oxoflow.engine.render import Rendered
from oxoflow.environments.choice import choose_family, effective_environment
from oxoflow.environments.family import Command, Family, Setup, Site
from oxoflow.errors import RunError
from oxoflow.lang.danger import find_dangers
from oxoflow.lang.model import Environment, Job, Rule, Workflow
from oxoflow.lang.values import parse_duration


class Prepared(Struct, frozen=True):
    """A job as it will be started. Times in seconds, memory in MB."""

    rendered: Rendered
    argv: tuple[str, ...]
    shown_command: str  # without sensitive values
    pre_exec: tuple[str, ...] | None
    on_success: tuple[str, ...] | None
    on_failure: tuple[str, ...] | None
    timeout: float | None
    retry_delay: float
    parents: tuple[str, ...]  # files whose directories must be there
    setup: Setup | None = None  # the environment that must be there
    protected: tuple[str, ...] = ()  # outputs that nobody may overwrite
    kept: tuple[str, ...] = ()  # outputs that stay as they are when the job fails
    benchmark: str | None = None  # where the job's use of the machine is to be written


class Preparer(Struct):
    """Prepares the jobs of one run; any thread may ask."""

    workflow: Workflow
    planner: Planner
    site: Site
    timeout: float | None = None  # for rules without a time_limit of their own
    _families: dict[Environment, Family] = field(default_factory=dict)
    _limits: dict[int, tuple[float | None, float]] = field(default_factory=dict)
    mask: Mask = field(default_factory=lambda: Mask(()))
    _together: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.mask = self.planner.renderer.mask
        self._together = filled_together(self.planner.dag, self.workflow.config)

    def prepare(self, decision: Decision, memory_mb: int | None = None) -> Prepared:
        """Make a job ready; raises RunError or WorkflowError for one that must not start."""
        job, rule = decision.job, decision.job.rule
        for path in decision.outputs:
            words = refused(self.site.workdir, path)
            if words is not None and not is_reference(rule):
                raise RunError(f"rule '{rule.name}': {words}")
        rendered = self.planner.renderer.render(job, memory_mb=memory_mb)
        text = rendered.command or ""
        hooks = (rendered.pre_exec, rendered.on_success, rendered.on_failure)
        for danger in find_dangers("\n".join(filter(None, (text, *hooks)))):
            raise RunError(
                f"rule '{rule.name}': refused, '{danger.line}' {danger.effect}; rewrite the command"
            )
        family = self._family(rule)
        command = Command(
            text,
            rendered.prelude,
            rendered.env,
            bare=not any(hooks),
            memory_mb=rendered.memory_mb,
            scratch=rule.scratch or rule.shadow is not None,
        )
        timeout, delay = self._times(rule)
        protected = self._protected(job)
        files = rendered.outputs if rendered.log is None else (*rendered.outputs, rendered.log)
        if rule.output_pattern:
            files += self.planner.renderer.own_paths(job, (rule.output_pattern,))
        return Prepared(
            rendered=rendered,
            argv=family.argv(command),
            shown_command=self.mask.text(text),
            pre_exec=self._hook(rendered, rendered.pre_exec),
            on_success=self._hook(rendered, rendered.on_success),
            on_failure=self._hook(rendered, rendered.on_failure),
            timeout=timeout,
            retry_delay=delay,
            parents=files,
            setup=family.setup,
            protected=protected,
            kept=protected + self._shared(decision),
            benchmark=self._benchmark(job),
        )

    def _protected(self, job: Job) -> tuple[str, ...]:
        """The protected outputs; raises RunError when one is there and read-only."""
        protected = self.planner.renderer.protected(job)
        for path in protected:
            if is_protected(self.site.full(path)):
                raise RunError(
                    f"rule '{job.rule.name}': output '{path}' is protected and there already; "
                    "delete it or make it writable (chmod u+w) to have it made anew"
                )
        return protected

    def _shared(self, decision: Decision) -> tuple[str, ...]:
        """The directories among the outputs that hold what other jobs made, too."""
        if not self._together:
            return ()
        return tuple(path for path in decision.outputs if tidy(path) in self._together)

    def _benchmark(self, job: Job) -> str | None:
        if not job.rule.benchmark:
            return None
        (path,) = self.planner.renderer.own_paths(job, (job.rule.benchmark,))
        words = refused(self.site.workdir, path)
        if words is not None:
            raise RunError(f"rule '{job.rule.name}': benchmark: {words}")
        return path

    def _hook(self, rendered: Rendered, text: str | None) -> tuple[str, ...] | None:
        return None if text is None else self.site.shell.argv(rendered.with_prelude(text))

    def _family(self, rule: Rule) -> Family:
        environment = effective_environment(rule, self.workflow)
        family = self._families.get(environment)
        if family is None:
            try:
                family = choose_family(environment, self.site)
            except RunError as error:
                raise RunError(f"rule '{rule.name}': {error.message}") from error
            self._families[environment] = family
        return family

    def _times(self, rule: Rule) -> tuple[float | None, float]:
        """A rule's time limit and retry delay, read once; validation complains of bad ones."""
        known = self._limits.get(id(rule))
        if known is None:
            limit = _seconds(rule.resources.time_limit)
            known = (limit or self.timeout or None, _seconds(rule.retry_delay) or 0.0)
            self._limits[id(rule)] = known
        return known


def _seconds(text: str | None) -> float | None:
    try:
        return parse_duration(text) if text else None
    except ValueError:
        return None
