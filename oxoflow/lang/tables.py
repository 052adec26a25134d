"""List every table and key of a `.oxoflow` file with its shape (spec/oxoflow-format.md 1).

The one list from which files are parsed and the JSON Schema is made. `[config]` is read in
`declared`, and the top level is put together in `parse`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from oxoflow.lang.model import (
    Budget,
    Cluster,
    Combine,
    Defaults,
    Environment,
    EnvironmentKind,
    ExecutionGroup,
    ExpandInput,
    FileSet,
    GpuSpec,
    Include,
    Pair,
    Reference,
    ResourceGroup,
    Resources,
    Rule,
    SampleGroup,
    Scatter,
    Split,
    Transform,
    ValueTable,
)
from oxoflow.lang.shapes import (
    BOOLEAN,
    COUNT,
    INTEGER,
    NUMBER,
    SCALARS,
    STRING,
    STRINGS,
    TABLE,
    Shape,
    Table,
    list_of,
    mapping_of,
    one_of,
    wrong,
)

_STRING_MAP = mapping_of(STRING)
_NAMED_FILES_SCHEMA = {"type": "object", "additionalProperties": {"type": "string"}}
_FILES_SCHEMA = {"anyOf": [dict(STRINGS.schema), _NAMED_FILES_SCHEMA]}
_NO_FILES = FileSet()


def _same(**shapes: Shape[Any]) -> dict[str, tuple[str, Shape[Any]]]:
    """Fields whose attribute is called like their key."""
    return {key: (key, shape) for key, shape in shapes.items()}


def _read_files(value: Any) -> FileSet:
    if type(value) is list:
        return FileSet(STRINGS.read(value)) if value else _NO_FILES
    if type(value) is not dict:
        hint = f'write ["{value}"]' if type(value) is str else None
        raise wrong("a list of paths or a table of named paths", value, hint)
    named = _STRING_MAP.read(value)
    names = tuple(sorted(named))
    return FileSet(tuple([named[name] for name in names]), names)


def _read_inputs(value: Any) -> FileSet:
    """Read `input`: as `output`, or `{ path, pattern }` for a filtered directory (1.9, S3)."""
    if type(value) is dict and set(value) == {"path", "pattern"}:
        directory = _STRING_MAP.read(value)
        return FileSet((directory["path"],), (), directory["pattern"])
    return _read_files(value)


FILES = Shape(_read_files, _FILES_SCHEMA)
INPUTS = Shape(_read_inputs, _FILES_SCHEMA)


def _read_modules(value: Any) -> tuple[str, ...]:
    if type(value) is str:
        return tuple([part.strip() for part in value.split(",") if part.strip()])
    return STRINGS.read(value)


_MODULES = Shape(_read_modules, {"anyOf": [dict(STRINGS.schema), {"type": "string"}]})


def _make_environment(
    requirements: str | None = None,
    modules: tuple[str, ...] = (),
    **specs: str,
) -> Environment:
    """Take the first environment set, in the order of 1.11 (S24)."""
    for kind in EnvironmentKind:
        spec = specs.get(kind.value)
        if spec:
            prefix = specs.get(f"{kind.value}_prefix")
            wanted = requirements if kind is EnvironmentKind.VENV else None
            return Environment(kind, spec, prefix, wanted)
    if modules:
        return Environment(EnvironmentKind.MODULES, ",".join(modules), modules=modules)
    return Environment()


ENVIRONMENT = Table(
    _make_environment,
    {
        **_same(
            mamba=STRING,
            mamba_prefix=STRING,
            conda=STRING,
            conda_prefix=STRING,
            pixi=STRING,
            docker=STRING,
            singularity=STRING,
            venv=STRING,
            modules=_MODULES,
        ),
        "venv_requirements": ("requirements", STRING),
    },
)
GPU_SPEC = Table(
    GpuSpec, _same(count=COUNT, model=STRING, memory_gb=COUNT, compute_capability=STRING)
)
RESOURCES = Table(
    Resources,
    _same(
        threads=COUNT,
        memory=STRING,
        gpu=COUNT,
        gpu_spec=GPU_SPEC.shape,
        disk=STRING,
        time_limit=STRING,
        partition=STRING,
        groups=mapping_of(COUNT),
    ),
)
SCATTER = Table(
    Scatter,
    _same(variable=STRING, values=SCALARS, values_from=STRING, gather=STRING),
    required=("variable",),
)


def _read_split_count(value: Any) -> str:
    """A number may stand without quotes (S38)."""
    return str(value) if type(value) is int else STRING.read(value)


SPLIT = Table(
    Split,
    _same(
        by=STRING,
        values=SCALARS,
        values_from=STRING,
        n=Shape(_read_split_count, {"type": ["string", "integer"]}),
        glob=STRING,
    ),
    required=("by",),
)
COMBINE = Table(Combine, _same(shell=STRING, aggregate=BOOLEAN, method=STRING, header=STRING))


def _read_combine(value: Any) -> Combine:
    """A bare string is the combining command (S38)."""
    return Combine(shell=value) if type(value) is str else COMBINE.read(value)


TRANSFORM = Table(
    Transform,
    _same(
        split=SPLIT.shape,
        map=STRING,
        combine=Shape(_read_combine, {"anyOf": [{"type": "string"}, dict(COMBINE.schema)]}),
        cleanup=BOOLEAN,
    ),
    required=("split", "map"),
)
EXPAND_INPUT = Table(
    ExpandInput, _same(pattern=STRING, variables=_STRING_MAP), required=("pattern",)
)


RULE = Table(
    Rule,
    _same(
        name=STRING,
        input=INPUTS,
        output=FILES,
        expand_inputs=list_of(EXPAND_INPUT.shape),
        shell=STRING,
        script=STRING,
        interpreter=STRING,
        description=STRING,
        threads=COUNT,
        memory=STRING,
        resources=RESOURCES.shape,
        environment=ENVIRONMENT.shape,
        env_group=STRING,
        log=STRING,
        benchmark=STRING,
        params=TABLE,
        envvars=_STRING_MAP,
        priority=INTEGER,
        target=BOOLEAN,
        required=BOOLEAN,
        optional=BOOLEAN,
        when=STRING,
        depends_on=STRINGS,
        extends=STRING,
        checkpoint=BOOLEAN,
        checkpoint_manifest=STRING,
        scatter=SCATTER.shape,
        transform=TRANSFORM.shape,
        retries=COUNT,
        retry_delay=STRING,
        retry_memory_factor=NUMBER,
        pre_exec=STRING,
        on_success=STRING,
        on_failure=STRING,
        temporary=BOOLEAN,
        temp_output=STRINGS,
        protected_output=STRINGS,
        scratch=BOOLEAN,
        shadow=one_of("minimal", "shallow", "full"),
        ancient=STRINGS,
        pipe=BOOLEAN,
        checksum=one_of("md5", "sha256"),
        cache=BOOLEAN,
        cache_key=STRING,
        input_function=STRING,
        localrule=BOOLEAN,
        group=STRING,
        format_hint=STRINGS,
        tags=STRINGS,
        rule_metadata=TABLE,
        resource_hint=TABLE,
    ),
    required=("name",),
    keep_extra=True,
)

WORKFLOW_FIELDS = _same(
    name=STRING,
    version=STRING,
    description=STRING,
    author=STRING,
    min_version=STRING,
    format_version=STRING,
    genome_build=STRING,
    interpreter_map=_STRING_MAP,
    pairs_file=STRING,
    sample_groups_file=STRING,
    pairs_pattern=STRING,
    sample_pattern=STRING,
    profile_mode=one_of("fill", "override"),
)
WORKFLOW: Table[dict[str, Any]] = Table(dict, WORKFLOW_FIELDS, required=("name",))
DEFAULTS = Table(
    Defaults,
    _same(threads=COUNT, memory=STRING, environment=ENVIRONMENT.shape, shell_prelude=STRING),
)


def _read_profile_threads(value: Any) -> int:
    """A profile may quote the number (1.19)."""
    if type(value) is str and re.fullmatch(r"\d{1,9}", value, re.ASCII):
        return int(value)
    return COUNT.read(value)


PROFILE_DEFAULTS = Table(
    Defaults,
    {
        **DEFAULTS.fields,
        "threads": ("threads", Shape(_read_profile_threads, {"type": ["integer", "string"]})),
    },
)
INCLUDE = Table(
    Include,
    _same(
        path=STRING,
        namespace=STRING,
        name=STRING,
        repo=STRING,
        ref=STRING,
        inputs=STRINGS,
        outputs=STRINGS,
        params=TABLE,
    ),
    required=("path",),
)
PAIR = Table(
    Pair,
    {
        "pair_id": ("pair_id", STRING),
        "experiment": ("experiment", STRING),
        "tumor": ("experiment", STRING),
        "control": ("control", STRING),
        "normal": ("control", STRING),
        "experiment_type": ("experiment_type", STRING),
        "tumor_type": ("experiment_type", STRING),
        "metadata": ("metadata", _STRING_MAP),
    },
    required=("pair_id", "experiment"),
)
SAMPLE_GROUP = Table(
    SampleGroup, _same(name=STRING, samples=STRINGS, metadata=_STRING_MAP), required=("name",)
)


def _make_value_table(name: str = "", values: tuple[str, ...] = ()) -> ValueTable:
    return ValueTable(name, values)


VALUE_TABLE = Table(_make_value_table, _same(name=STRING, values=SCALARS))
RESOURCE_GROUP = Table(
    ResourceGroup, _same(max=COUNT, wait=one_of("queue", "fail")), required=("max",)
)
BUDGET = Table(Budget, _same(max_threads=COUNT, max_memory=STRING, max_jobs=COUNT))
EXECUTION_GROUP = Table(
    ExecutionGroup,
    _same(name=STRING, rules=STRINGS, mode=one_of("parallel", "sequential")),
    required=("name",),
)
REFERENCE = Table(
    Reference,
    _same(
        name=STRING,
        output=STRING,
        build=STRING,
        source=STRING,
        threads=COUNT,
        memory=STRING,
        description=STRING,
        environment=ENVIRONMENT.shape,
    ),
    required=("name", "output", "build"),
)
REFERENCE_DB: Table[dict[str, Any]] = Table(
    dict,
    _same(name=STRING, version=STRING, source=STRING, checksum=STRING, accessed_date=STRING),
    required=("name",),
)
CLUSTER = Table(
    Cluster,
    _same(
        backend=one_of("slurm", "pbs", "sge", "lsf"),
        partition=STRING,
        account=STRING,
        walltime=STRING,
        max_submitted=COUNT,
        max_array_size=COUNT,
        poll_interval=STRING,
        extra_args=STRINGS,
    ),
)
REPORT: Table[dict[str, Any]] = Table(
    dict, _same(template=STRING, format=STRINGS, sections=STRINGS)
)
CITATION: Table[dict[str, Any]] = Table(
    dict, _same(doi=STRING, url=STRING, authors=STRINGS, title=STRING)
)
PLUGINS: Table[dict[str, Any]] = Table(
    dict, _same(rules=STRINGS, executor=STRING, reports=STRINGS, trusted_keys_file=STRING)
)

# Key of the file, attribute of Workflow ("" when only `document` keeps it), shape of the value.
TOP_LEVEL: Mapping[str, tuple[str, Shape[Any]]] = {
    "defaults": ("defaults", DEFAULTS.shape),
    "report": ("", REPORT.shape),
    "include": ("includes", list_of(INCLUDE.shape)),
    "pairs": ("pairs", list_of(PAIR.shape)),
    "sample_groups": ("groups", list_of(SAMPLE_GROUP.shape)),
    "values": ("values", list_of(VALUE_TABLE.shape)),
    "wildcard_constraints": ("constraints", _STRING_MAP),
    "resource_groups": ("resource_groups", mapping_of(RESOURCE_GROUP.shape)),
    "env_groups": ("env_groups", mapping_of(ENVIRONMENT.shape)),
    "resource_budget": ("budget", BUDGET.shape),
    "execution_group": ("execution_groups", list_of(EXECUTION_GROUP.shape)),
    "reference_dir": ("reference_dir", STRING),
    "references": ("references", list_of(REFERENCE.shape)),
    "reference_db": ("", list_of(REFERENCE_DB.shape)),
    "cluster": ("cluster", CLUSTER.shape),
    "citation": ("", CITATION.shape),
    "plugins": ("", PLUGINS.shape),
}
# Read elsewhere, but known: no S006 for these.
OTHER_TOP_LEVEL = ("workflow", "config", "rules", "ai", "webhooks")
