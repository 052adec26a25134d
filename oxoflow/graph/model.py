"""Describe an OxiFY graph as frozen records: what the document says, nothing about running it.

Fields and defaults are those of spec/oxify-api.md section 2, with the additive keys of 4.7 (`body`
and its kin). Records hold JSON values as they came; nobody changes one after construction.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeAlias

from msgspec import Struct, field

Json: TypeAlias = Any  # None, bool, int, float, str, list or dict, as JSON has them
NOTHING: Mapping[str, Any] = {}


class Schedule(Struct, frozen=True):
    """When a graph is to start by itself (2.1)."""

    cron: str
    timezone: str = "UTC"
    enabled: bool = True
    max_concurrent_runs: int | None = None
    retry_on_failure: bool = False
    start_date: str | None = None
    end_date: str | None = None


class Metadata(Struct, frozen=True):
    """Who the graph is (2.1); an absent id or date is filled in by the server."""

    name: str
    id: str | None = None
    description: str | None = None
    version: str = "0.1.0"
    created_at: str | None = None
    updated_at: str | None = None
    tags: tuple[str, ...] = ()
    parent_id: str | None = None
    change_description: str | None = None
    schedule: Schedule | None = None


class Retry(Struct, frozen=True):
    """How often and how patiently a failed node is tried again (4.8)."""

    max_retries: int = 3
    initial_delay_ms: int = 1000
    backoff_multiplier: float = 2.0
    max_delay_ms: int = 30000

    def delay_ms(self, retry: int) -> float:
        """Milliseconds before retry number `retry`, counted from 1."""
        exponent = min(retry - 1, 64)  # beyond that the cap has long won; a float would overflow
        return float(
            min(self.initial_delay_ms * self.backoff_multiplier**exponent, self.max_delay_ms)
        )


class TimeoutChoice(Enum):
    """What becomes of a node whose attempt took too long (2.2)."""

    FAIL = "Fail"  # a failure like any other: it may be retried
    SKIP = "Skip"  # the result is `Skipped`, its outgoing edges stay active
    USE_DEFAULT = "UseDefault"  # success with the text given


class TimeoutAction(Struct, frozen=True):
    """The choice, and for `UseDefault` its text."""

    choice: TimeoutChoice = TimeoutChoice.FAIL
    text: str | None = None


class Timeout(Struct, frozen=True):
    """How long one attempt may take, and how long it may be silent (2.2)."""

    execution_timeout_ms: int = 60000
    idle_timeout_ms: int | None = None
    timeout_action: TimeoutAction = TimeoutAction()


class Start(Struct, frozen=True):
    """Where every execution begins."""


class End(Struct, frozen=True):
    """What every execution must reach."""


class ToolSpec(Struct, frozen=True):
    """A tool that a language model may ask for."""

    name: str
    description: str
    parameters: Json


class ImageSource(Enum):
    """Where the bytes of a prompt's image are."""

    URL = "Url"
    BASE64 = "Base64"


class Image(Struct, frozen=True):
    """A picture that goes with a prompt."""

    data: str
    source_type: ImageSource
    media_type: str | None = None


class Llm(Struct, frozen=True):
    """Ask a language model (4.12)."""

    provider: str
    model: str
    prompt_template: str
    system_prompt: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    tools: tuple[ToolSpec, ...] = ()
    images: tuple[Image, ...] = ()
    extra_params: Json = None


class Retriever(Struct, frozen=True):
    """Look up texts in a collection."""

    db_type: str
    collection: str
    query: str
    top_k: int
    score_threshold: float | None = None


class Code(Struct, frozen=True):
    """Run a program over variables."""

    runtime: str
    code: str
    output: str
    inputs: tuple[str, ...] = ()


class IfElse(Struct, frozen=True):
    """Go one of two ways by an expression (4.4)."""

    expression: str
    true_branch: str
    false_branch: str


class SwitchCase(Struct, frozen=True):
    """One way of a Switch: exact text, or `regex:` and a pattern."""

    match_value: str
    action: str


class Switch(Struct, frozen=True):
    """Go one of many ways by a text."""

    switch_on: str
    cases: tuple[SwitchCase, ...]
    default_case: str | None = None


class Tool(Struct, frozen=True):
    """Call something outside: HTTP, MCP, confined files, or a `.oxoflow` run."""

    server_id: str
    tool_name: str
    parameters: Json = None


class ForEach(Struct, frozen=True):
    """A pass per item of a list."""

    collection_path: str
    item_variable: str
    body_expression: str
    index_variable: str | None = None
    parallel: bool = False
    max_concurrency: int | None = None


class While(Struct, frozen=True):
    """Passes as long as a condition holds."""

    condition: str
    body_expression: str
    counter_variable: str | None = None


class Repeat(Struct, frozen=True):
    """A number of passes."""

    count: str
    body_expression: str
    index_variable: str | None = None


LoopType = ForEach | While | Repeat


class Loop(Struct, frozen=True):
    """Do one thing many times (4.7); `body` runs instead of the expression when it is there."""

    loop_type: LoopType
    max_iterations: int = 1000
    body: Kind | None = None


class TryCatch(Struct, frozen=True):
    """Try, catch, and do what must be done in the end (4.7)."""

    try_expression: str
    catch_expression: str | None = None
    finally_expression: str | None = None
    rethrow: bool = False
    error_variable: str = "error"
    try_body: Kind | None = None
    catch_body: Kind | None = None
    finally_body: Kind | None = None


class SubWorkflow(Struct, frozen=True):
    """Run another graph and take its result."""

    workflow_path: str
    input_mappings: Mapping[str, str] = field(default_factory=dict)
    output_variable: str | None = None
    inherit_context: bool = False


class Strategy(Enum):
    """When a Parallel node is done (4.7)."""

    WAIT_ALL = "WaitAll"  # when all succeeded; the first error fails it
    RACE = "Race"  # at the first success
    ALL_SETTLED = "AllSettled"  # when all have ended, whichever way


class ParallelTask(Struct, frozen=True):
    """One of the things a Parallel node does at a time."""

    id: str
    expression: str
    description: str | None = None
    body: Kind | None = None


class Parallel(Struct, frozen=True):
    """Do several things at a time."""

    strategy: Strategy
    tasks: tuple[ParallelTask, ...]
    max_concurrency: int | None = None
    timeout_ms: int | None = None


class Approval(Struct, frozen=True):
    """Wait until a person says yes or no (4.10)."""

    message: str
    description: str | None = None
    approvers: tuple[str, ...] = ()
    timeout_seconds: int | None = None
    context_data: Json = None


class FieldType(Enum):
    """What a form field takes."""

    TEXT = "Text"
    NUMBER = "Number"
    EMAIL = "Email"
    PASSWORD = "Password"
    TEXT_AREA = "TextArea"
    SELECT = "Select"
    MULTI_SELECT = "MultiSelect"
    RADIO = "Radio"
    CHECKBOX = "Checkbox"
    DATE = "Date"
    DATE_TIME = "DateTime"


class FormField(Struct, frozen=True):
    """One question of a form."""

    id: str
    label: str
    field_type: FieldType
    required: bool = False
    default_value: Json = None
    validation: Mapping[str, Json] | None = None
    options: tuple[str, ...] = ()


class Form(Struct, frozen=True):
    """Wait until a person has filled in a form (4.10)."""

    title: str
    fields: tuple[FormField, ...]
    description: str | None = None
    timeout_seconds: int | None = None
    allowed_submitters: tuple[str, ...] = ()


class Vision(Struct, frozen=True):
    """Read the text in a picture."""

    provider: str
    image_input: str
    model_path: str | None = None
    output_format: str = "markdown"
    use_gpu: bool = False
    language: str | None = None
    options: Json = None


Kind = (
    Start | End | Llm | Retriever | Code | IfElse | Switch | Tool
    | Loop | TryCatch | SubWorkflow | Parallel | Approval | Form | Vision
)  # fmt: skip


class Node(Struct, frozen=True):
    """A step: its kind says what it does (2.2)."""

    id: str
    name: str
    kind: Kind
    position: tuple[float, float] | None = None
    retry_config: Retry | None = None
    timeout_config: Timeout | None = None


class Edge(Struct, frozen=True):
    """One node after another, perhaps only if a label or a condition fits (2.4, 4.2)."""

    source: str
    target: str
    id: str | None = None
    label: str | None = None
    condition: str | None = None


class Graph(Struct, frozen=True):
    """A whole document: what the OxiFY API calls a workflow (2.1)."""

    metadata: Metadata
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
