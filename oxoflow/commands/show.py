"""Show what a workflow consists of: its graph, figures, config values and samples.

Owns the verbs `graph`, `stats`, `config` and `samples`. Runs and writes nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from oxoflow.commands.arguments import Arguments, Verb
from oxoflow.commands.loading import find_place, load
from oxoflow.commands.options import COMPOSING, FILE, JSON, TARGETS, flag, value
from oxoflow.commands.output import print_json
from oxoflow.engine.dag import build_dag
from oxoflow.engine.draw import DRAWINGS, to_json
from oxoflow.engine.load import DirectoryView, Loaded
from oxoflow.engine.select import job_graph, rule_graph, select
from oxoflow.lang.readiness import readiness
from oxoflow.lang.summary import stats
from oxoflow.lang.values import config_text

MASK = "***"


def show_graph(arguments: Arguments) -> int:
    """Draw the rules, or with --expanded the jobs."""
    loaded = load(arguments, find_place(arguments), to_run=False)
    dag = loaded.dag
    if arguments.target:
        keep = sorted(select(dag, arguments.target))
        dag = build_dag(
            [dag.jobs[at] for at in keep],
            config=loaded.workflow.config,
            execution_groups=loaded.workflow.execution_groups,
        )
    rules = () if arguments.target else loaded.workflow.rules
    graph = job_graph(dag) if arguments.expanded else rule_graph(dag, rules)
    if arguments.json or arguments.format == "json":
        print_json(to_json(graph))
    else:
        sys.stdout.write(DRAWINGS[arguments.format](graph))
    return 0


def show_stats(arguments: Arguments) -> int:
    """Print figures of a workflow."""
    loaded = load(arguments, find_place(arguments), to_run=False)
    graph = rule_graph(loaded.dag, loaded.workflow.rules)
    found: dict[str, Any] = dict(stats(loaded.workflow, graph.named_edges))
    found["job_count"] = len(loaded.jobs)
    if arguments.json:
        print_json(found)
    else:
        width = max(map(len, found))
        for name, figure in found.items():
            shown = ", ".join(figure) if isinstance(figure, list) else figure
            print(f"{name.replace('_', ' '):<{width}}  {shown}")
    return 0


def show_config(arguments: Arguments) -> int:
    """Print the values a run would use; sensitive ones are hidden."""
    loaded = load(arguments, find_place(arguments), to_run=False)
    declared = loaded.workflow.declared
    secret = {key for key, entry in declared.items() if entry.sensitive}
    values = {
        key: MASK if key in secret and item else item
        for key, item in loaded.workflow.config.items()
    }
    if arguments.json:
        helps = {key: entry.help for key, entry in declared.items() if entry.help}
        print_json({"config": values, "declared": sorted(declared), "help": helps})
    else:
        for key, item in values.items():
            note = declared[key].help if key in declared else None
            print(f"{key} = {config_text(item)}" + (f"    # {note}" if note else ""))
    return 0


def show_samples(arguments: Arguments) -> int:
    """Print groups and pairs, and what each sample lacks."""
    place = find_place(arguments)
    loaded = load(arguments, place, to_run=False)
    found = _samples(loaded, DirectoryView(str(place.workdir)))
    if arguments.json:
        print_json(found)
        return 0
    for group in found["groups"]:
        print(f"group {group['name']}:")
        for sample in group["samples"]:
            print(f"  {sample:<24} {_state(found['missing'].get(sample))}")
    for pair in found["pairs"]:
        against = f" against {pair['control']}" if pair["control"] else ""
        lacking = [
            path
            for name in (pair["experiment"], pair["control"])
            for path in found["missing"].get(name, ())
        ]
        print(f"pair {pair['pair_id']}: {pair['experiment']}{against}  {_state(lacking)}")
    for path in found["missing_for_all"]:
        print(f"missing for the whole workflow: {path}")
    if not found["groups"] and not found["pairs"]:
        print("this workflow has neither sample groups nor pairs")
    return 0


def _samples(loaded: Loaded, view: DirectoryView) -> dict[str, Any]:
    workflow = loaded.workflow
    ready = readiness(workflow, view)
    return {
        "groups": [
            {"name": group.name, "samples": list(group.samples)} for group in workflow.groups
        ],
        "pairs": [
            {"pair_id": pair.pair_id, "experiment": pair.experiment, "control": pair.control}
            for pair in workflow.pairs
        ],
        "missing": {name: list(paths) for name, paths in ready.missing.items()},
        "missing_for_all": list(ready.unattributed),
    }


def _state(lacking: list[str] | None) -> str:
    return f"waits for {', '.join(lacking)}" if lacking else "ready"


_GRAPH_FORMAT = value(
    "-f",
    "--format",
    choices=[*DRAWINGS, "json"],
    default="ascii",
    help="how to draw (default: ascii)",
)
VERBS: Mapping[str, Verb] = {
    "graph": Verb(
        "Draw the rules of a workflow, or its jobs, in their order.",
        (
            FILE,
            *COMPOSING,
            TARGETS,
            _GRAPH_FORMAT,
            flag("--expanded", help="draw jobs, every wildcard filled in, in place of rules"),
            JSON,
        ),
        show_graph,
        overrides=True,
    ),
    "stats": Verb("Count rules, threads, levels.", (FILE, *COMPOSING, JSON), show_stats, True),
    "config": Verb("Show config values.", (FILE, *COMPOSING, JSON), show_config, True),
    "samples": Verb("Show samples and pairs.", (FILE, *COMPOSING, JSON), show_samples, True),
}
