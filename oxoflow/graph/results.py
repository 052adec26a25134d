"""Say how a node ended, in the words of the API (spec/oxify-api.md 2.5)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from msgspec import Struct, field

from oxoflow.engine.events import timestamp
from oxoflow.graph.document import KIND_NAMES
from oxoflow.graph.model import Node

MEASURED = ("token_usage", "bytes_transferred", "memory_bytes")


class How(Enum):
    """The ways a node can end."""

    SUCCESS = "Success"
    FAILURE = "Failure"
    SKIPPED = "Skipped"  # not taken, or timed out with the action Skip


class NodeResult(Struct, frozen=True):
    """What became of one node; times in seconds since 1970."""

    node_id: str
    node_name: str
    kind: str
    how: How
    started: float
    completed: float
    output: Any = None  # of a success
    error: str | None = None  # of a failure
    retries: int = 0
    variables: Mapping[str, Any] = field(default_factory=dict)
    usage: Mapping[str, Any] = field(default_factory=dict)  # metrics that the node measured

    @property
    def duration_ms(self) -> int:
        """Whole milliseconds from start to end."""
        return max(0, round((self.completed - self.started) * 1000))

    def as_json(self) -> dict[str, Any]:
        """The item of `node_results`."""
        return {
            "node_id": self.node_id,
            "node_name": self.node_name,
            "kind": self.kind,
            "started_at": timestamp(self.started),
            "completed_at": timestamp(self.completed),
            "result": self.result(),
            "retry_count": self.retries,
            "metrics": self._metrics(),
        }

    def result(self) -> Any:
        """`"Skipped"`, `{"Success": …}` or `{"Failure": …}`."""
        if self.how is How.SKIPPED:
            return "Skipped"
        return {self.how.value: self.output if self.how is How.SUCCESS else self.error}

    def _metrics(self) -> dict[str, Any] | None:
        if self.how is How.SKIPPED and not self.retries:
            return None
        metrics: dict[str, Any] = {
            "duration_ms": self.duration_ms,
            "token_usage": None,
            "cost_usd": None,
            "api_calls": self.retries + 1 if self.kind in ("LLM", "Tool") else 0,
            "bytes_transferred": 0,
            "memory_bytes": None,
            "custom": {},
        }
        return metrics | {name: self.usage[name] for name in MEASURED if name in self.usage}


def result_of(node: Node, how: How, started: float, completed: float, **more: Any) -> NodeResult:
    """A result with the node's own names in it."""
    kind = KIND_NAMES[type(node.kind)]
    return NodeResult(node.id, node.name, kind, how, started, completed, **more)
