"""Notice jobs that write one and the same path although nothing keeps them apart.

Owns the wording of that warning (spec/oxoflow-format.md 4.2, PY), and which directories several
jobs fill. Legal are rules whose conditions exclude each other; what a condition says about files is
not known here. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from oxoflow.engine.dag import Dag
from oxoflow.engine.matching import looks_like_directory
from oxoflow.lang.condition import asks_files, evaluate
from oxoflow.lang.model import Job
from oxoflow.lang.view import NOTHING

_SHOWN = 20


def overlap_warnings(dag: Dag, config: Mapping[str, Any]) -> list[str]:
    """Word one warning for each shared output with more than one active writer, at most a few."""
    found = []
    for path, writers in dag.shared_outputs:
        active = _active(dag, writers, config)
        if len(active) > 1:
            names = ", ".join(f"'{job.name}'" for job in active[:3])
            more = f" and {len(active) - 3} more" if len(active) > 3 else ""
            found.append(
                f"{names}{more} all write '{path}'; give each an output of its own, or conditions "
                "(`when`) that exclude each other"
            )
    hidden = len(found) - _SHOWN
    return found if hidden <= 0 else [*found[:_SHOWN], f"and {hidden} more outputs like this"]


def filled_together(dag: Dag, config: Mapping[str, Any]) -> frozenset[str]:
    """Give the directories into which more than one active job writes: none may clear them."""
    return frozenset(
        path
        for path, writers in dag.shared_outputs
        if looks_like_directory(path) and len(_active(dag, writers, config)) > 1
    )


def _active(dag: Dag, writers: Iterable[int], config: Mapping[str, Any]) -> list[Job]:
    return [dag.jobs[at] for at in writers if _is_active(dag.jobs[at].rule.when, config)]


def _is_active(when: str | None, config: Mapping[str, Any]) -> bool:
    """Say whether a condition surely holds; one that asks for files is given the doubt."""
    return not when or (not asks_files(when) and evaluate(when, config, NOTHING))
