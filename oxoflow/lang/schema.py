"""Give the JSON Schema of the `.oxoflow` format, so that editors complete and check it.

Owns the schema's frame and how aliases and repeated tables appear in it. What may stand where
comes from `tables`, the same list that parses; what each key means comes from `glossary`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oxoflow.lang import tables
from oxoflow.lang.declared import DECLARATION
from oxoflow.lang.glossary import DEPRECATED, MEANINGS
from oxoflow.lang.shapes import Table

DRAFT = "https://json-schema.org/draft/2020-12/schema"
# Tables that occur in several places, or are worth a name of their own.
NAMED: Mapping[str, Table[Any]] = {
    "environment": tables.ENVIRONMENT,
    "rule": tables.RULE,
    "pair": tables.PAIR,
    "reference": tables.REFERENCE,
    "transform": tables.TRANSFORM,
    "combine": tables.COMBINE,
    "scatter": tables.SCATTER,
    "resources": tables.RESOURCES,
    "declaration": DECLARATION,
}


def json_schema() -> dict[str, Any]:
    """Return the schema of a whole workflow file (JSON Schema 2020-12)."""
    properties: dict[str, Any] = {
        "workflow": dict(tables.WORKFLOW.schema),
        "config": {
            "type": "object",
            "additionalProperties": {"anyOf": [_reference("declaration"), {}]},
        },
        "rules": {"type": "array", "items": _reference("rule")},
    }
    for key, (_, shape) in tables.TOP_LEVEL.items():
        properties[key] = dict(shape.schema)
    known = [(dict(table.schema), name) for name, table in NAMED.items()]
    return {
        "$schema": DRAFT,
        "title": "oxoflow workflow",
        "description": "A .oxoflow file, written in TOML",
        "type": "object",
        "required": ["workflow"],
        "properties": {
            key: _explained(_refer(value, known), (key,)) for key, value in properties.items()
        },
        "$defs": {name: _definition(name, table, known) for name, table in NAMED.items()},
    }


def _definition(
    name: str, table: Table[Any], known: list[tuple[dict[str, Any], str]]
) -> dict[str, Any]:
    schema = dict(table.schema)
    schema["properties"] = {key: _refer(each, known) for key, each in schema["properties"].items()}
    required, either = _requirements(table)
    schema.pop("required", None)
    if required:
        schema["required"] = required
    if either:
        schema["allOf"] = either
    return _explained(schema, (name,))


def _requirements(table: Table[Any]) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the keys that must be there, and for keys with aliases: one of which must be."""
    required: list[str] = []
    either: list[dict[str, Any]] = []
    for attribute in table.required:
        keys = [key for key, (name, _) in table.fields.items() if name == attribute]
        if len(keys) == 1:
            required.append(keys[0])
        else:
            either.append({"anyOf": [{"required": [key]} for key in keys]})
    return required, either


def _refer(value: Any, known: list[tuple[dict[str, Any], str]]) -> Any:
    """Return a schema with the named tables inside it replaced by references."""
    if isinstance(value, Mapping):
        for schema, name in known:
            if value == schema:
                return _reference(name)
        return {key: _refer(item, known) for key, item in value.items()}
    return [_refer(item, known) for item in value] if isinstance(value, list) else value


def _explained(schema: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """Return a schema with the meaning of its key, and of the keys below, as descriptions."""
    result = _explained_below(schema, path)
    where = ".".join(path)
    if where in MEANINGS:
        result["description"] = MEANINGS[where]
    if where in DEPRECATED:
        result["deprecated"] = True
    return result


def _explained_below(schema: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    result = dict(schema)
    if "properties" in result:
        result["properties"] = {
            key: _explained(each, (*path, key)) for key, each in result["properties"].items()
        }
    for key in ("items", "additionalProperties"):
        if key in result:
            result[key] = _explained_below(result[key], path)
    return result


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}
