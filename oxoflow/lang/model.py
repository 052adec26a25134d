"""Describe a workflow and its jobs as frozen records: what the text says, nothing about running it.

Every other module of `lang` makes, changes (by `structs.replace`) or reads these. Mappings in
them are never changed after construction. Fields are those of spec/oxoflow-format.md section 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from msgspec import Struct, field

from oxoflow.lang.gaps import WHOLE, Gaps
from oxoflow.limits import DEFAULT, Limits

EMPTY: Mapping[str, Any] = {}


class FileSet(Struct, frozen=True):
    """The files of `input` or `output` (1.9).

    `names` labels the first `len(names)` paths (a table of names, keys sorted); paths appended
    later have none. `pattern` is set for the directory form: `paths` is then that directory.
    """

    paths: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    pattern: str | None = None

    def step(self, at: int) -> str | int:
        """Give what follows `input.` or `output.` in the key of a path: its name or number."""
        return self.names[at] if at < len(self.names) else at


class EnvironmentKind(Enum):
    """Where a command's programs come from (1.11), in the order in which the first one set wins."""

    MAMBA = "mamba"
    CONDA = "conda"
    PIXI = "pixi"
    DOCKER = "docker"
    SINGULARITY = "singularity"
    VENV = "venv"
    MODULES = "modules"
    SYSTEM = "system"


class Environment(Struct, frozen=True):
    """One environment: its kind, and the file, image or directory that defines it (1.11)."""

    kind: EnvironmentKind = EnvironmentKind.SYSTEM
    spec: str = ""  # YAML, manifest, image, URI or venv directory
    prefix: str | None = None  # conda_prefix, mamba_prefix
    requirements: str | None = None  # venv_requirements
    modules: tuple[str, ...] = ()
    gpus: str | None = None  # which GPUs docker passes in (later than the spec)


SYSTEM = Environment()


class GpuSpec(Struct, frozen=True):
    """What kind of GPU a rule wants (1.10)."""

    count: int = 0
    model: str | None = None
    memory_gb: int | None = None
    compute_capability: str | None = None


class Resources(Struct, frozen=True):
    """What a job needs to run (1.10). Memory and disk as written; `time_limit` a duration."""

    threads: int | None = None
    memory: str | None = None
    gpu: int | None = None
    gpu_spec: GpuSpec | None = None
    disk: str | None = None
    time_limit: str | None = None
    partition: str | None = None
    groups: Mapping[str, int] = field(default_factory=dict)


class Scatter(Struct, frozen=True):
    """Fan a rule out over a variable (1.12)."""

    variable: str
    values: tuple[str, ...] = ()
    values_from: str | None = None
    gather: str | None = None


class Split(Struct, frozen=True):
    """How a transform cuts its work (1.12)."""

    by: str
    values: tuple[str, ...] = ()
    values_from: str | None = None
    n: str | None = None
    glob: str | None = None


class Combine(Struct, frozen=True):
    """How a transform joins its chunks (1.12)."""

    shell: str | None = None
    aggregate: bool = False
    method: str = "concat"
    header: str | None = None


class Transform(Struct, frozen=True):
    """Split, map, combine as one rule (1.12)."""

    split: Split
    map: str
    combine: Combine | None = None
    cleanup: bool = False


class ExpandInput(Struct, frozen=True):
    """Fan-in: a pattern and the lists that fill it (2.7)."""

    pattern: str
    variables: Mapping[str, str] = field(default_factory=dict)


class InputGroup(Struct, frozen=True):
    """One `input_groups` entry: files joined to one job per value (later than the spec)."""

    pattern: str
    group_by: str
    keep: tuple[str, ...] | None = None


class Rule(Struct, frozen=True):
    """What the author wrote under one `[[rules]]` (1.8). A rule is written; a job is run."""

    name: str
    input: FileSet = FileSet()
    output: FileSet = FileSet()
    output_pattern: str | None = None
    expand_inputs: tuple[ExpandInput, ...] = ()
    input_groups: tuple[InputGroup, ...] = ()
    shell: str | None = None
    script: str | None = None
    interpreter: str | None = None
    description: str | None = None
    threads: int | None = None
    memory: str | None = None
    resources: Resources = Resources()
    environment: Environment | None = None
    env_group: str | None = None
    log: str | None = None
    benchmark: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    envvars: Mapping[str, str] = field(default_factory=dict)
    priority: int = 0
    target: bool = False
    required: bool = True
    optional: bool | str = False  # "any": one of the inputs is enough
    when: str | None = None
    depends_on: tuple[str, ...] = ()
    extends: str | None = None
    checkpoint: bool = False
    checkpoint_manifest: str | None = None
    scatter: Scatter | None = None
    transform: Transform | None = None
    retries: int = 0
    retry_delay: str | None = None
    retry_memory_factor: float | None = None  # ours: memory grows by it after an out-of-memory end
    pre_exec: str | None = None
    on_success: str | None = None
    on_failure: str | None = None
    temporary: bool = False
    temp_output: tuple[str, ...] = ()
    protected_output: tuple[str, ...] = ()
    scratch: bool = False
    shadow: str | None = None
    ancient: tuple[str, ...] = ()
    pipe: bool = False
    checksum: str | None = None
    cache: bool = True  # ours: may results be reused across runs
    cache_key: str | None = None
    input_function: str | None = None
    localrule: bool = False
    group: str | None = None
    format_hint: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    rule_metadata: Mapping[str, Any] = field(default_factory=dict)
    resource_hint: Mapping[str, Any] = field(default_factory=dict)
    cleanup_chunks: bool = False  # internal: set on the combine rule of a transform
    extra: Mapping[str, Any] = field(default_factory=dict)  # unknown keys, carried along


class Job(Struct, frozen=True):
    """A rule with its wildcards filled in: the unit that is planned and run.

    Only what differs between the jobs of one rule stands here; the rest is read from `rule`.
    `bindings` are the wildcard values, (name, value) in order. `depends_on` holds job names.
    Engine placeholders (`{input}`, `{threads}`, `{config.x}` ...) are still in the texts.
    """

    name: str
    rule: Rule
    bindings: tuple[tuple[str, str], ...] = ()
    input: FileSet = FileSet()
    output: FileSet = FileSet()
    shell: str | None = None
    script: str | None = None
    log: str | None = None
    pre_exec: str | None = None
    on_success: str | None = None
    on_failure: str | None = None
    depends_on: tuple[str, ...] = ()


class ConfigDeclaration(Struct, frozen=True):
    """A declarative `[config]` entry (1.4)."""

    default: str | None = None
    required: bool = False
    help: str | None = None
    sensitive: bool = False
    type: str | None = None
    choices: tuple[str, ...] = ()
    range: str | None = None
    must_exist: bool = False


class Defaults(Struct, frozen=True):
    """`[defaults]` (1.5)."""

    threads: int | None = None
    memory: str | None = None
    environment: Environment | None = None
    shell_prelude: str | None = None
    time_limit: str | None = None  # later than the spec


class Pair(Struct, frozen=True):
    """One `[[pairs]]` entry (1.13); a missing control is the empty string."""

    pair_id: str
    experiment: str
    control: str = ""
    experiment_type: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    when: str | None = None  # later than the spec: the pair counts only when this holds


class SampleGroup(Struct, frozen=True):
    """One `[[sample_groups]]` entry (1.14)."""

    name: str
    samples: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


class ValueTable(Struct, frozen=True):
    """One `[[values]]` entry, its values already as text (1.15)."""

    name: str
    values: tuple[str, ...] = ()
    values_from: str | None = None  # later than the spec: a list in [config], instead of `values`


class Include(Struct, frozen=True):
    """One `[[include]]` entry (1.7)."""

    path: str
    namespace: str | None = None
    name: str | None = None
    repo: str | None = None
    ref: str | None = None
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)


class Module(Struct, frozen=True):
    """An included file as composed (1.7): its identity, its rules, and what it promises.

    `written` gives, for each rule of the workflow that stands in this very file, its name there.
    """

    name: str
    path: str
    rules: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    entry: int = 0  # the number of the `[[include]]` that names it
    within: str | None = None  # the included file with that entry; None: the workflow itself
    text: str = ""
    document: Mapping[str, Any] = field(default_factory=dict)
    written: Mapping[str, str] = field(default_factory=dict)


class Reference(Struct, frozen=True):
    """One `[[references]]` entry (1.18)."""

    name: str
    output: str
    build: str
    source: str | None = None
    threads: int | None = None
    memory: str | None = None
    description: str | None = None
    environment: Environment | None = None


class ResourceGroup(Struct, frozen=True):
    """`[resource_groups.<name>]` (1.17)."""

    max: int
    wait: str = "queue"


class Budget(Struct, frozen=True):
    """`[resource_budget]` (1.17)."""

    max_threads: int | None = None
    max_memory: str | None = None
    max_jobs: int | None = None


class ExecutionGroup(Struct, frozen=True):
    """One `[[execution_group]]` (1.17); mode is `parallel` or `sequential`."""

    name: str
    rules: tuple[str, ...] = ()
    mode: str = "parallel"


class Cluster(Struct, frozen=True):
    """`[cluster]` (1.19)."""

    backend: str | None = None
    partition: str | None = None
    account: str | None = None
    walltime: str | None = None
    max_submitted: int = 50
    max_array_size: int = 1001
    poll_interval: str = "5s"
    extra_args: tuple[str, ...] = ()


class Workflow(Struct, frozen=True):
    """A whole workflow text (1.2), before or after composition; rules in file order."""

    name: str
    version: str = "0.1.0"
    description: str | None = None
    author: str | None = None
    min_version: str | None = None
    format_version: str | None = None
    genome_build: str | None = None
    interpreter_map: Mapping[str, str] = field(default_factory=dict)
    pairs_file: str | None = None
    sample_groups_file: str | None = None
    metadata_file: str | None = None
    pairs_pattern: str | None = None
    sample_pattern: str | None = None
    profile_mode: str = "fill"
    on_complete: str | None = None  # commands for the end of a run, later than the spec
    on_error: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)  # plain values and defaults
    declared: Mapping[str, ConfigDeclaration] = field(default_factory=dict)
    defaults: Defaults = Defaults()
    rules: tuple[Rule, ...] = ()
    includes: tuple[Include, ...] = ()
    modules: tuple[Module, ...] = ()  # the includes that composition resolved, nested ones too
    pairs: tuple[Pair, ...] = ()
    groups: tuple[SampleGroup, ...] = ()
    values: tuple[ValueTable, ...] = ()
    metadata: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # by sample
    emptied: frozenset[str] = frozenset()  # placeholders of what `--samples` left nothing of
    constraints: Mapping[str, str] = field(default_factory=dict)
    resource_groups: Mapping[str, ResourceGroup] = field(default_factory=dict)
    env_groups: Mapping[str, Environment] = field(default_factory=dict)
    budget: Budget = Budget()
    execution_groups: tuple[ExecutionGroup, ...] = ()
    reference_dir: str | None = None
    references: tuple[Reference, ...] = ()
    cluster: Cluster | None = None
    warnings: tuple[str, ...] = ()  # found while loading, for the run's log
    document: Mapping[str, Any] = field(default_factory=dict)  # the parsed TOML, unknown keys too
    limits: Limits = DEFAULT  # under which it was read, and is put together and expanded
    gaps: Gaps = WHOLE  # what could not be read; a workflow that runs has none
