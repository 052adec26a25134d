from __future__ import annotations

import subprocess
from typing import Any

import jsonschema
import pytest
import tomli

from oxoflow import gallery
from oxoflow.engine.checking import check_text
from oxoflow.engine.load import DirectoryView
from oxoflow.engine.select import rule_graph
from oxoflow.errors import NotFound, Severity
from oxoflow.lang.format import format_workflow
from oxoflow.lang.lint import lint
from oxoflow.lang.model import EnvironmentKind
from oxoflow.lang.parse import parse_workflow
from oxoflow.lang.schema import json_schema
from tests.gallery.drawing import GOLDEN, draw_graph, draw_jobs, load

NAMES = gallery.names()
MODULES = sorted((gallery.DIRECTORY / "modules").glob("*.oxoflow"))
TEXTS = {name: gallery.read(name) for name in NAMES} | {
    path.name: path.read_text(encoding="utf-8") for path in MODULES
}
# Remote includes are refused, so no workflow of ours can have them.
NOT_SHOWN = {"include.repo", "include.ref"}
# Advice that a workflow of ours may get: the first one is kept shorter than short.
ACCEPTED = {("hello-world", "W004")}


def test_the_tour_has_at_least_sixteen_stations_and_begins_with_hello():
    assert len(NAMES) >= 16
    assert NAMES[0] == "hello-world"
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_workflow_says_what_it_is(name):
    entry = gallery.entry(name)
    assert entry.name == name
    assert entry.category not in ("", "Other")
    assert len(entry.description) > 10
    assert parse_workflow(gallery.read(name)).author


def test_an_unknown_name_is_not_found():
    with pytest.raises(NotFound, match="no workflow 'x'"):
        gallery.read("x")
    with pytest.raises(NotFound):
        gallery.read("../demo/demo")


@pytest.mark.parametrize("name", NAMES)
def test_every_workflow_has_no_errors_and_no_warnings(name, tmp_path):
    load(name, tmp_path)
    checked = check_text(gallery.read(name), DirectoryView(str(tmp_path)))
    assert checked.diagnostics == ()
    advice = lint(checked.workflow, rule_graph(checked.dag).named_edges)
    warnings = {(name, each.code) for each in advice if each.severity is Severity.WARNING}
    assert warnings <= ACCEPTED


@pytest.mark.parametrize("name", NAMES)
def test_every_workflow_is_valid_for_callers_without_files(name):
    assert check_text(gallery.read(name)).errors == ()


@pytest.mark.parametrize("name", TEXTS)
def test_every_text_is_in_canonical_form_and_fits_the_schema(name):
    assert format_workflow(TEXTS[name]) == TEXTS[name]
    jsonschema.Draft202012Validator(json_schema()).validate(tomli.loads(TEXTS[name]))


@pytest.mark.parametrize("name", NAMES)
def test_the_jobs_and_commands_are_those_agreed(name, tmp_path):
    expected = (GOLDEN / f"{name}.jobs.txt").read_text(encoding="utf-8")
    assert draw_jobs(load(name, tmp_path)) == expected


@pytest.mark.parametrize("name", NAMES)
def test_the_graph_is_the_one_agreed(name, tmp_path):
    expected = (GOLDEN / f"{name}.dot").read_text(encoding="utf-8")
    assert draw_graph(load(name, tmp_path)) == expected


def test_every_command_is_good_bash(tmp_path):
    for name in NAMES:
        loaded = load(name, tmp_path / name if not (tmp_path / name).mkdir() else tmp_path)
        script = draw_commands(loaded)
        done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
        assert (name, done.returncode, done.stderr) == (name, 0, "")


def draw_commands(loaded) -> str:
    lines = draw_jobs(loaded).splitlines()
    return "\n".join(line[4:] for line in lines if line.startswith("    "))


def keys_shown(value: Any, schema: dict[str, Any], path: str, defs: dict[str, Any]) -> set[str]:
    """The keys of the schema that a document uses, as `table.key` or `definition.key`."""
    if "$ref" in schema:
        path = schema["$ref"].rpartition("/")[2]
        schema = defs[path]
    found: set[str] = set()
    for each in schema.get("anyOf", ()):
        if "$ref" in each and isinstance(value, dict):
            found |= keys_shown(value, each, path, defs)
    if isinstance(value, list):
        for item in value:
            found |= keys_shown(item, schema.get("items", {}), path, defs)
    for key, item in value.items() if isinstance(value, dict) else ():
        if key in schema.get("properties", {}):
            where = f"{path}.{key}".lstrip(".")
            found |= {where} | keys_shown(item, schema["properties"][key], where, defs)
        elif isinstance(schema.get("additionalProperties"), dict):
            found |= keys_shown(item, schema["additionalProperties"], path, defs)
    return found


def keys_of(schema: dict[str, Any], path: str) -> set[str]:
    found: set[str] = set()
    for key, each in schema.get("properties", {}).items():
        where = f"{path}.{key}".lstrip(".")
        found |= {where} | keys_of(each, where)
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            found |= keys_of(schema[inner], path)
    return found


def test_every_key_of_the_format_appears_in_some_workflow():
    schema = json_schema()
    wanted = keys_of(schema, "")
    for name, each in schema["$defs"].items():
        wanted |= keys_of(each, name)
    shown: set[str] = set()
    for text in TEXTS.values():
        shown |= keys_shown(tomli.loads(text), schema, "", schema["$defs"])
    assert wanted - shown == NOT_SHOWN


def test_every_kind_of_environment_appears():
    kinds = {kind.value for kind in EnvironmentKind} - {"system"}
    text = "\n".join(TEXTS.values())
    assert {kind for kind in kinds if f"\n{kind} = " in text} == kinds
