"""Name what can be wrong with a graph: findings and the report (spec/oxify-api.md section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from oxoflow.graph.model import Graph


class Finding(Struct, frozen=True):
    """One thing that is wrong or strange; `node_id` when it is about one node."""

    code: str
    message: str
    node_id: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The form of the validate route."""
        return {"code": self.code, "message": self.message, "node_id": self.node_id}


class Report(Struct, frozen=True):
    """All findings; errors stand in the order in which the first one is to be told."""

    graph: Graph | None  # None when the document cannot be read as a graph
    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    stats: Mapping[str, Any]

    @property
    def valid(self) -> bool:
        """Whether the graph may run."""
        return not self.errors

    def as_json(self) -> dict[str, Any]:
        """The body of the validate route."""
        return {
            "valid": self.valid,
            "errors": [finding.as_json() for finding in self.errors],
            "warnings": [finding.as_json() for finding in self.warnings],
            "stats": dict(self.stats),
        }
