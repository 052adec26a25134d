"""Route the words of the command line to the verb they name, and word every failure.

Owns the table of verbs and the exit codes: 0 done, 1 a run failed or a check found errors, 2
usage or a workflow that cannot be planned. Verbs live in `oxoflow.commands` and are loaded only
when named, so that a start stays under a tenth of a second.
"""

from __future__ import annotations

import gc
import importlib
import io
import json
import sys
from collections.abc import Mapping, Sequence

from msgspec import Struct

from oxoflow import SELDOM, __version__
from oxoflow.commands.arguments import Verb, read_arguments
from oxoflow.commands.output import diagnostic_json, drop_output, open_closed_streams
from oxoflow.errors import Diagnostic, OxoflowError, RunError, UsageError, WorkflowError
from oxoflow.lang.nearest import most_alike

INTERRUPTED = 130
_SHOWN = 50  # diagnostics that are listed


class Entry(Struct, frozen=True):
    """Where a verb lives, and what it does in a few words."""

    module: str
    summary: str


VERBS: Mapping[str, Entry] = {
    "run": Entry("run", "Run a workflow: everything that is not up to date"),
    "plan": Entry("plan", "Say what a run would do, and why"),
    "dry-run": Entry("plan", "The same as plan"),
    "status": Entry("control", "Say how the run of a directory stands"),
    "resume": Entry("again", "Go on with the last run of a directory, or wake a paused one"),
    "retry": Entry("again", "Run what failed again, and what hangs below it"),
    "pause": Entry("control", "Start no new job until 'resume'"),
    "cancel": Entry("control", "Stop the run of a directory and everything it started"),
    "accept": Entry("results", "Declare results valid after a harmless edit"),
    "clean": Entry("clean", "List, or with --yes delete, the files a workflow makes"),
    "logs": Entry("results", "Show what a job wrote"),
    "records": Entry("results", "List the jobs that ran, with time, memory and exit codes"),
    "provenance": Entry("lineage", "Say which run and job made a file, and of what"),
    "compare": Entry("lineage", "Find the first job whose outputs differ between two runs"),
    "validate": Entry("check", "Check a workflow for errors"),
    "lint": Entry("check", "Check a workflow for errors and questionable style"),
    "format": Entry("rewrite", "Print, check or write the canonical form of a workflow"),
    "graph": Entry("show", "Draw the rules or jobs and their order"),
    "stats": Entry("show", "Count rules, threads, levels and wildcards"),
    "diff": Entry("compare", "Compare two workflows"),
    "export": Entry("compare", "Write a Dockerfile or Singularity definition"),
    "config": Entry("show", "Show the config values a run would use"),
    "samples": Entry("show", "Show samples and pairs, and which have all their files"),
    "schema": Entry("compare", "Print the JSON Schema of the format"),
    "oxify": Entry("oxify", "Check, execute and look at OxiFY graphs"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and give its exit code; prints its own errors."""
    words = list(sys.argv[1:] if argv is None else argv)
    gc.set_threshold(*SELDOM)
    open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names need not be text
    try:
        return _dispatch(words)
    except OxoflowError as error:
        return _report(error, as_json="--json" in words)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        drop_output()
        return 0
    except OSError as error:
        if error.filename:
            told = RunError(f"'{error.filename}': {error.strerror or error}")
            return _report(told, as_json="--json" in words)
        print(f"oxoflow: {error.strerror or error}", file=sys.stderr)
        return 1


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(_help())
        return 0 if words else 2
    if words[0] in ("-V", "--version"):
        print(f"oxoflow {__version__}")
        return 0
    name = words.pop(0)
    entry = VERBS.get(name)
    if entry is None:
        near = most_alike(name, VERBS)
        hint = f"did you mean '{near}'?" if near else "see 'oxoflow --help'"
        raise UsageError(f"'{name}' is no command; {hint}")
    # the one deliberate late import: a start loads the code of its own verb only
    module = importlib.import_module(f"oxoflow.commands.{entry.module}")
    verb: Verb = module.VERBS[name]
    return verb.run(read_arguments(name, verb, words))


def _help() -> str:
    width = max(map(len, VERBS))
    lines = [
        "oxoflow runs bioinformatics workflows written in .oxoflow files.",
        "",
        "usage: oxoflow COMMAND [FILE] [options]     (oxoflow COMMAND --help)",
        "",
    ]
    lines += [f"  {name:<{width}}  {entry.summary}" for name, entry in VERBS.items()]
    return "\n".join(lines)


def _report(error: OxoflowError, *, as_json: bool) -> int:
    found = error.diagnostics if isinstance(error, WorkflowError) else ()
    if as_json:
        body = {"error": error.message, "detail": error.detail}
        print(json.dumps({**body, "diagnostics": [diagnostic_json(item) for item in found]}))
    told = len(found) != 1 or not found[0].line or f"line {found[0].line}" in error.message
    place = "" if told else f" ({_place(found[0])})"
    print(f"oxoflow: {error.message}{place}", file=sys.stderr)
    if len(found) > 1:
        for item in found[:_SHOWN]:
            cure = f"; {item.suggestion}" if item.suggestion else ""
            print(f"  {_place(item)}: {item.message}{cure}", file=sys.stderr)
    if len(found) > _SHOWN:
        print(f"  and {len(found) - _SHOWN} more; see 'oxoflow validate'", file=sys.stderr)
    return error.exit_code


def _place(item: Diagnostic) -> str:
    return f"'{item.file}' line {item.line}" if item.file else f"line {item.line}"
