"""Turn a job's texts into the commands that run, and into the symbolic text of its key.

Owns the engine's placeholders (spec/oxoflow-format.md 2.2). Replaces known names only; every
other brace stays. Pure: whether programs exist is passed in.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from oxoflow.engine.configtext import ConfigTexts
from oxoflow.engine.interpreters import Interpreters
from oxoflow.engine.masking import Mask
from oxoflow.engine.matching import bare
from oxoflow.environments.variables import on_rule_path
from oxoflow.lang.model import FileSet, Job, Rule, Workflow
from oxoflow.lang.values import config_text, parse_memory
from oxoflow.lang.wildcards import substitute

_INDEXED = re.compile(r"\{(input|output)\[(\d{1,6})\]\}")
_NAMED = re.compile(r"\{(input|output)\.([\w-]+)\}")
_PARAM = re.compile(r"\{params\.([\w-]+)\}")


class Capacity(Protocol):
    """What the machine, or the pool that a run may use, offers."""

    @property
    def threads(self) -> int: ...

    @property
    def memory_mb(self) -> int: ...


class Rendered(Struct, frozen=True):
    """A job ready to run. Paths are as commands name them, relative to the working directory.

    `command` is None when the rule has nothing to run. `env` goes into the process environment.
    """

    command: str | None
    prelude: str
    env: Mapping[str, str]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    log: str | None
    pre_exec: str | None
    on_success: str | None
    on_failure: str | None
    threads: int
    memory_mb: int | None

    def composed(self) -> str:
        """Give the text for an environment that does not pass variables on (5.3): exports too."""
        exports = [f"export {key}={quote(value)}" for key, value in self.env.items()]
        return "\n".join([*exports, *filter(None, [self.prelude]), self.command or ""])

    def with_prelude(self, text: str) -> str:
        """Put the workflow's prelude above a command or hook (1.5)."""
        return f"{self.prelude}\n{text}" if self.prelude else text


def quote(text: str) -> str:
    """Quote a text for the shell, always in single quotes."""
    return "'" + text.replace("'", "'\\''") + "'"


def render_job(job: Job, workflow: Workflow, capacity: Capacity) -> Rendered:
    """Render one job; for many jobs of one workflow keep a `Renderer`."""
    return Renderer(workflow, capacity).render(job)


class Renderer:
    """Render the jobs of one workflow. Holds tables only, so threads may share it.

    `has_program` says whether a name is on PATH: scripts named `.py` fall back to python3.
    `workdir`, when given, makes inputs, scripts and logs of scratch rules absolute (5.8).
    """

    def __init__(
        self,
        workflow: Workflow,
        capacity: Capacity,
        *,
        workdir: str | None = None,
        has_program: Callable[[str], bool] = on_rule_path,
    ) -> None:
        self.texts = ConfigTexts(workflow.config)
        secret = {key for key, entry in workflow.declared.items() if entry.sensitive}
        self.secrets = {key: self.texts.value(key) for key in sorted(secret)}
        self._open_texts = (
            ConfigTexts({key: value for key, value in workflow.config.items() if key not in secret})
            if secret
            else self.texts
        )
        self.mask = Mask(self.secrets.values())
        self._capacity = capacity
        self._workdir = workdir
        self._prelude = (workflow.defaults.shell_prelude or "").strip("\n")
        self._interpreters = Interpreters(workflow.interpreter_map, has_program)

    def render(self, job: Job, *, memory_mb: int | None = None) -> Rendered:
        """Render every text of a job; `memory_mb` replaces its declared memory on a retry."""
        files = _Files(self.inputs(job), self.outputs(job))
        if self._workdir and job.rule.scratch:
            files = files.below(self._workdir)
        own = memory_mb if memory_mb is not None else declared_memory(job.rule)
        values = self._values(job, own, memory_mb)
        self.texts.require_defined(job.rule.name, command_texts(job))
        log = self._fill(job.log, job, files, values, None, self.texts) if job.log else None
        private = job.rule.scratch or job.rule.shadow is not None
        if log and self._workdir and private:
            log = _below(log, self._workdir)

        def fill(text: str | None) -> str | None:
            return self._fill(text, job, files, values, log, self.texts) if text else None

        script = fill(self._script(job, self._workdir if private else None))
        nothing = ":" if job.shell is not None and job.output.paths else None
        return Rendered(
            command="\n".join(filter(None, [fill(job.shell), script])) or nothing,
            prelude=self._prelude,
            env={key: self.texts.command(text) for key, text in job.rule.envvars.items()},
            inputs=files.inputs,
            outputs=files.outputs,
            log=log,
            pre_exec=fill(job.pre_exec),
            on_success=fill(job.on_success),
            on_failure=fill(job.on_failure),
            threads=declared_threads(job.rule),
            memory_mb=own,
        )

    def symbolic(self, job: Job) -> str:
        """Give the text that decides about a re-run: threads, memory and log stay placeholders.

        So do sensitive values, whose digests belong in the key beside it.
        """
        if self._is_plain(job):
            return job.shell or ""
        files = _Files(self.inputs(job), self.outputs(job))
        texts = self._open_texts
        filled = [
            self._fill(text, job, files, {}, None, texts)
            for text in (job.pre_exec, job.shell, self._script(job))
            if text
        ]
        return "\n".join([self._prelude, *filled] if self._prelude else filled)

    def masked(self, text: str) -> str:
        """Hide sensitive values in a text that is stored or shown (5.11)."""
        return self.mask.text(text)

    def symbolic_env(self, rule: Rule) -> dict[str, str]:
        """Give a rule's envvars with sensitive values left out."""
        return {key: self._open_texts.command(text) for key, text in rule.envvars.items()}

    def inputs(self, job: Job) -> tuple[str, ...]:
        """Give the input paths as commands name them."""
        return self._paths(job.input, self.texts.command)

    def outputs(self, job: Job) -> tuple[str, ...]:
        """Give the output paths as commands name them."""
        return self._paths(job.output, self.texts.path)

    def output_files(self, job: Job) -> tuple[str, ...]:
        """Give the outputs as files; one that came out empty is none, never the directory."""
        return _below_the_directory(self.outputs(job))

    def input_files(self, job: Job) -> tuple[str, ...]:
        """Give the input paths as they are looked for on the disk; one that came out empty is none.

        So does a rule declare an input that only some values of a config key name.
        """
        paths = self._paths(job.input, self.texts.path)
        return tuple(filter(None, paths)) if "" in paths else paths

    def own_paths(self, job: Job, patterns: Sequence[str]) -> tuple[str, ...]:
        """Give paths that a rule names besides its files, with wildcards and config filled in."""
        if not patterns:
            return ()
        bindings = dict(job.bindings)
        return tuple([self.texts.path(substitute(path, bindings)) for path in patterns])

    def protected(self, job: Job) -> tuple[str, ...]:
        """Give `protected_output` filled in, each path as the output is spelled that it means."""
        named = self.own_paths(job, job.rule.protected_output)
        if not named:
            return ()
        spelled = {bare(path): path for path in self.output_files(job)}
        return tuple([spelled.get(bare(path), path) for path in named])

    def temporaries(self, job: Job) -> tuple[str, ...]:
        """Give `temp_output` with wildcards and config filled in (S9)."""
        return _below_the_directory(self.own_paths(job, job.rule.temp_output))

    def _is_plain(self, job: Job) -> bool:
        """Say whether a job's shell text is all there is, without any placeholder."""
        return not (
            job.script or job.pre_exec or self._prelude or job.shell is None or "{" in job.shell
        )

    def _paths(self, files: FileSet, expand: Callable[[str], str]) -> tuple[str, ...]:
        for path in files.paths:
            if "{" in path:
                return tuple([expand(path) for path in files.paths])
        return files.paths

    def _script(self, job: Job, workdir: str | None = None) -> str | None:
        if not job.script:
            return None
        interpreter = self._interpreters.choose(job.script, job.rule.interpreter)
        script = _below(job.script, workdir) if workdir else job.script
        return f"{interpreter} {script}" if interpreter else script

    def _values(self, job: Job, own_mb: int | None, grown_mb: int | None) -> dict[str, str]:
        """Give the placeholders that stay symbolic in the key."""
        threads = declared_threads(job.rule)
        machine = self._capacity
        values = {
            "{threads}": str(threads),
            "{effective_threads}": str(max(1, min(threads, machine.threads))),
            "{effective_memory_mb}": str(min(own_mb or machine.memory_mb, machine.memory_mb)),
        }
        memory = job.rule.memory or job.rule.resources.memory
        if memory:
            values["{memory}"] = memory if grown_mb is None else f"{grown_mb}M"
        return values

    def _fill(
        self,
        text: str,
        job: Job,
        files: _Files,
        values: Mapping[str, str],
        log: str | None,
        config: ConfigTexts,
    ) -> str:
        """Run the passes of 2.2 in their order; a later pass sees what an earlier one put in."""
        if "{" not in text:
            return text
        if log is not None and "{log" in text:
            text = text.replace("{log}", log).replace("{log[0]}", log)
        if "{output" in text:
            text = _fill_files(text, "output", files.outputs, job.output.names)
        if "{input" in text:
            text = _fill_files(text, "input", files.inputs, job.input.names)
        for placeholder, value in values.items():
            text = text.replace(placeholder, value)
        if "{params." in text:
            text = _fill_params(text, job)
        return config.command(text)


class _Files(Struct, frozen=True):
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def below(self, workdir: str) -> _Files:
        return _Files(tuple(_below(path, workdir) for path in self.inputs), self.outputs)


def _below(path: str, workdir: str) -> str:
    return path if path.startswith("/") else f"{workdir}/{path}"


def _fill_files(text: str, word: str, paths: tuple[str, ...], names: tuple[str, ...]) -> str:
    text = text.replace("{" + word + "}", " ".join(paths))
    if "{" + word + "[" in text:
        text = _INDEXED.sub(
            lambda match: (
                paths[int(match[2])]
                if match[1] == word and int(match[2]) < len(paths)
                else match[0]
            ),
            text,
        )
    if names and "{" + word + "." in text:
        named = dict(zip(names, paths, strict=False))
        text = _NAMED.sub(
            lambda match: named.get(match[2], match[0]) if match[1] == word else match[0], text
        )
    return text


def _fill_params(text: str, job: Job) -> str:
    """Put the rule's params in, with the job's own wildcards filled: `rg = "ID:{sample}"`."""
    params, bindings = job.rule.params, dict(job.bindings)
    return _PARAM.sub(
        lambda match: (
            substitute(config_text(params[match[1]]), bindings) if match[1] in params else match[0]
        ),
        text,
    )


def command_texts(job: Job) -> tuple[tuple[str, str | None], ...]:
    """Give the texts of a job that are rendered, with the fields they stand in."""
    return (
        ("shell", job.shell),
        ("script", job.script),
        ("log", job.log),
        ("pre_exec", job.pre_exec),
        ("on_success", job.on_success),
        ("on_failure", job.on_failure),
    )


def declared_threads(rule: Rule) -> int:
    """Give the threads that a rule asks for, at least 1 (1.8, 1.10)."""
    return max(1, rule.threads or rule.resources.threads or 1)


def declared_memory(rule: Rule) -> int | None:
    """Give the megabytes that a rule asks for; None when unset or unreadable (1.10)."""
    text = rule.memory or rule.resources.memory
    if not text:
        return None
    try:
        return parse_memory(text)
    except ValueError:
        return None


def _below_the_directory(paths: tuple[str, ...]) -> tuple[str, ...]:
    """Drop what means the working directory itself, as a path that came out empty does."""
    for path in paths:
        if not path.strip("./"):
            return tuple([path for path in paths if posixpath.normpath(path) != "."])
    return paths
