"""Name the JSON Schemas from which the contract is built, so that a route is described in a line.

Objects of answers are closed: a key that is not described is an error of ours. Objects of requests
are open: unknown fields are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
INSTANT: Schema = {"type": "string", "format": "date-time"}
UUID: Schema = {"type": "string", "format": "uuid"}
ANYTHING: Schema = {}
FREE: Schema = {"type": "object", "additionalProperties": True}
WORKFLOW_TEXT: Schema = {
    "type": "string",
    "description": "A workflow in the .oxoflow language.",
    "examples": [
        '[workflow]\nname = "demo"\n\n[[rules]]\nname = "a"\noutput = ["x.txt"]\n'
        'shell = "date > {output}"\n'
    ],
}


def answer_object(optional: Mapping[str, Schema] | None = None, **fields: Schema) -> Schema:
    """A closed object: every field is there, apart from the optional ones."""
    return {
        "type": "object",
        "properties": {**fields, **(optional or {})},
        "required": list(fields),
        "additionalProperties": False,
    }


def request_object(optional: Mapping[str, Schema] | None = None, **fields: Schema) -> Schema:
    """An open object; an optional field may be absent or null."""
    extra = {name: nullable(schema) for name, schema in (optional or {}).items()}
    return {"type": "object", "properties": {**fields, **extra}, "required": list(fields)}


def list_of(schema: Schema, **limits: int) -> Schema:
    """An array of one kind of thing."""
    return {"type": "array", "items": schema, **limits}


def map_of(schema: Schema) -> Schema:
    """An object with free keys."""
    return {"type": "object", "additionalProperties": schema}


def nullable(schema: Schema) -> Schema:
    """The same, or null."""
    if isinstance(schema.get("type"), str):
        wider = {**schema, "type": [schema["type"], "null"]}
        if "enum" in wider:
            wider["enum"] = [*wider["enum"], None]
        return wider
    return {"anyOf": [schema, {"type": "null"}]}


def one_of(*words: str) -> Schema:
    """A string from a closed set."""
    return {"type": "string", "enum": list(words)}


def text(longest: int, shortest: int = 0) -> Schema:
    """A string of limited length."""
    return {"type": "string", "minLength": shortest, "maxLength": longest}


def whole(low: int, high: int) -> Schema:
    """A whole number within limits."""
    return {"type": "integer", "minimum": low, "maximum": high}


def ref(name: str) -> Schema:
    """A schema that has a name in `components`."""
    return {"$ref": f"#/components/schemas/{name}"}
