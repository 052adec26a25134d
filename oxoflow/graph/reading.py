"""Read a graph's document from text or a file: JSON, or YAML where that is installed.

Owns the formats of import and export, and refuses what would blow up in memory. A body of the API
(`{"workflow": {…}}`) is taken as well as the bare document.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from oxoflow.errors import InvalidInput, UsageError
from oxoflow.graph import late
from oxoflow.graph.jsontext import parse_json

MAX_BYTES = 16 * 1024 * 1024
YAML = frozenset({".yaml", ".yml"})


def read_document(path: Path) -> Any:
    """The document in a file; raise UsageError naming file and reason."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(f"'{path}' is larger than {MAX_BYTES} bytes")
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"'{path}' cannot be read: {error.strerror}") from None
    try:
        document = parse_text(content.decode("utf-8"), path.suffix.lower() in YAML)
    except (InvalidInput, UnicodeDecodeError) as error:
        raise UsageError(f"'{path}': {error}") from None
    if isinstance(document, dict) and "workflow" in document and "nodes" not in document:
        return document["workflow"]
    return document


def read_collection(path: Path) -> list[dict[str, Any]]:
    """The entries of a collection in a JSON file; raise UsageError naming file and reason.

    The file holds what the vectors route takes, or its list alone, or a list of texts.
    """
    content = read_document(path)
    items = content.get("vectors") if isinstance(content, dict) else content
    if not isinstance(items, list):
        items = [None]
    entries = [_entry(at, item) for at, item in enumerate(items)]
    if None in entries:
        raise UsageError(
            f"'{path}' holds no collection: a list of texts, or of objects with 'id' and 'metadata'"
        )
    return [entry for entry in entries if entry is not None]


def _entry(at: int, item: Any) -> dict[str, Any] | None:
    if isinstance(item, str):
        return {"id": str(at), "metadata": {"text": item}}
    fits = isinstance(item, dict) and isinstance(item.get("id"), str)
    return item if fits and isinstance(item.get("metadata", {}), dict) else None


def parse_text(text: str, as_yaml: bool) -> Any:
    """The value of a JSON or YAML text; raise InvalidInput with the reason."""
    if as_yaml:
        return late.load("graph.yamltext:read_yaml")(text)
    try:
        return parse_json(text)
    except ValueError as error:
        raise InvalidInput(f"not JSON: {error}") from None
