"""Tell, before jobs run, what their rules ask for and do not get.

Owns these warnings: interpreters that are passed over (spec/oxoflow-format.md 5.15), remote paths
without a store behind them (5.16), temporary results that nobody depends on (5.9), wildcards that
nothing fills (surprise S23). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from oxoflow.engine.dag import Dag
from oxoflow.engine.deciding import Decision
from oxoflow.engine.interpreters import passed_over
from oxoflow.engine.render import Renderer
from oxoflow.lang.model import Job
from oxoflow.lang.wildcards import PAIR_NAMES, PLACEHOLDER, SAMPLE_NAMES

_STORES = ("s3://", "gs://")
_USUAL = frozenset((*SAMPLE_NAMES, *PAIR_NAMES))
_SOURCES = ("add [[pairs]] or a pairs_file", "add [[sample_groups]], or samples to a group")


def find_notices(chosen: Sequence[Decision], dag: Dag, renderer: Renderer) -> list[str]:
    """Give the warnings about jobs that are going to run, each once."""
    found = passed_over(decision.job.rule for decision in chosen)
    found += _remote((decision.job for decision in chosen), renderer)
    found += _kept(chosen, dag)
    found += _unfilled(decision.job for decision in chosen)
    return list(dict.fromkeys(found))


def _remote(jobs: Iterable[Job], renderer: Renderer) -> Iterator[str]:
    for job in jobs:
        paths = (*job.input.paths, *job.output.paths)
        if any("://" in path or "{config." in path for path in paths):
            given = (*renderer.input_files(job), *renderer.outputs(job))
            remote = next((path for path in given if path.startswith(_STORES)), None)
            if remote is not None:
                yield (
                    f"rule '{job.rule.name}': '{remote}' is passed on as it is, neither fetched "
                    "nor checked nor stored; let the command copy it"
                )


def _unfilled(jobs: Iterable[Job]) -> Iterator[str]:
    for job in jobs:
        for path in (*job.input.paths, *job.output.paths):
            names = [name for name in PLACEHOLDER.findall(path) if name in _USUAL]
            if names:
                yield (
                    f"rule '{job.rule.name}': nothing gives {{{names[0]}}} a value, so '{path}' "
                    f"is used as written; {_SOURCES[names[0] in SAMPLE_NAMES]}"
                )
                break


def _kept(chosen: Sequence[Decision], dag: Dag) -> Iterator[str]:
    for decision in chosen:
        rule = decision.job.rule
        if rule.temporary and not dag.children[decision.index]:
            yield (
                f"rule '{rule.name}' is temporary, but nothing depends on it: its outputs are kept"
            )
