"""Feed broken and odd texts to every language tool: our own errors are all that may come out."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oxoflow import gallery
from oxoflow.engine.checking import check_text
from oxoflow.engine.select import rule_graph
from oxoflow.errors import WorkflowError
from oxoflow.lang.container import export
from oxoflow.lang.diff import diff
from oxoflow.lang.format import format_workflow
from oxoflow.lang.lint import lint
from oxoflow.lang.parse import parse_workflow
from oxoflow.lang.positions import locate
from oxoflow.lang.summary import detail, outputs_to_clean, stats

TEXTS = [gallery.read(name) for name in gallery.names()]
OTHER = parse_workflow(TEXTS[6])
SCRAPS = ['"', "'", '"""', "'''", "[", "]", "[[", "{", "}", "=", "\n", "#", ".", ",", "\\", "\0"]
SCRAPS += ["{sample}", "[[rules]]", "name", "-1", "9" * 30, "\ud800", "é", "\r\n", " ", "\u2028"]


def mutated(text: str, rng: random.Random) -> str:
    """Insert, delete, double or swap some pieces of a text."""
    for _ in range(rng.randint(1, 6)):
        at, end = sorted(rng.randint(0, len(text)) for _ in range(2))
        end = min(end, at + rng.choice((1, 3, 40)))
        change = rng.randint(0, 3)
        if change == 0:
            text = text[:at] + rng.choice(SCRAPS) + text[at:]
        elif change == 1:
            text = text[:at] + text[end:]
        elif change == 2:
            text = text[:end] + text[at:end] + text[end:]
        else:
            text = text[:at] + rng.choice(SCRAPS) + text[end:]
    return text


def use_everything(text: str) -> None:
    checked = check_text(text)
    assert all(each.line and each.column for each in checked.diagnostics)
    try:
        formatted = format_workflow(text)
    except WorkflowError:
        formatted = text
    if checked.workflow is None:
        return
    edges = rule_graph(checked.dag).named_edges if checked.dag else None
    advice = locate(text, lint(checked.workflow, edges))
    assert all(each.line and each.column for each in advice)
    detail(checked.workflow)
    stats(checked.workflow, edges)
    outputs_to_clean(checked.workflow)
    diff(checked.workflow, OTHER)
    diff(OTHER, checked.workflow)
    export(checked.workflow, "docker")
    export(checked.workflow, "singularity")
    assert diff(checked.workflow, check_text(formatted).workflow) == []


@pytest.mark.parametrize("seed", range(40))
def test_mutated_workflows_raise_nothing_but_our_errors(seed):
    rng = random.Random(seed)
    use_everything(mutated(rng.choice(TEXTS), rng))


@pytest.mark.torture
@pytest.mark.parametrize("batch", range(20))
def test_many_mutated_workflows_raise_nothing_but_our_errors(batch):
    for seed in range(1000 * batch + 1000, 1000 * batch + 2000):
        rng = random.Random(seed)
        use_everything(mutated(rng.choice(TEXTS), rng))


names = st.text("ab-_:{}$\n'\"\\ é", min_size=1, max_size=8)
values = st.recursive(
    st.one_of(names, st.integers(-5, 5), st.booleans(), st.floats(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)),
    max_leaves=5,
)


def toml(value: object) -> str:
    if isinstance(value, dict):
        pairs = [f"{toml(key)} = {toml(item)}" for key, item in value.items()]
        return "{ " + ", ".join(pairs) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, bool) or value is None:
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(char):08X}" for char in value) + '"'
    return repr(value)


KEYS = sorted(
    {"input", "output", "shell", "script", "when", "params", "environment", "resources", "log"}
    | {"depends_on", "extends", "scatter", "transform", "expand_inputs", "threads", "envvars"}
    | {"pre_exec", "checkpoint", "retries", "tags", "nonsense"}
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(KEYS), values, max_size=4), max_size=4), names)
def test_rules_of_any_content_raise_nothing_but_our_errors(rules, name):
    text = f"[workflow]\nname = {toml(name)}\n"
    for number, rule in enumerate(rules):
        text += f'[[rules]]\nname = "r{number}"\n'
        text += "".join(f"{key} = {toml(value)}\n" for key, value in rule.items())
    use_everything(text)
