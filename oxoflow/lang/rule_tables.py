"""List every key of a `[[rules]]` table, and of the tables inside it, with its shape.

Owns spec/oxoflow-format.md 1.8 to 1.12. The other tables of a file are in `tables`.
"""

from __future__ import annotations

from typing import Any

from oxoflow.lang.model import (
    Combine,
    Environment,
    EnvironmentKind,
    ExpandInput,
    FileSet,
    GpuSpec,
    InputGroup,
    Resources,
    Rule,
    Scatter,
    Split,
    Transform,
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
    known_word,
    list_of,
    mapping_of,
    same,
    wrong,
)

STRING_MAP = mapping_of(STRING)
_NAMED_FILES_SCHEMA = {"type": "object", "additionalProperties": {"type": "string"}}
_FILES_SCHEMA = {"anyOf": [dict(STRINGS.schema), _NAMED_FILES_SCHEMA]}
_NO_FILES = FileSet()


def _read_files(value: Any) -> FileSet:
    if type(value) is list:
        return FileSet(STRINGS.read(value)) if value else _NO_FILES
    if type(value) is not dict:
        hint = f'write ["{value}"]' if type(value) is str else None
        raise wrong("a list of paths or a table of named paths", value, hint)
    named = STRING_MAP.read(value)
    names = tuple(sorted(named))
    return FileSet(tuple([named[name] for name in names]), names)


def _read_inputs(value: Any) -> FileSet:
    """Read `input`: as `output`, or `{ path, pattern }` for a filtered directory (1.9, S3)."""
    if type(value) is dict and set(value) == {"path", "pattern"}:
        directory = STRING_MAP.read(value)
        return FileSet((directory["path"],), (), directory["pattern"])
    return _read_files(value)


FILES = Shape(_read_files, _FILES_SCHEMA)
INPUTS = Shape(_read_inputs, _FILES_SCHEMA)


def _read_modules(value: Any) -> tuple[str, ...]:
    if type(value) is str:
        return tuple([part.strip() for part in value.split(",") if part.strip()])
    return STRINGS.read(value)


_MODULES = Shape(_read_modules, {"anyOf": [dict(STRINGS.schema), {"type": "string"}]})


_KINDS = tuple(
    [
        (kind.value, kind, f"{kind.value}_prefix")
        for kind in EnvironmentKind
        if kind not in (EnvironmentKind.MODULES, EnvironmentKind.SYSTEM)
    ]
)


def _make_environment(
    requirements: str | None = None,
    modules: tuple[str, ...] = (),
    gpus: str | None = None,
    **specs: str,
) -> Environment:
    """Take the first environment set, in the order of 1.11 (S24)."""
    for word, kind, prefix in _KINDS:
        spec = specs.get(word)
        if spec:
            wanted = requirements if kind is EnvironmentKind.VENV else None
            cards = gpus if kind is EnvironmentKind.DOCKER else None
            return Environment(kind, spec, specs.get(prefix), wanted, gpus=cards)
    if modules:
        return Environment(EnvironmentKind.MODULES, ",".join(modules), modules=modules)
    return Environment()


ENVIRONMENT = Table(
    _make_environment,
    {
        **same(
            mamba=STRING,
            mamba_prefix=STRING,
            conda=STRING,
            conda_prefix=STRING,
            pixi=STRING,
            docker=STRING,
            singularity=STRING,
            venv=STRING,
            modules=_MODULES,
            gpus=STRING,
        ),
        "venv_requirements": ("requirements", STRING),
    },
)
GPU_SPEC = Table(
    GpuSpec, same(count=COUNT, model=STRING, memory_gb=COUNT, compute_capability=STRING)
)
RESOURCES = Table(
    Resources,
    same(
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
    same(variable=STRING, values=SCALARS, values_from=STRING, gather=STRING),
    required=("variable",),
)


def _read_split_count(value: Any) -> str:
    """A number may stand without quotes (S38)."""
    return str(value) if type(value) is int else STRING.read(value)


SPLIT = Table(
    Split,
    same(
        by=STRING,
        values=SCALARS,
        values_from=STRING,
        n=Shape(_read_split_count, {"type": ["string", "integer"]}),
        glob=STRING,
    ),
    required=("by",),
)
COMBINE = Table(Combine, same(shell=STRING, aggregate=BOOLEAN, method=STRING, header=STRING))


def _read_combine(value: Any) -> Combine:
    """A bare string is the combining command (S38)."""
    return Combine(shell=value) if type(value) is str else COMBINE.read(value)


TRANSFORM = Table(
    Transform,
    same(
        split=SPLIT.shape,
        map=STRING,
        combine=Shape(_read_combine, {"anyOf": [{"type": "string"}, dict(COMBINE.schema)]}),
        cleanup=BOOLEAN,
    ),
    required=("split", "map"),
)
EXPAND_INPUT = Table(ExpandInput, same(pattern=STRING, variables=STRING_MAP), required=("pattern",))


def _read_keep(value: Any) -> tuple[str, ...]:
    return (value,) if type(value) is str else STRINGS.read(value)


_KEEP = Shape(_read_keep, {"anyOf": [{"type": "string"}, dict(STRINGS.schema)]})
INPUT_GROUP = Table(
    InputGroup,
    same(pattern=STRING, group_by=STRING, keep=_KEEP),
    required=("pattern", "group_by"),
)


def _read_optional(value: Any) -> bool | str:
    return "any" if value == "any" else BOOLEAN.read(value)


_OPTIONAL = Shape(_read_optional, {"anyOf": [dict(BOOLEAN.schema), {"const": "any"}]})


RULE = Table(
    Rule,
    same(
        name=STRING,
        input=INPUTS,
        output=FILES,
        output_pattern=STRING,
        expand_inputs=list_of(EXPAND_INPUT.shape),
        input_groups=list_of(INPUT_GROUP.shape),
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
        envvars=STRING_MAP,
        priority=INTEGER,
        target=BOOLEAN,
        required=BOOLEAN,
        optional=_OPTIONAL,
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
        shadow=known_word("minimal", "shallow", "full"),
        ancient=STRINGS,
        pipe=BOOLEAN,
        checksum=known_word("md5", "sha256"),
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
