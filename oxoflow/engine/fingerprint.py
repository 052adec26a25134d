"""Give a job its key: what decides, by content, whether its result is still the right one.

Owns what goes into a key and its parts (design, section 5), and the comparison of two sets of
parts. Threads, memory, log and scratch paths are not in it; sensitive values only as digests.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from msgspec import Struct

from oxoflow.engine.awaiting import Awaiting
from oxoflow.engine.dag import Dag
from oxoflow.engine.files import MISSING, WorkFiles
from oxoflow.engine.jsontext import to_json
from oxoflow.engine.matching import bare, glob_pattern, is_glob
from oxoflow.engine.pipes import Pipes
from oxoflow.engine.records import Known
from oxoflow.engine.render import Renderer
from oxoflow.lang.model import Environment, EnvironmentKind, Job, Workflow
from oxoflow.lang.values import config_text

TO_COME = "not made yet"
CHANGED = "changed while the job ran"
AWAITED = "depends_on "  # before the name of a job that is waited for
STREAMED = "pipe "  # before the key of the job that streams an input
_WITH_SPEC_FILE = frozenset(
    {
        EnvironmentKind.CONDA,
        EnvironmentKind.MAMBA,
        EnvironmentKind.PIXI,
        EnvironmentKind.SINGULARITY,
    }
)


class Streamed(Struct, frozen=True):
    """An input that is a pipe: its content is what this job makes of its own inputs."""

    job: Job
    outputs: tuple[str, ...]
    inputs: Inputs


# A digest, the file as it was, to be read later, or who streams it.
Inputs = dict[str, str | os.stat_result | Streamed]


class Fingerprint(Struct, frozen=True):
    """A key, its static half (everything but the inputs), and its parts as JSON."""

    key: str
    static: str
    parts: str


class Difference(Struct, frozen=True):
    """One part of a key that differs; None stands for absent."""

    part: str
    old: str | None
    new: str | None


class Fingerprinter:
    """Compute the keys of one workflow's jobs. Safe to share between threads."""

    def __init__(
        self,
        workflow: Workflow,
        renderer: Renderer,
        files: WorkFiles,
        dag: Dag,
        pipes: Pipes,
        known: Mapping[str, Known],
        removed: Collection[str] = (),
    ) -> None:
        self.awaiting = Awaiting(dag, renderer, known)
        self._dag = dag
        self._pipes = pipes
        self._renderer = renderer
        self._files = files
        self._workflow = workflow
        self._environments: dict[Environment, str] = {}
        self._of_rule: dict[int | None, tuple[str, ...]] = {}
        self._removed = removed  # temporary files that are gone: a glob still means them
        self._secrets = {key: _sha(value) for key, value in renderer.secrets.items()}

    def static(self, job: Job, outputs: tuple[str, ...]) -> str:
        """Digest everything that decides about a job except its inputs."""
        rule = job.rule
        # rules without any of these share one entry
        mark = id(rule) if rule.envvars or rule.when or rule.environment else None
        shared = self._of_rule.get(mark)
        if shared is None:
            env = sorted(self._renderer.symbolic_env(rule).items()) if rule.envvars else []
            shared = (repr(env), rule.when or "", self._environment(rule.environment))
            if self._is_settled(rule.environment):
                self._of_rule[mark] = shared
        script = self._script_digest(job) if job.script else ""
        secrets = self._secrets_used(job) if self._secrets else ""
        text = (self._renderer.symbolic(job), *shared, script, secrets, *outputs)
        return _sha("\x1f".join(text))

    def inputs(self, job: Job, outputs: tuple[str, ...], *, lazy: bool = False) -> Inputs:
        """Give every input file with its digest; with `lazy`, big reads are put off.

        A glob or a declared directory stands for the files that match, without the job's own
        outputs among them. What still holds a placeholder, or is remote, is not looked at.
        """
        found: Inputs = {}
        if not job.input.paths:
            return found
        files, ancient = self._files, _ancient(job)
        own = (*outputs, job.log) if job.log else outputs
        for path in self.input_paths(job, outputs):
            source = self._source(path, job)
            if source is not None:
                found[path] = self._streamed(source, lazy)
            elif path in ancient:
                found[path] = "ancient"
            elif "{" in path or "://" in path:
                found[path] = "not looked at"
            elif lazy:
                found[path] = files.identify(path, own)
            else:
                found[path] = files.digest(path, without=own)
        return found

    def outputs(self, index: int) -> tuple[str, ...]:
        """Give the files that a job makes: its outputs without those that are pipes."""
        outputs = self._renderer.output_files(self._dag.jobs[index])
        if index not in self._pipes.of_job:
            return outputs
        written = self._pipes.written(index)
        return tuple(path for path in outputs if path not in written)

    def _source(self, path: str, job: Job) -> int | None:
        pipes = self._pipes
        return pipes.source(path, self._dag.index[job.name]) if pipes.of_job else None

    def _streamed(self, source: int, lazy: bool) -> Streamed:
        job, outputs = self._dag.jobs[source], self.outputs(source)
        return Streamed(job, outputs, self.inputs(job, outputs, lazy=lazy))

    def input_paths(self, job: Job, outputs: tuple[str, ...]) -> Iterator[str]:
        """Yield the files that inputs mean now; a glob without any file stands for itself."""
        paths = self._renderer.input_files(job)
        if job.input.pattern is not None:
            paths = tuple([f"{path.rstrip('/')}/{job.input.pattern}" for path in paths])
        for path in paths:
            if is_glob(path) and "{" not in path and not self._files.exists(path):
                found = [each for each in self._glob(path) if each not in outputs]
                yield from found or [path]
            else:
                yield path

    def named_inputs(self, job: Job, parts: str | None) -> dict[str, str]:
        """Give the inputs by name while they are to be made, those of old parts as they were.

        Which files a glob or a directory will mean is not known before.
        """
        before: dict[str, str] = json.loads(parts).get("input", {}) if parts else {}
        paths = self._renderer.input_files(job)
        if job.input.pattern is not None or any(map(is_glob, paths)):
            return before
        return {path: before.get(path, TO_COME) for path in paths}

    def _glob(self, path: str) -> list[str]:
        """Give the files that a glob means: those that are there, and those deleted on purpose."""
        found, pattern = self._files.glob(path), glob_pattern(bare(path))
        if not self._removed or pattern is None:
            return found
        lead = "./" if path.startswith("./") else ""
        gone = [lead + each for each in self._removed if pattern.match(each)]
        return sorted({*found, *gone})

    def settled(self, inputs: Inputs) -> dict[str, str]:
        """Read what was put off; a file that is no longer what it was says so instead."""
        digests: dict[str, str] = {}
        for path, known in inputs.items():
            if isinstance(known, str):
                digests[path] = known
            elif isinstance(known, Streamed):
                key = self.fingerprint(known.job, known.outputs, known.inputs).key
                digests[path] = STREAMED + key
            else:
                now = self._files.status(path)
                digest = self._files.digest(path, now)
                digests[path] = digest if now is not None and _same_file(known, now) else CHANGED
        return digests

    def fingerprint(self, job: Job, outputs: tuple[str, ...], inputs: Inputs) -> Fingerprint:
        """Give the key of a job with its parts, reading what was put off."""
        digests = self.settled(inputs)
        static = self.static(job, outputs)
        parts = self.parts(job, outputs, digests)
        return Fingerprint(self.key(job, static, digests), static, to_json(parts))

    def key(self, job: Job, static: str, digests: Mapping[str, str]) -> str:
        """Give a job's key from its static half, its inputs, and what it waits for."""
        return _whole_key(static, digests, self.awaiting.keys(job))

    def waits_for_less(
        self, job: Job, static: str, digests: Mapping[str, str], known: str, parts: str | None
    ) -> bool:
        """Say whether a key differs from a known one only in jobs that it waits for no longer.

        Or in their order. Nothing new came of that: what they made was there then, too.
        """
        before: Mapping[str, str] = json.loads(parts or "{}").get("depends_on", {})
        now = self.awaiting.keys(job)
        if any(before.get(name) != key for name, key in now.items()):
            return False
        return bool(before) and _whole_key(static, digests, before) == known

    def parts(
        self, job: Job, outputs: tuple[str, ...], inputs: Mapping[str, str]
    ) -> dict[str, Any]:
        """Give the parts of a key by name, for people: what `differences` compares."""
        rule = job.rule
        parts: dict[str, Any] = {
            "command": self._renderer.symbolic(job),
            "when": rule.when,
            "environment": self._environment(rule.environment),
            "script": self._script_digest(job) if job.script else None,
            "params": {key: config_text(value) for key, value in rule.params.items()},
            "config": self._config_used(job),
            "envvars": self._renderer.symbolic_env(rule),
            "output": list(outputs),
            "input": dict(inputs),
            "depends_on": dict(self.awaiting.keys(job)),
        }
        return {name: value for name, value in parts.items() if value}

    def reads_secrets(self, job: Job) -> bool:
        """True for a job that reads a sensitive value in any of its texts."""
        if not self._secrets:
            return False
        return any(key in self._secrets for key in self._renderer.texts.keys_read(_texts(job)))

    def _config_used(self, job: Job) -> dict[str, str]:
        texts = self._renderer.texts
        return {
            key: f"sha256:{self._secrets[key]}" if key in self._secrets else texts.value(key)
            for key in texts.keys_read(_texts(job))
        }

    def _secrets_used(self, job: Job) -> str:
        used = self._renderer.texts.keys_read(_texts(job))
        return repr([(key, self._secrets[key]) for key in used if key in self._secrets])

    def _script_digest(self, job: Job) -> str:
        """Give a script's path and content; a script that is no file counts as its text."""
        words = self._renderer.texts.command(job.script or "").split(None, 1)
        if not words or "{" in words[0]:
            return ""
        digest = self._files.digest(words[0])
        return "" if digest == MISSING else f"{words[0]} {digest}"

    def _environment(self, environment: Environment | None) -> str:
        if environment is None or environment.kind is EnvironmentKind.SYSTEM:
            return ""
        known = self._environments.get(environment)
        if known is None:
            known, whole = self._describe(environment)
            if whole:
                self._environments[environment] = known
        return known

    def _is_settled(self, environment: Environment | None) -> bool:
        """False while a definition may still grow (`_describe`)."""
        grows = environment is not None and environment.kind is EnvironmentKind.PIXI
        return not grows or environment in self._environments

    def _describe(self, environment: Environment) -> tuple[str, bool]:
        """Name an environment by its definition: kind, spec, and the content of its files.

        The second is false while part of it is not there: pixi makes its lock file itself.
        """
        kind = environment.kind
        words = [kind.value, environment.spec, *environment.modules]
        words += [word for word in (environment.prefix, environment.requirements) if word]
        path = ""
        if kind in _WITH_SPEC_FILE:
            path = environment.spec
        elif kind is EnvironmentKind.VENV:
            path = environment.requirements or "requirements.txt"
        paths = [path] if path and "://" not in path else []
        if kind is EnvironmentKind.PIXI:
            paths.append(posixpath.join(posixpath.dirname(path), "pixi.lock"))
        digests = [self._files.digest(path) for path in paths]
        present = [digest for digest in digests if digest != MISSING]
        return " ".join([*words, *present]), kind is not EnvironmentKind.PIXI or len(present) == 2


def _whole_key(static: str, digests: Mapping[str, str], awaited: Mapping[str, str]) -> str:
    if awaited:
        digests = {**digests, **{f"{AWAITED}{name}": key for name, key in awaited.items()}}
    return key_of(static, digests)


def key_of(static: str, inputs: Mapping[str, str]) -> str:
    """Give the key from its static half and the digests of the inputs, in their order."""
    if not inputs:
        return static
    return _sha(static + "\x1f".join([f"{path}\x1f{digest}" for path, digest in inputs.items()]))


def differences(old: str | None, after: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Say which parts differ from stored ones, tables entry by entry (`config.q`, `input.a`)."""
    before = json.loads(old) if old else {}
    found: list[Difference] = []
    for name in dict.fromkeys([*_CAUSES_FIRST, *before, *after]):
        one, two = before.get(name), after.get(name)
        if one == two:
            continue
        if isinstance(one or two, dict):
            one, two = one or {}, two or {}
            for key in dict.fromkeys([*one, *two]):
                if one.get(key) != two.get(key):
                    found.append(Difference(f"{name}.{key}", one.get(key), two.get(key)))
        else:
            found.append(Difference(name, _words(one), _words(two)))
    return tuple(found)


_CAUSES_FIRST = ("config", "params", "envvars", "script", "environment", "when", "input")


def _words(value: Any) -> str | None:
    return " ".join(value) if isinstance(value, list) else value


def _texts(job: Job) -> list[str | None]:
    rule = job.rule
    params = [value for value in rule.params.values() if isinstance(value, str)]
    paths = (*job.input.paths, *job.output.paths)
    return [job.shell, job.script, job.pre_exec, *paths, *rule.envvars.values(), *params]


def _ancient(job: Job) -> Collection[str]:
    """Give the inputs whose content does not count, as patterns of the rule or as paths."""
    ancient = job.rule.ancient
    if not ancient:
        return ()
    pairs = zip(job.rule.input.paths, job.input.paths, strict=False)
    return {*ancient, *(path for pattern, path in pairs if pattern in ancient)}


def _same_file(one: os.stat_result, two: os.stat_result) -> bool:
    return (one.st_size, one.st_mtime_ns, one.st_ino) == (two.st_size, two.st_mtime_ns, two.st_ino)


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
