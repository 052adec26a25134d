"""Find the function that runs a kind of node; its module is loaded when it is first needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from oxoflow.graph import late
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


def load(place: str) -> Runner:
    """The function behind `module:function` in this package."""
    return cast(Runner, late.load(f"graph.nodes.{place}"))


def runner_of(kind: m.Kind) -> Runner:
    """The function that runs a node kind."""
    return load(PLACES[type(kind)])
