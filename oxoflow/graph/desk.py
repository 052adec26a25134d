"""Serve the nodes of one execution: emit, ask, remember, find directories and settings.

Owns the memory of steps and the paths inside the run directory. The one desk of an execution is
shared by all its drivers; every method may be called from any thread.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from oxoflow.engine.events import Event
from oxoflow.engine.masking import Mask
from oxoflow.engine.process import ProcessTable
from oxoflow.engine.rundir import RunDirectory, log_name
from oxoflow.graph.asking import Asking
from oxoflow.graph.attempts import default_seconds
from oxoflow.graph.hiding import hidden
from oxoflow.graph.journal import Journal, Memory
from oxoflow.graph.jsontext import MAX_NESTING, is_too_deep, parse_json
from oxoflow.graph.model import Kind
from oxoflow.graph.nodes.table import runner_of
from oxoflow.graph.supplies import Supplies
from oxoflow.graph.work import Context, Limits, NodeFailure, Outcome, Token

SCRATCH = "scratch"
PLACES = {"files": "files", "logs": ".oxo-flow/logs", "runs": "runs"}


class ExecutionDesk:
    """The desk of one execution."""

    def __init__(
        self,
        execution_id: str,
        directory: RunDirectory,
        supplies: Supplies,
        journal: Journal,
        memory: Memory,
        tell: Callable[[Event], None],
        hide: Callable[[Sequence[str]], Mask],
        *,
        attended: bool,
        environment: Mapping[bytes, bytes],
        settings: Mapping[str, str],
        library: Path | None = None,
    ) -> None:
        self.execution_id = execution_id
        self.limits: Limits = supplies.limits
        self.answers: dict[str, Any] = {}
        self.attended = attended
        self.environment = environment
        self.processes = ProcessTable()
        self.asking = Asking(execution_id, directory.records / "asks")
        self.journal = journal
        self.memory = memory
        self._directory = directory
        self._supplies = supplies
        self._tell = tell
        self._hide = hide
        self._mask = hide(())
        self._settings = settings
        self._library = library

    def emit(self, type: str, context: Context, **data: Any) -> None:
        """Tell the world what a node does."""
        named = {"node_id": context.node_id, "node_name": context.node_name, **data}
        self._tell(Event(type, context.node_id, context.node_name, named))

    def ask(
        self, kind: str, context: Context, body: Mapping[str, Any], seconds: float | None
    ) -> Mapping[str, Any]:
        """Put a question and wait for its answer."""
        return self.asking.ask(kind, context, body, seconds)

    def run(self, kind: Kind, context: Context) -> Outcome:
        """Run a node kind; without any deadline around it, it gets that of its kind."""
        outcome = self._run(kind, context)
        if is_too_deep(outcome.output) or is_too_deep(dict(outcome.variables)):
            raise NodeFailure(f"the output is nested deeper than {MAX_NESTING} levels", retry=False)
        return outcome

    def _run(self, kind: Kind, context: Context) -> Outcome:
        seconds = default_seconds(kind) if context.token.deadline is None else None
        if seconds is None:
            context.token.check()
            return runner_of(kind)(kind, context)
        token = Token(context.token, seconds)
        try:
            return runner_of(kind)(kind, context.inside("do", {}, token))
        finally:
            token.close()

    def remembered(self, context: Context) -> Mapping[str, Any] | None:
        """The record of a step that was done before a crash."""
        return self.memory.steps.get(context.at)

    def remember(self, context: Context, outcome: Outcome) -> None:
        """Record a step, on the disk before this returns."""
        self.journal.add_step(context.at, outcome.output, outcome.variables)
        self.journal.commit()

    def step(self, at: str) -> Mapping[str, Any] | None:
        """The record of the step at a place."""
        return self.memory.steps.get(at)

    def note(self, at: str, output: Any, variables: Mapping[str, Any]) -> None:
        """Note a step as done."""
        self.journal.add_step(at, output, variables)

    def commit(self, sync: bool = True) -> None:
        """Write what was noted; with `sync`, be sure that it survives a power cut."""
        self.journal.commit(sync)

    def failed_attempts(self, at: str) -> int:
        """How many attempts of the node at a place failed before this life."""
        return self.memory.attempts.get(at, 0)

    def note_attempt(self, at: str, number: int) -> None:
        """Record a failed attempt, on the disk before this returns."""
        self.journal.add_attempt(at, number)
        self.journal.commit()

    def hide(self, secrets: Sequence[str]) -> None:
        """Show these nowhere, in this life and in what is read of it later."""
        for secret in secrets:
            self.journal.add_secret(secret)
        if secrets:
            self.journal.commit()
            self._mask = self._hide(secrets)

    def shown(self, value: Any) -> Any:
        """A JSON value without what is hidden."""
        return hidden(value, self._mask)

    def document(self, path: str) -> Any:
        """The definition of a sub-workflow: copied at submission, or a file beside the graph."""
        if path in self._supplies.documents:
            return self._supplies.documents[path]
        if self._library is not None and not path.startswith("workflow:"):
            return read_beside(self._library, path)
        raise NodeFailure(f"sub-workflow '{path}' is not known here", retry=False)

    def server(self, server_id: str) -> Mapping[str, Any] | None:
        """A registered tool server."""
        server = self._supplies.servers.get(server_id)
        return server if isinstance(server, dict) else None

    def collection(self, name: str) -> Sequence[Mapping[str, Any]] | None:
        """The entries of a collection that came with the execution."""
        return self._supplies.collections.get(name)

    def scratch(self, context: Context) -> Path:
        """A fresh private directory, whatever an earlier life left beside it."""
        place = self._directory.records / SCRATCH
        place.mkdir(exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f"{log_name(context.at)[:80]}-", dir=place))

    def clear_scratch(self) -> None:
        """Remove what nodes of an earlier life left; to be called before any node runs."""
        shutil.rmtree(self._directory.records / SCRATCH, ignore_errors=True)

    def place(self, name: str) -> Path:
        """A lasting directory of the execution."""
        path = self._directory.root / PLACES[name]
        path.mkdir(exist_ok=True)
        return path

    def setting(self, name: str) -> str | None:
        """A variable of the runner's environment."""
        return self._settings.get(name) or None


def read_beside(library: Path, path: str) -> Any:
    """A JSON file inside a directory; absolute paths and paths that lead out are refused."""
    if path.startswith("/") or ".." in Path(path).parts or "\0" in path:
        raise NodeFailure(f"sub-workflow '{path}' must be a relative path inside", retry=False)
    place = (library / path).resolve()
    if library.resolve() not in place.parents:
        raise NodeFailure(f"sub-workflow '{path}' lies outside '{library}'", retry=False)
    try:
        document = parse_json(place.read_bytes())
    except OSError as error:
        raise NodeFailure(f"sub-workflow '{path}': {error.strerror}", retry=False) from None
    except ValueError as error:
        raise NodeFailure(f"sub-workflow '{path}' is not JSON: {error}", retry=False) from None
    if isinstance(document, dict) and "workflow" in document and "nodes" not in document:
        return document["workflow"]
    return document
