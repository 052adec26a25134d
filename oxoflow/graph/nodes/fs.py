"""Read, write and list files for a Tool node, confined to the execution's own directory.

Relative paths mean the directory `files` of the execution; absolute ones may be read, and only
below a data root that the operator named. Links that lead out are refused.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from oxoflow.graph import model as m
from oxoflow.graph.template import text_of
from oxoflow.graph.work import Context, NodeFailure, Outcome

MAX_BYTES = 8 * 1024 * 1024
MAX_ENTRIES = 10_000


def run_files(kind: m.Tool, context: Context) -> Outcome:
    """Run one of the tools `fs_read`, `fs_write`, `fs_list`."""
    parameters = kind.parameters if isinstance(kind.parameters, dict) else {}
    tool = TOOLS.get(kind.tool_name)
    if tool is None:
        known = ", ".join(TOOLS)
        raise NodeFailure(f"no tool '{kind.tool_name}' at 'fs'; there are {known}", retry=False)
    path = parameters.get("path", "." if kind.tool_name == "fs_list" else None)
    if not isinstance(path, str) or "\0" in path:
        raise NodeFailure("the parameter 'path' must be a path", retry=False)
    try:
        return Outcome(tool(path, parameters, context))
    except OSError as error:
        raise NodeFailure(f"'{path}': {error.strerror or error}") from error


def _read(path: str, parameters: dict[str, Any], context: Context) -> dict[str, Any]:
    place = _place(path, context, writing=False)
    descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(descriptor, "rb") as handle:
        content = handle.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise NodeFailure(f"'{path}' is larger than {MAX_BYTES} bytes", retry=False)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise NodeFailure(f"'{path}' is not UTF-8 text", retry=False) from None
    return {"path": path, "content": text, "size": len(content)}


def _write(path: str, parameters: dict[str, Any], context: Context) -> dict[str, Any]:
    if parameters.get("content") is None:
        raise NodeFailure("the parameter 'content' is missing", retry=False)
    content = text_of(parameters["content"]).encode()  # a placeholder alone keeps its JSON type
    place = _place(path, context, writing=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    with open(os.open(place, flags, 0o644), "wb") as handle:
        handle.write(content)
    return {"path": path, "size": len(content)}


def _list(path: str, parameters: dict[str, Any], context: Context) -> dict[str, Any]:
    entries: list[dict[str, Any]] = []
    with os.scandir(_place(path, context, writing=False)) as found:
        for entry in found:
            if len(entries) >= MAX_ENTRIES:
                raise NodeFailure(f"'{path}' has over {MAX_ENTRIES} entries", retry=False)
            is_file = entry.is_file(follow_symlinks=False)
            size = entry.stat(follow_symlinks=False).st_size if is_file else None
            kind = "file" if is_file else "directory" if entry.is_dir() else "other"
            name = os.fsencode(entry.name).decode("utf-8", "replace")
            entries.append({"name": name, "type": kind, "size": size})
    return {"path": path, "entries": sorted(entries, key=lambda entry: str(entry["name"]))}


def _place(path: str, context: Context, writing: bool) -> Path:
    """The real place of a path; raise NodeFailure when it lies outside."""
    own = context.desk.place("files").resolve()
    roots = [own] if writing else [own, *(root.resolve() for root in _roots(context))]
    place = (own / path).resolve()  # an absolute path replaces `own`
    if not any(place == root or root in place.parents for root in roots):
        where = "the execution's files" if writing else "the execution's files and the data roots"
        raise NodeFailure(f"'{path}' lies outside {where}", retry=False)
    return place


def _roots(context: Context) -> tuple[Path, ...]:
    return context.desk.limits.data_roots


TOOLS = {"fs_read": _read, "fs_write": _write, "fs_list": _list}
