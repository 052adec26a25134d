"""Work with OxiFY graphs without a server: validate, execute, show, answer, export.

Owns the words of these verbs and the form of their output; the graph side does the work. `execute`
is also what the server starts: with `--launch` it takes graph and inputs from the run directory.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from oxoflow.commands.arguments import Arguments, Verb
from oxoflow.commands.options import JSON, Option, flag, positive, several, value
from oxoflow.commands.output import print_json
from oxoflow.engine.events import Event
from oxoflow.engine.rundir import RunDirectory, RunState, await_launch, write_control
from oxoflow.errors import UsageError
from oxoflow.graph import late
from oxoflow.graph.asking import read_ask
from oxoflow.graph.compile import Program, compile_graph
from oxoflow.graph.detail import execution_detail
from oxoflow.graph.document import KIND_NAMES, dump
from oxoflow.graph.execution import Job, execute
from oxoflow.graph.forms import complaints, filled
from oxoflow.graph.reading import read_collection, read_document
from oxoflow.graph.supplies import DOCUMENT, Supplies, read_object, read_supplies
from oxoflow.graph.template import parsed
from oxoflow.graph.validate import read_graph, validate
from oxoflow.graph.work import Limits


def _validate(arguments: Arguments) -> int:
    """Print every finding; exit 1 when there are errors."""
    report = validate(read_document(Path(arguments.file)))
    if arguments.json:
        print_json(report.as_json())
    else:
        for level, findings in (("error", report.errors), ("warning", report.warnings)):
            for finding in findings:
                print(f"{arguments.file}: {level} {finding.code}: {finding.message}")
        if report.valid:
            nodes, edges = report.stats["total_nodes"], report.stats["total_edges"]
            print(f"{arguments.file}: valid, {nodes} nodes, {edges} edges")
    return 0 if report.valid else 1


def _show(arguments: Arguments) -> int:
    """Print the levels of a graph and where each node leads."""
    program = compile_graph(read_graph(read_document(Path(arguments.file))))
    rows = _rows(program)
    if arguments.json:
        print_json({"levels": program.levels, "nodes": rows})
        return 0
    for row in rows:
        targets = ", ".join(f"{link['to']}{link['when']}" for link in row["next"])
        print(
            f"{row['level']:>3}  {row['kind']:<12} {row['name']}"
            + (f" -> {targets}" * bool(targets))
        )
    return 0


def _rows(program: Program) -> list[dict[str, Any]]:
    names = [step.node.name for step in program.steps]
    rows = []
    for step in sorted(program.steps, key=lambda step: step.level):
        following = []
        for link in step.outgoing:
            parts = [] if link.verdict is None else [str(link.verdict).lower()]
            parts += [text for text in (link.case, link.condition) if text]
            when = f" [{', '.join(parts)}]" if parts else ""
            following.append({"to": names[link.target], "when": when})
        kind = KIND_NAMES[type(step.node.kind)]
        rows.append({"level": step.level, "kind": kind, "name": step.node.name, "next": following})
    return rows


def _execute(arguments: Arguments) -> int:
    """Execute a graph here and print what came of it."""
    if arguments.launch:
        return _execute_launched(arguments)
    document = read_document(Path(arguments.file))
    graph = read_graph(document)
    kept = arguments.workdir is not None
    root = Path(arguments.workdir or tempfile.mkdtemp(prefix="oxify-")).resolve()
    try:
        before = RunDirectory(root).read_run()
        supplies = Supplies(
            workflow_id=graph.metadata.id or str(uuid.uuid4()),
            variables=_variables(arguments),
            continue_on_error=arguments.continue_on_error,
            limits=Limits(slots=arguments.slots or 4, allowed_hosts=tuple(arguments.allow_host)),
            collections=_collections(arguments),
            servers=_servers(arguments),
        )
        job = Job(
            before.run_id if before else str(uuid.uuid4()),
            graph,
            supplies,
            root,
            library=Path(arguments.file).resolve().parent,
            on_event=_Watcher(root, arguments.yes).see,
        )
        record = execute(job, os.environ)
        detail = execution_detail(root, record, supplies)
        print_json(detail)
        return record.exit_code or 0
    finally:
        if not kept:
            shutil.rmtree(root, ignore_errors=True)


def _execute_launched(arguments: Arguments) -> int:
    """What the server starts: wait for its word, then execute what lies in the directory."""
    launch = await_launch(arguments.launch)
    if launch is None:
        return 0
    root = Path(arguments.workdir or ".")
    document = read_object(root / DOCUMENT)
    supplies = read_supplies(root)
    job = Job(launch.run_id, read_graph(document), supplies, root, nonce=launch.nonce)
    record = execute(job, os.environ)
    if record.state is RunState.CANCELLED:
        sys.stdout.flush()
        os._exit(record.exit_code or 0)  # a thread may still wait for a name server
    return record.exit_code or 0


class _Watcher:
    """Tell a person at the terminal what is going on, and what waits for an answer."""

    def __init__(self, root: Path, approve: bool) -> None:
        self._root = root
        self._approve = approve

    def see(self, event: Event) -> None:
        """One event of the execution."""
        if event.type in ("node.failed", "node.retry"):
            print(f"{event.rule}: {event.data.get('error')}", file=sys.stderr)
        if event.type in ("approval.requested", "form.requested"):
            number = str(event.data["id"])
            if self._approve and event.type == "approval.requested":
                _put_answer(self._root, number, {"status": "approved", "by": "--yes"})
                return
            verb = "--approve" if event.type == "approval.requested" else "--submit"
            print(
                f"{event.rule}: waits for an answer; in another terminal: "
                f"oxoflow oxify answer {self._root} {verb} {number}",
                file=sys.stderr,
            )


def _answer(arguments: Arguments) -> int:
    """Answer a question of an execution that runs without a server."""
    root = Path(arguments.file)
    given = [
        (number, status)
        for number, status in (
            (arguments.approve, "approved"),
            (arguments.reject, "rejected"),
            (arguments.submit, "submitted"),
        )
        if number
    ]
    if len(given) != 1:
        raise UsageError("give one of --approve ID, --reject ID, --submit ID --data JSON")
    number, status = given[0]
    ask = read_ask(RunDirectory(root).records, number)
    if ask is None:
        raise UsageError(f"'{root}' has no question {number}")
    answer: dict[str, Any] = {"status": status, "by": os.environ.get("USER") or "local"}
    answer["comments"] = arguments.comments
    if ask.get("kind") != ("form" if status == "submitted" else "approval"):
        cure = "--submit ID --data JSON" if ask.get("kind") == "form" else "--approve or --reject"
        raise UsageError(f"question {number} wants another answer: give {cure}")
    if status == "submitted":
        answer["form_data"] = _form_data(ask, arguments.data or "{}")
    _put_answer(root, number, answer)
    return 0


def _form_data(ask: dict[str, Any], text: str) -> dict[str, Any]:
    """What is filled into a form; raise UsageError for what its fields do not take (4.10)."""
    data, fields = parsed(text), ask.get("fields")
    if not isinstance(data, dict):
        raise UsageError("--data must be a JSON object: the values of the form's fields by id")
    fields = fields if isinstance(fields, list) else []
    wrong = complaints(fields, data)
    if wrong:
        raise UsageError("; ".join(wrong))
    return filled(fields, data)


def _put_answer(root: Path, number: str, answer: dict[str, Any]) -> None:
    write_control(RunDirectory(root).control, {"type": "answer", "id": number, **answer})


def _variables(arguments: Arguments) -> dict[str, Any]:
    """The execute variables: a JSON file, and NAME=VALUE words whose value is JSON or text."""
    found: dict[str, Any] = {}
    if arguments.variables:
        body = read_object(Path(arguments.variables))
        if body is None:
            raise UsageError(f"'{arguments.variables}' is not a JSON object")
        found = body
    for word in arguments.var:
        name, equals, text = word.partition("=")
        if not name or not equals:
            raise UsageError(f"--var {word}: variables are given as NAME=VALUE")
        found[name] = parsed(text)
    return found


def _named(flag: str, words: list[str], form: str) -> list[tuple[str, str]]:
    """The halves of words such as NAME=FILE; raise UsageError saying how they are given."""
    found = []
    for word in words:
        name, _, rest = word.partition("=")
        if not name or not rest:
            raise UsageError(f"{flag} {word}: give it as {form}")
        found.append((name, rest))
    return found


def _collections(arguments: Arguments) -> dict[str, Any]:
    """The collections that Retriever nodes search, by name."""
    pairs = _named("--collection", arguments.collection, "NAME=FILE")
    return {name: read_collection(Path(file)) for name, file in pairs}


def _servers(arguments: Arguments) -> dict[str, Any]:
    """The tool servers (MCP) that Tool nodes may name: a command, or an address."""
    found: dict[str, Any] = {}
    for name, place in _named("--tool-server", arguments.tool_server, "ID=COMMAND or ID=URL"):
        if place.startswith(("http://", "https://")):
            found[name] = {"server_type": "http", "endpoint": place}
        else:
            found[name] = {"server_type": "stdio", "command": _split(place)}
    return found


def _split(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise UsageError(f"--tool-server: '{command}' is no command: {error}") from None


def _export(arguments: Arguments) -> int:
    """Print a `.oxoflow` workflow as a graph."""
    file = Path(arguments.file)
    place = file.resolve().parent if arguments.workdir is None else Path(arguments.workdir)
    print_json(dump(late.load("graph.fromrules:graph_of_file")(file, place)))
    return 0


ACTIONS: dict[str, Callable[[Arguments], int]] = {
    "validate": _validate,
    "execute": _execute,
    "show": _show,
    "answer": _answer,
    "export": _export,
}


def run_action(arguments: Arguments) -> int:
    """Do what the first word says."""
    return ACTIONS[arguments.action](arguments)


OPTIONS: tuple[Option, ...] = (
    value("action", choices=tuple(ACTIONS), help="what to do with the graph"),
    value(
        "file",
        metavar="FILE",
        help="the graph, JSON or YAML; for answer, its DIR; for export, a .oxoflow",
    ),
    value("--workdir", metavar="DIR", help="execute here and keep it (default: a temporary one)"),
    value("--variables", metavar="FILE", help="a JSON object with the execute variables"),
    several("--var", metavar="NAME=VALUE", help="one execute variable; the value is JSON or text"),
    several("--collection", metavar="NAME=FILE", help="texts for Retriever nodes, as JSON"),
    several("--tool-server", metavar="ID=COMMAND", help="an MCP server: a command, or its URL"),
    value("--slots", type=positive, metavar="N", help="nodes at a time (default 4)"),
    several("--allow-host", metavar="HOST", help="a host, address or network nodes may call"),
    flag("--continue-on-error", help="go on with paths that do not depend on a failed node"),
    flag("--yes", help="approve every approval"),
    value("--approve", metavar="ID", help="answer: say yes"),
    value("--reject", metavar="ID", help="answer: say no"),
    value("--submit", metavar="ID", help="answer: submit a form"),
    value("--data", metavar="JSON", help="answer: the form's data"),
    value("--comments", metavar="TEXT", help="answer: a remark"),
    JSON,
    value("--launch", metavar="WORD", help="used by the server"),
)
SUMMARY = "Check, execute and look at OxiFY graphs"
VERBS = {"oxify": Verb(SUMMARY, OPTIONS, run_action)}
