"""Find the function that runs a kind of node, and load its module when it is first needed.

The one place where graph code is imported by name: a run without HTTP never loads an HTTP library,
and so starts in a fraction of the time.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import cast

from oxoflow.graph import model as m
from oxoflow.graph.work import Context, Outcome

Runner = Callable[[m.Kind, Context], Outcome]

PLACES: dict[type, str] = {
    m.Start: "steering:run_start",
    m.End: "steering:run_end",
    m.IfElse: "steering:run_if_else",
    m.Switch: "switch:run_switch",
    m.Code: "code:run_code",
    m.Loop: "loop:run_loop",
    m.TryCatch: "trycatch:run_try_catch",
    m.Parallel: "parallel:run_parallel",
    m.SubWorkflow: "subworkflow:run_sub_workflow",
    m.Approval: "people:run_approval",
    m.Form: "people:run_form",
    m.Tool: "tool:run_tool",
    m.Llm: "llm:run_llm",
    m.Retriever: "retriever:run_retriever",
    m.Vision: "vision:run_vision",
}
_loaded: dict[str, Runner] = {}  # one entry per place; a race loads the same function twice


def load(place: str) -> Runner:
    """The function behind `module:function` in this package."""
    if place not in _loaded:
        module, _, function = place.partition(":")
        loaded = importlib.import_module(f"oxoflow.graph.nodes.{module}")
        _loaded[place] = cast(Runner, getattr(loaded, function))
    return _loaded[place]


def runner_of(kind: m.Kind) -> Runner:
    """The function that runs a node kind."""
    return load(PLACES[type(kind)])
