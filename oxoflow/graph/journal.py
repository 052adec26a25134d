"""Keep what an execution has done in `.oxo-flow/journal.jsonl`, so that nothing done is done again.

Owns the file and its lines: one for each node that ended, one for each step of a body, one for each
failed attempt, one for each password that a form was given. A line is on the disk before anything
that depends on it begins; a torn last line belongs to work that did not end. Reading trusts
nothing: code of the same execution can write here.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from oxoflow.engine.disk import trouble
from oxoflow.engine.masking import NO_MASK, Mask
from oxoflow.graph import model as m
from oxoflow.graph.hiding import LONGEST, MOST, hidden
from oxoflow.graph.results import How, NodeResult
from oxoflow.graph.rules import bodies

NAME = "journal.jsonl"
REPEATABLE = (m.Start, m.End, m.IfElse, m.Switch, m.Loop, m.TryCatch, m.Parallel)
MAX_READ = 256 * 1024 * 1024  # bytes of a journal that are read


class Memory(Struct):
    """What a journal says: results in order of completion, steps, and failed attempts so far."""

    results: dict[str, NodeResult] = field(default_factory=dict)  # by place
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)  # not to be shown


class Journal:
    """The one writer; any thread may append."""

    def __init__(self, path: Path, mask: Mask = NO_MASK, ended: Iterable[str] = ()) -> None:
        self._path = path
        self._mask = mask
        self._lock = threading.Lock()
        self._pending: list[str] = []
        self.ended = set(ended)  # the nodes with a result; the driver's thread
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = os.open(path, flags, 0o600)
            _cut_torn_line(self._descriptor)
        except OSError as error:
            raise trouble(path, error) from error

    def add_result(self, at: str, result: NodeResult) -> None:
        """Note a node's end; `commit` makes it last."""
        line = {
            "at": at, "node": result.node_id, "name": result.node_name, "kind": result.kind,
            "how": result.how.value, "started": result.started, "completed": result.completed,
            "output": result.output, "error": result.error, "retries": result.retries,
            "variables": dict(result.variables),
            "usage": dict(result.usage),
        }  # fmt: skip
        self._add(line)
        self.ended.add(at)

    def add_step(self, at: str, output: Any, variables: Mapping[str, Any]) -> None:
        """Note a step of a body as done."""
        self._add({"step": at, "output": output, "variables": dict(variables)})

    def add_attempt(self, at: str, number: int) -> None:
        """Note that attempt `number` of a node failed."""
        self._add({"failed": at, "attempt": number})

    def add_secret(self, text: str) -> None:
        """Note what is not to be shown; it stays readable here, where a later life needs it."""
        self._add({"secret": text})

    def _add(self, line: Mapping[str, Any]) -> None:
        text = json.dumps(hidden(line, self._mask), separators=(",", ":"))
        with self._lock:
            self._pending.append(text + "\n")

    def commit(self, sync: bool = True) -> None:
        """Write what was added; with `sync`, be sure that it survives a power cut."""
        with self._lock:
            content = "".join(self._pending).encode()
            self._pending.clear()
            if not content:
                return
            try:
                while content:
                    content = content[os.write(self._descriptor, content) :]
                if sync:
                    os.fdatasync(self._descriptor)
            except OSError as error:
                raise trouble(self._path, error) from error

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def is_repeatable(kind: m.Kind) -> bool:
    """Whether no harm is done if a power cut makes a node run again: it only computes."""
    return isinstance(kind, REPEATABLE) and not bodies(kind)


def read_journal(path: Path) -> Memory:
    """What the journal at `path` says; empty when there is none."""
    memory = Memory()
    for line in _lines(path):
        with contextlib.suppress(KeyError, TypeError, ValueError):
            if "at" in line:
                memory.results.setdefault(str(line["at"]), _result(line))
            elif "step" in line:
                step = {"output": line["output"], "variables": dict(line["variables"])}
                memory.steps.setdefault(str(line["step"]), step)
            elif "failed" in line:
                memory.attempts[str(line["failed"])] = int(line["attempt"])
            elif "secret" in line and len(memory.secrets) < MOST:
                memory.secrets.append(str(line["secret"])[:LONGEST])
    return memory


def _result(line: Mapping[str, Any]) -> NodeResult:
    usage = line.get("usage")
    error = line.get("error")
    return NodeResult(
        node_id=str(line["node"]),
        node_name=str(line["name"]),
        kind=str(line["kind"]),
        how=How(line["how"]),
        started=float(line["started"]),
        completed=float(line["completed"]),
        output=line.get("output"),
        error=None if error is None else str(error),
        retries=int(line["retries"]),
        variables=dict(line["variables"]),
        usage=dict(usage) if isinstance(usage, dict) else {},
    )


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return
    with open(descriptor, "rb") as handle:
        content = handle.read(MAX_READ)
    for raw in content[: content.rfind(b"\n") + 1].splitlines():
        try:
            line = json.loads(raw)
        except (ValueError, RecursionError):
            continue
        if isinstance(line, dict):
            yield line


def _cut_torn_line(descriptor: int) -> None:
    size = os.fstat(descriptor).st_size
    end = size
    while end > 0:
        start = max(0, end - 65536)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            os.ftruncate(descriptor, start + found + 1)
            return
        end = start
    os.ftruncate(descriptor, 0)
