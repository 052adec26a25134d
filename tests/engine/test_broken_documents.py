"""Whatever is wrong with a document, looking at it says so and nothing else, and never fails."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from random import Random
from typing import Any

import pytest
import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

from oxoflow import gallery
from oxoflow.engine.checking import check_text
from oxoflow.engine.load import load_text
from oxoflow.errors import WorkflowError
from oxoflow.lang.lint import lint, lint_written
from oxoflow.lang.positions import locate
from oxoflow.lang.values import toml_text
from tests.lang.build import Files

STRUCTURAL = {"S002", "S003", "S004", "S005", "S009"}
WRONG = (5, -1, 1.5, "x", "", True, [], {}, [1], [{}], {"a": 1}, "{config.no}", "config.no", "../x")
DOCUMENTS = [tomli.loads(gallery.read(name)) for name in gallery.names()]


def inner(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Give the path to every value inside a document."""
    if path:
        yield path
    for key, item in pairs_of(value):
        yield from inner(item, (*path, key))


def pairs_of(value: Any) -> list[tuple[str | int, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else []


@pytest.mark.parametrize("name", gallery.names())
def test_a_wrong_value_anywhere_in_a_good_workflow_is_all_that_is_told(name):
    document = tomli.loads(gallery.read(name))
    before = {each.code for each in check_text(written(document)).diagnostics}
    for path in inner(document):
        broken = deepcopy(document)
        within = broken
        for step in path[:-1]:
            within = within[step]
        within[path[-1]] = 5
        found = check_text(written(broken)).diagnostics
        if any(each.code in STRUCTURAL for each in found):
            assert {each.code for each in found} <= before | STRUCTURAL, (path, found)


def written(document: dict[str, Any]) -> str:
    return "".join(f"{key} = {toml_text(value)}\n" for key, value in document.items())


def spoil(document: dict[str, Any], chance: Random) -> dict[str, Any]:
    """Give a document with some values changed, removed, doubled or renamed."""
    document = deepcopy(document)
    for _ in range(chance.randint(1, 4)):
        path = chance.choice([*inner(document)] or [("workflow",)])
        within: Any = document
        for step in path[:-1]:
            within = within[step]
        last = path[-1]
        deed = chance.random()
        if deed < 0.6 or last not in [key for key, _ in pairs_of(within)]:
            within[last] = deepcopy(chance.choice(WRONG))
        elif deed < 0.8:
            del within[last]
        elif isinstance(within, list):
            within.append(deepcopy(within[last]))
        else:
            within[f"{last}x"] = within[last]
    return document


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_no_spoilt_document_brings_anything_but_findings_each_of_them_once(seed):
    chance = Random(seed)
    host, *others = [spoil(each, chance) for each in chance.sample(DOCUMENTS, 3)]
    host["include"] = [
        {"path": "0", "namespace": "n"},
        {"path": "1"},
        *([{"path": "gone"}] if chance.random() < 0.3 else []),
    ]
    text = written(host)
    view = Files({str(at): written(each) for at, each in enumerate(others)})
    checked = check_text(text, view, look=True)
    found = list(checked.diagnostics)
    if checked.workflow is not None:
        advice = lint(checked.workflow, None, view=view)
        found += locate(text, advice, checked.workflow.modules)
    elif checked.readable is not None:
        advice = lint_written(checked.readable)
        found += locate(text, advice, checked.readable.modules)
    marks = [(each.code, each.file, each.line, each.column, each.message) for each in found]
    assert len(set(marks)) == len(marks)
    assert all(each.line for each in found)
    assert all(mark not in str(marks) for mark in ("\\x00", "\\x01", "\\x02", "\\x05"))
    if any(each.code in STRUCTURAL for each in checked.errors):
        with pytest.raises(WorkflowError):
            load_text(text, view=view)
