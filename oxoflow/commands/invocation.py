"""Describe one call of `run`, so that it can be recorded and made again.

Owns the settings in `run.json` (spec/oxoflow-format.md 6, S43): `resume` and `retry` replay them.
Sensitive config values are never recorded. Starts nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import asdict, fields, replace

from oxoflow.commands.arguments import Arguments, settle_pairs
from oxoflow.commands.loading import Place
from oxoflow.engine.capacity import Limits
from oxoflow.engine.eviction import DEFAULT_LIMIT
from oxoflow.engine.load import DirectoryView, Loaded, directory_of, load_file, read_text
from oxoflow.engine.plan import PlanOptions
from oxoflow.engine.reuse import Caching
from oxoflow.errors import OxoflowError
from oxoflow.lang.includes import resolve_includes
from oxoflow.lang.parse import parse_workflow
from oxoflow.settings import load_limits

_LISTS = ("samples", "target", "module", "until", "force")


class Invocation(Struct, frozen=True):
    """What a run was asked for; times in seconds, sizes in MB."""

    file: str
    workdir: str
    config: Mapping[str, str] = field(default_factory=dict)
    samples: tuple[str, ...] = ()
    profile: str | None = None
    target: tuple[str, ...] = ()
    module: tuple[str, ...] = ()
    until: tuple[str, ...] = ()
    force: tuple[str, ...] = ()
    rerun: bool = False
    paranoid: bool = False
    skip_ref_build: bool = False
    jobs: int = 1
    keep_going: bool = False
    timeout: float | None = None
    retry: int = 0
    max_threads: int | None = None
    max_memory: int | None = None
    enforce_memory: bool = False
    skip_env_setup: bool = False
    disk_reserve: int = 0
    cache: str | None = None
    cache_bytes: int | None = None

    def load(self) -> Loaded:
        """Load the workflow as it was asked for."""
        return load_file(
            Path(self.file),
            workdir=Path(self.workdir),
            overrides=self.config,
            samples=self.samples,
            profile=self.profile,
            limits=load_limits(),
        )

    def limits(self) -> Limits:
        """Give what the pools may hold."""
        return Limits(max(1, self.jobs), self.max_threads, self.max_memory)

    def caching(self) -> Caching | None:
        """Give where results are shared."""
        if self.cache is None:
            return None
        limit = DEFAULT_LIMIT if self.cache_bytes is None else self.cache_bytes
        return Caching(Path(self.cache), limit)

    def plan_options(self) -> PlanOptions:
        """Give what is to be planned."""
        return PlanOptions(
            self.target,
            self.until,
            self.force,
            self.rerun,
            self.paranoid,
            self.skip_ref_build,
            self.module,
        )

    def settings(self) -> dict[str, Any]:
        """Give what `run.json` keeps: everything but sensitive values and one-time wishes."""
        kept = asdict(replace(self, force=(), rerun=False, paranoid=False))
        kept["config"] = self._open_config() if self.config else {}
        return kept

    def _open_config(self) -> dict[str, str]:
        """Give the values that are not sensitive; none of a text that does not say which are."""
        file, root = Path(self.file), Path(self.workdir)
        try:
            workflow = parse_workflow(read_text(file), load_limits())
        except OxoflowError:
            return {}
        view = DirectoryView(str(root.absolute()))
        whole, _ = resolve_includes(workflow, view, directory_of(file, root))
        secret = {key for key, entry in whole.declared.items() if entry.sensitive}
        return {key: text for key, text in self.config.items() if key not in secret}


def from_arguments(arguments: Arguments, place: Place) -> Invocation:
    """Read the words of `run`."""
    config = dict(arguments.overrides)
    if arguments.pairs:
        known = list(parse_workflow(read_text(place.file), load_limits()).config)
        config.update(settle_pairs(arguments.pairs, known, "oxoflow run"))
    return Invocation(
        file=str(place.file),
        workdir=str(place.workdir),
        config=config,
        samples=tuple(arguments.samples),
        profile=arguments.profile,
        target=tuple(arguments.target),
        module=tuple(arguments.module),
        until=tuple(arguments.until),
        force=tuple(arguments.force),
        rerun=arguments.rerun,
        paranoid=arguments.paranoid,
        skip_ref_build=arguments.skip_ref_build,
        jobs=arguments.jobs,
        keep_going=arguments.keep_going,
        timeout=arguments.timeout,
        retry=arguments.retry,
        max_threads=arguments.max_threads,
        max_memory=arguments.max_memory,
        enforce_memory=arguments.enforce_memory,
        skip_env_setup=arguments.skip_env_setup,
        disk_reserve=arguments.disk_reserve or 0,
        cache=cache_place(arguments),
        cache_bytes=arguments.cache_size,
    )


def cache_place(arguments: Arguments) -> str | None:
    """Give the directory in which results are shared; --no-cache beats --cache."""
    if arguments.no_cache or not arguments.cache:
        return None
    return str(Path(arguments.cache).absolute())


def from_settings(settings: Mapping[str, Any], workdir: Path) -> Invocation | None:
    """Read what a run recorded; None when it is not of our making.

    The directory is the one that is asked about, wherever it was when the run was made.
    """
    known = {item.name for item in fields(Invocation)}
    values = {key: item for key, item in settings.items() if key in known}
    if not isinstance(values.get("file"), str) or not isinstance(values.get("config", {}), dict):
        return None
    for name in _LISTS:
        values[name] = tuple(map(str, values.get(name) or ()))
    moved = values.get("workdir")
    values["workdir"] = str(workdir)
    if moved and not Path(values["file"]).exists():
        values["file"] = str(workdir / Path(values["file"]).name)
    return Invocation(**values)
