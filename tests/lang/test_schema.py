from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import tomli

from oxoflow.errors import ParseError
from oxoflow.lang import tables
from oxoflow.lang.glossary import MEANINGS
from oxoflow.lang.parse import parse_workflow
from oxoflow.lang.schema import NAMED, json_schema
from oxoflow.lang.shapes import Table

SCHEMA = json_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
HEAD = '[workflow]\nname = "w"\n'


def test_the_schema_is_one_itself():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def keys(node: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    for key, value in node.get("properties", {}).items():
        yield (*path, key), value
        yield from keys(value, (*path, key))
    for inner in ("items", "additionalProperties"):
        if isinstance(node.get(inner), dict):
            yield from keys(node[inner], path)


def described() -> list[tuple[tuple[str, ...], dict[str, Any]]]:
    found = list(keys(SCHEMA, ()))
    for name, node in SCHEMA["$defs"].items():
        found += keys(node, (name,))
    return found


def test_every_key_says_what_it_means_and_no_meaning_is_left_over():
    assert [path for path, node in described() if "description" not in node] == []
    assert set(MEANINGS) == {".".join(path) for path, _ in described()}


@pytest.mark.parametrize(
    "table", [value for value in vars(tables).values() if isinstance(value, Table)]
)
def test_every_key_that_is_parsed_stands_in_the_schema(table):
    text = repr(SCHEMA)
    for key in table.fields:
        assert f"'{key}': {{" in text
    named = {name: each for name, each in NAMED.items() if each is table}
    for name in named:
        assert set(SCHEMA["$defs"][name]["properties"]) == set(table.fields)


GOOD = [
    HEAD,
    HEAD + "foo = 1\n[unknown]\nx = 1\n",
    HEAD + '[[rules]]\nname = "a"\ninput = ["x"]\nfoo = 1\n',
    HEAD + '[[rules]]\nname = "a"\ninput = { path = "d", pattern = "*" }\n',
    HEAD + '[[pairs]]\npair_id = "p"\ntumor = "t"\n',
    HEAD + '[config]\na = 1\nb = { default = "x", help = "h" }\nc = { default = 5 }\n',
    HEAD
    + '[[rules]]\nname = "a"\n'
    + 'transform = { split = { by = "k", n = 4 }, map = "x", combine = "y" }\n',
    HEAD + '[[rules]]\nname = "a"\nenvironment = { modules = "a, b" }\n',
]
BAD = [
    "",
    "[workflow]\n",
    "[workflow]\nname = 1\n",
    HEAD + '[[rules]]\nshell = "x"\n',
    HEAD + '[[rules]]\nname = "a"\nthreads = "8"\n',
    HEAD + '[[rules]]\nname = "a"\nthreads = -1\n',
    HEAD + '[[rules]]\nname = "a"\ninput = "a.txt"\n',
    HEAD + '[[rules]]\nname = "a"\nshadow = 5\n',
    HEAD + '[[rules]]\nname = "a"\nresources = { gpu_spec = { count = "1" } }\n',
    HEAD + '[[rules]]\nname = "a"\nenvironment = { conda = 1 }\n',
    HEAD + '[[rules]]\nname = "a"\nscatter = { values = ["x"] }\n',
    HEAD + '[[pairs]]\npair_id = "p"\n',
    HEAD + '[env_groups]\nqc = "x"\n',
    HEAD + 'profile_mode = "mix"\n',
    "rules = 1\n" + HEAD,
    HEAD + "[resource_groups.io]\nwait = 'queue'\n",
]


@pytest.mark.parametrize("text", GOOD)
def test_what_parses_passes_the_schema(text):
    parse_workflow(text)
    assert VALIDATOR.is_valid(tomli.loads(text))


@pytest.mark.parametrize("text", BAD)
def test_what_does_not_parse_fails_the_schema(text):
    with pytest.raises(ParseError):
        parse_workflow(text)
    assert not VALIDATOR.is_valid(tomli.loads(text))
