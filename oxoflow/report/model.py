"""Hold a report as records: sections with content of a few kinds (spec/oxo-flow-api.md 5.12).

Owns the shapes and their JSON. Knows neither workflows nor HTML.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field


class Text(Struct, frozen=True):
    """A paragraph."""

    text: str


class KeyValue(Struct, frozen=True):
    """Names with their values, in order."""

    pairs: tuple[tuple[str, str], ...]


class Table(Struct, frozen=True):
    """Rows under headers."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Content = Text | KeyValue | Table


class Section(Struct, frozen=True):
    """One part of a report; `id` is stable, so that links and programs can rely on it."""

    title: str
    id: str
    content: Content
    subsections: tuple[Section, ...] = ()


class Report(Struct, frozen=True):
    """A whole report; `generated_at` is RFC 3339."""

    title: str
    generated_at: str
    workflow_name: str
    workflow_version: str
    sections: tuple[Section, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)


def to_json(report: Report) -> dict[str, Any]:
    """The report as plain data."""
    return {
        "title": report.title,
        "generated_at": report.generated_at,
        "workflow_name": report.workflow_name,
        "workflow_version": report.workflow_version,
        "sections": [_section(section) for section in report.sections],
        "metadata": dict(report.metadata),
    }


def _section(section: Section) -> dict[str, Any]:
    return {
        "title": section.title,
        "id": section.id,
        "content": _content(section.content),
        "subsections": [_section(part) for part in section.subsections],
    }


def _content(content: Content) -> dict[str, Any]:
    match content:
        case Text():
            return {"type": "Text", "text": content.text}
        case KeyValue():
            return {"type": "KeyValue", "pairs": [list(pair) for pair in content.pairs]}
        case Table():
            rows = [list(row) for row in content.rows]
            return {"type": "Table", "headers": list(content.headers), "rows": rows}
