"""Turn an OxiFY JSON document into records and back (spec/oxify-api.md 2).

Owns the table of keys of every record. Checks shape only (types, ranges, missing keys); what the
parts mean to each other is `validate`'s. Unknown keys are ignored and do not come back.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from msgspec import Struct
from msgspec.structs import fields

from oxoflow.graph import model as m
from oxoflow.graph.shapes import (
    BAD,
    Field,
    Problem,
    Problems,
    Reader,
    anything,
    boolean,
    choice,
    identifier,
    integer,
    label,
    listing,
    mapping,
    moment,
    number,
    optional,
    point,
    record,
    text,
    word_of,
)

MAX_NODES = 5000
MAX_EDGES = 20_000
MAX_BODIES = 8  # bodies inside bodies
MILLISECONDS = integer(0, 30 * 24 * 3600 * 1000)
SECONDS = integer(0, 365 * 24 * 3600)
CONCURRENCY = integer(1, 1000)


def read_timeout_action(value: Any, path: str, problems: Problems) -> Any:
    """`"Fail"`, `"Skip"` or `{"UseDefault": text}`."""
    if value in ("Fail", "Skip"):
        return m.TimeoutAction(m.TimeoutChoice(value))
    if isinstance(value, dict) and isinstance(value.get("UseDefault"), str):
        return m.TimeoutAction(m.TimeoutChoice.USE_DEFAULT, value["UseDefault"])
    problems.append(Problem(path, 'expected "Fail", "Skip" or {"UseDefault": "<text>"}'))
    return BAD


def _read_count(value: Any, path: str, problems: Problems) -> Any:
    """The count of a Repeat: text as the model says, and a bare integer for convenience."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return text(value, path, problems)


def read_body(value: Any, path: str, problems: Problems) -> Any:
    """A node kind inside another node (4.7): any but those that only steer."""
    if path.count("body") > MAX_BODIES:
        problems.append(Problem(path, f"bodies are nested deeper than {MAX_BODIES}"))
        return BAD
    kind = read_kind(value, path, problems)
    if isinstance(kind, m.Start | m.End | m.IfElse | m.Switch):
        problems.append(Problem(path, f"a {value['type']} cannot be a body"))
        return BAD
    return kind


def read_loop_type(value: Any, path: str, problems: Problems) -> Any:
    """One of three variants, tagged inside the object."""
    if not isinstance(value, dict):
        problems.append(Problem(path, f"expected an object, found {word_of(value)}"))
        return BAD
    variant = value.get("variant")
    if not isinstance(variant, str) or variant not in LOOPS:
        problems.append(Problem(f"{path}.variant", f"expected one of {', '.join(LOOPS)}"))
        return BAD
    return READERS[LOOPS[variant]](value, path, problems)


def read_kind(value: Any, path: str, problems: Problems) -> Any:
    """A tagged object `{"type", "config"}`; Start and End need no config."""
    if not isinstance(value, dict):
        problems.append(Problem(path, f"expected an object, found {word_of(value)}"))
        return BAD
    name = value.get("type")
    if not isinstance(name, str):
        what = "is missing" if "type" not in value else f"expected a string, found {word_of(name)}"
        problems.append(Problem(f"{path}.type", what))
        return BAD
    if name not in KINDS:
        known = ", ".join(KINDS)
        problems.append(
            Problem(f"{path}.type", f"unknown node type '{name[:60]}'; known: {known}",
                    "UnknownNodeType")
        )  # fmt: skip
        return BAD
    config = value.get("config")
    if KINDS[name] in (m.Start, m.End):
        if config is None or isinstance(config, dict):
            return KINDS[name]()
        problems.append(Problem(f"{path}.config", f"{name} takes no config"))
        return BAD
    if config is None:
        problems.append(Problem(f"{path}.config", "is missing"))
        return BAD
    return READERS[KINDS[name]](config, f"{path}.config", problems)


KINDS: dict[str, type] = {
    "Start": m.Start, "End": m.End, "LLM": m.Llm, "Retriever": m.Retriever, "Code": m.Code,
    "IfElse": m.IfElse, "Switch": m.Switch, "Tool": m.Tool, "Loop": m.Loop,
    "TryCatch": m.TryCatch, "SubWorkflow": m.SubWorkflow, "Parallel": m.Parallel,
    "Approval": m.Approval, "Form": m.Form, "Vision": m.Vision,
}  # fmt: skip
KIND_NAMES = {kind: name for name, kind in KINDS.items()}
LOOPS: dict[str, type] = {"ForEach": m.ForEach, "While": m.While, "Repeat": m.Repeat}
LOOP_NAMES = {kind: name for name, kind in LOOPS.items()}


def _body(key: str = "body") -> Field:
    return Field(key, read_body, None, additive=True)


def _text(key: str, default: Any) -> Field:
    return Field(key, optional(text) if default is None else text, default)


def _nested(kind: type) -> Reader:
    """The reader of a record that stands elsewhere in the table."""
    return lambda value, path, problems: READERS[kind](value, path, problems)


TABLE: dict[type, tuple[Field, ...]] = {
    m.Schedule: (
        Field("cron", text),
        _text("timezone", "UTC"),
        Field("enabled", boolean, True),
        Field("max_concurrent_runs", integer(1), None),
        Field("retry_on_failure", boolean, False),
        Field("start_date", moment, None),
        Field("end_date", moment, None),
    ),
    m.Metadata: (
        Field("id", identifier, None),
        Field("name", label),
        _text("description", None),
        _text("version", "0.1.0"),
        Field("created_at", moment, None),
        Field("updated_at", moment, None),
        Field("tags", listing(text, 1000), ()),
        Field("parent_id", identifier, None),
        _text("change_description", None),
        Field("schedule", _nested(m.Schedule), None),
    ),
    m.Retry: (
        Field("max_retries", integer(0, 1000), 3),
        Field("initial_delay_ms", MILLISECONDS, 1000),
        Field("backoff_multiplier", number(0, 1e6), 2.0),
        Field("max_delay_ms", MILLISECONDS, 30000),
    ),
    m.Timeout: (
        Field("execution_timeout_ms", MILLISECONDS),
        Field("idle_timeout_ms", MILLISECONDS, None),
        Field("timeout_action", read_timeout_action, m.TimeoutAction()),
    ),
    m.ToolSpec: (Field("name", text), Field("description", text), Field("parameters", anything)),
    m.Image: (
        Field("data", text),
        Field("source_type", choice(m.ImageSource)),
        _text("media_type", None),
    ),
    m.Llm: (
        Field("provider", text),
        Field("model", text),
        _text("system_prompt", None),
        Field("prompt_template", text),
        Field("temperature", number(0, 2), None),
        Field("max_tokens", integer(1), None),
        Field("tools", listing(_nested(m.ToolSpec)), ()),
        Field("images", listing(_nested(m.Image)), ()),
        Field("extra_params", anything, None),
    ),
    m.Retriever: (
        Field("db_type", text),
        Field("collection", text),
        Field("query", text),
        Field("top_k", integer(1, 10_000)),
        Field("score_threshold", number(-1e9, 1e9), None),
    ),
    m.Code: (
        Field("runtime", text),
        Field("code", text),
        Field("inputs", listing(text), ()),
        Field("output", text),
    ),
    m.IfElse: (
        Field("expression", text),
        Field("true_branch", identifier),
        Field("false_branch", identifier),
    ),
    m.SwitchCase: (Field("match_value", text), Field("action", text)),
    m.Switch: (
        Field("switch_on", text),
        Field("cases", listing(_nested(m.SwitchCase))),
        _text("default_case", None),
    ),
    m.Tool: (
        Field("server_id", text),
        Field("tool_name", text),
        Field("parameters", anything, None),
    ),
    m.ForEach: (
        Field("collection_path", text),
        Field("item_variable", text),
        _text("index_variable", None),
        Field("body_expression", text),
        Field("parallel", boolean, False),
        Field("max_concurrency", CONCURRENCY, None),
    ),
    m.While: (
        Field("condition", text),
        Field("body_expression", text),
        _text("counter_variable", None),
    ),
    m.Repeat: (
        Field("count", _read_count),
        Field("body_expression", text),
        _text("index_variable", None),
    ),
    m.Loop: (
        Field("loop_type", read_loop_type),
        Field("max_iterations", integer(0, 1_000_000), 1000),
        _body(),
    ),
    m.TryCatch: (
        Field("try_expression", text),
        _text("catch_expression", None),
        _text("finally_expression", None),
        Field("rethrow", boolean, False),
        _text("error_variable", "error"),
        _body("try_body"),
        _body("catch_body"),
        _body("finally_body"),
    ),
    m.SubWorkflow: (
        Field("workflow_path", text),
        Field("input_mappings", mapping(text), m.NOTHING),
        _text("output_variable", None),
        Field("inherit_context", boolean, False),
    ),
    m.ParallelTask: (
        Field("id", text),
        Field("expression", text),
        _text("description", None),
        _body(),
    ),
    m.Parallel: (
        Field("strategy", choice(m.Strategy)),
        Field("tasks", listing(_nested(m.ParallelTask))),
        Field("max_concurrency", CONCURRENCY, None),
        Field("timeout_ms", MILLISECONDS, None),
    ),
    m.Approval: (
        Field("message", text),
        _text("description", None),
        Field("approvers", listing(text), ()),
        Field("timeout_seconds", SECONDS, None),
        Field("context_data", anything, None),
    ),
    m.FormField: (
        Field("id", text),
        Field("label", text),
        Field("field_type", choice(m.FieldType)),
        Field("required", boolean, False),
        Field("default_value", anything, None),
        Field("validation", mapping(anything), None),
        Field("options", listing(text), ()),
    ),
    m.Form: (
        Field("title", text),
        _text("description", None),
        Field("fields", listing(_nested(m.FormField))),
        Field("timeout_seconds", SECONDS, None),
        Field("allowed_submitters", listing(text), ()),
    ),
    m.Vision: (
        Field("provider", text),
        _text("model_path", None),
        _text("output_format", "markdown"),
        Field("use_gpu", boolean, False),
        _text("language", None),
        Field("image_input", text),
        Field("options", anything, None),
    ),
    m.Node: (
        Field("id", identifier),
        Field("name", text),
        Field("kind", read_kind),
        Field("position", point, None),
        Field("retry_config", _nested(m.Retry), None),
        Field("timeout_config", _nested(m.Timeout), None),
    ),
    m.Edge: (
        Field("id", identifier, None),
        Field("from", identifier, attribute="source"),
        Field("to", identifier, attribute="target"),
        _text("label", None),
        _text("condition", None),
    ),
}
READERS: dict[type, Reader] = {kind: record(kind, table) for kind, table in TABLE.items()}


def dump(value: Any) -> Any:
    """The JSON form of a record, an Enum, a tuple or a JSON value."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, m.TimeoutAction):
        return {"UseDefault": value.text} if value.text is not None else value.choice.value
    if isinstance(value, m.Start | m.End):
        return {"type": KIND_NAMES[type(value)]}
    if type(value) in KIND_NAMES:
        return {"type": KIND_NAMES[type(value)], "config": _dump_record(value)}
    if type(value) in LOOP_NAMES:
        return {"variant": LOOP_NAMES[type(value)], **_dump_record(value)}
    if isinstance(value, m.Graph):
        return {entry.name: dump(getattr(value, entry.name)) for entry in fields(value)}
    if isinstance(value, Struct):
        return _dump_record(value)
    if isinstance(value, tuple):
        return [dump(item) for item in value]
    return value


def _dump_record(value: Any) -> dict[str, Any]:
    return {
        entry.key: dump(getattr(value, entry.name))
        for entry in TABLE[type(value)]
        if not (entry.additive and getattr(value, entry.name) is None)
    }
