"""Run a Switch: the first case that fits decides (spec/oxify-api.md 4.6).

Owns the matching: exact text, or a pattern found anywhere in the text; a bad pattern never fits.
"""

from __future__ import annotations

from oxoflow.graph import model as m
from oxoflow.graph.template import render
from oxoflow.graph.work import Context, NodeFailure, Outcome
from oxoflow.lang.patterns import compile_pattern

PATTERN = "regex:"


def run_switch(kind: m.Switch, context: Context) -> Outcome:
    """Find the first case that fits; without one, the default."""
    text = render(kind.switch_on, context.scope.lookup)
    for case in kind.cases:
        if fits(case.match_value, text):
            result = render(case.action, context.scope.lookup)
            return Outcome({"matched_case": case.match_value, "result": result})
    if kind.default_case is None:
        raise NodeFailure(f"No case matches '{text[:200]}' and there is no default", retry=False)
    result = render(kind.default_case, context.scope.lookup)
    return Outcome({"matched_case": "default", "result": result})


def fits(match_value: str, text: str) -> bool:
    """Whether a case takes a text."""
    if not match_value.startswith(PATTERN):
        return match_value == text
    try:
        return compile_pattern(match_value.removeprefix(PATTERN)).search(text) is not None
    except ValueError:
        return False
