"""List every table of a `.oxoflow` file with its keys and shapes (spec/oxoflow-format.md 1).

The one list from which files are parsed and the JSON Schema is made. `[config]` is read in
`declared`, rules in `rule_tables`, and the top level is put together in `parse`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from oxoflow.lang.model import (
    Budget,
    Cluster,
    Defaults,
    ExecutionGroup,
    Include,
    Pair,
    Reference,
    ResourceGroup,
    SampleGroup,
    ValueTable,
)
from oxoflow.lang.rule_tables import (
    COMBINE,
    ENVIRONMENT,
    RESOURCES,
    RULE,
    SCATTER,
    STRING_MAP,
    TRANSFORM,
)
from oxoflow.lang.shapes import (
    COUNT,
    SCALARS,
    STRING,
    STRINGS,
    TABLE,
    Shape,
    Table,
    known_word,
    list_of,
    mapping_of,
    one_of,
    same,
)

__all__ = [
    "BUDGET",
    "CLUSTER",
    "COMBINE",
    "ENVIRONMENT",
    "EXECUTION_GROUP",
    "INCLUDE",
    "KNOWN",
    "OTHER_TOP_LEVEL",
    "PAIR",
    "PROFILE_DEFAULTS",
    "REFERENCE",
    "RESOURCES",
    "RESOURCE_GROUP",
    "RULE",
    "SAMPLE_GROUP",
    "SCATTER",
    "TOP_LEVEL",
    "TRANSFORM",
    "VALUE_TABLE",
    "WORKFLOW",
]

WORKFLOW_FIELDS = same(
    name=STRING,
    version=STRING,
    description=STRING,
    author=STRING,
    min_version=STRING,
    format_version=STRING,
    genome_build=STRING,
    interpreter_map=STRING_MAP,
    pairs_file=STRING,
    sample_groups_file=STRING,
    metadata_file=STRING,
    pairs_pattern=STRING,
    sample_pattern=STRING,
    profile_mode=one_of("fill", "override"),
    on_complete=STRING,
    on_error=STRING,
)
WORKFLOW: Table[dict[str, Any]] = Table(dict, WORKFLOW_FIELDS, required=("name",))
DEFAULTS = Table(
    Defaults,
    same(
        threads=COUNT,
        memory=STRING,
        environment=ENVIRONMENT.shape,
        shell_prelude=STRING,
        time_limit=STRING,
    ),
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
    same(
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
        "metadata": ("metadata", STRING_MAP),
        "when": ("when", STRING),
    },
    required=("pair_id", "experiment"),
)
SAMPLE_GROUP = Table(
    SampleGroup, same(name=STRING, samples=STRINGS, metadata=STRING_MAP), required=("name",)
)


def _make_value_table(
    name: str = "", values: tuple[str, ...] = (), values_from: str | None = None
) -> ValueTable:
    """A missing name is not a structural fault: it is told with the table's other ones (1.15)."""
    return ValueTable(name, values, values_from)


VALUE_TABLE = Table(_make_value_table, same(name=STRING, values=SCALARS, values_from=STRING))
RESOURCE_GROUP = Table(
    ResourceGroup,
    same(max=COUNT, wait=known_word("queue", "fail", otherwise="queue")),
    required=("max",),
)
BUDGET = Table(Budget, same(max_threads=COUNT, max_memory=STRING, max_jobs=COUNT))
EXECUTION_GROUP = Table(
    ExecutionGroup,
    same(name=STRING, rules=STRINGS, mode=one_of("parallel", "sequential")),
    required=("name",),
)
REFERENCE = Table(
    Reference,
    same(
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
    same(name=STRING, version=STRING, source=STRING, checksum=STRING, accessed_date=STRING),
    required=("name",),
)
CLUSTER = Table(
    Cluster,
    same(
        backend=known_word("slurm", "pbs", "sge", "lsf"),
        partition=STRING,
        account=STRING,
        walltime=STRING,
        max_submitted=COUNT,
        max_array_size=COUNT,
        poll_interval=STRING,
        extra_args=STRINGS,
    ),
)
REPORT: Table[dict[str, Any]] = Table(dict, same(template=STRING, format=STRINGS, sections=STRINGS))
CITATION: Table[dict[str, Any]] = Table(
    dict, same(doi=STRING, url=STRING, authors=STRINGS, title=STRING)
)
PLUGINS: Table[dict[str, Any]] = Table(
    dict, same(rules=STRINGS, executor=STRING, reports=STRINGS, trusted_keys_file=STRING)
)

# Key of the file, attribute of Workflow ("" when only `document` keeps it), shape of the value.
TOP_LEVEL: Mapping[str, tuple[str, Shape[Any]]] = {
    "defaults": ("defaults", DEFAULTS.shape),
    "report": ("", REPORT.shape),
    "include": ("includes", list_of(INCLUDE.shape)),
    "pairs": ("pairs", list_of(PAIR.shape)),
    "sample_groups": ("groups", list_of(SAMPLE_GROUP.shape)),
    "values": ("values", list_of(VALUE_TABLE.shape)),
    "wildcard_constraints": ("constraints", STRING_MAP),
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
OTHER_TOP_LEVEL = ("workflow", "config", "rules", "ai", "webhook", "webhooks")
KNOWN = frozenset((*TOP_LEVEL, *OTHER_TOP_LEVEL))
