"""Compare two workflows, export one as a container definition, print the format's schema.

Owns the three small verbs `diff`, `export` and `schema`; the work is done in `lang`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from oxoflow.commands.arguments import Arguments, Verb
from oxoflow.commands.loading import find_place, placed, write_text
from oxoflow.commands.options import FILE, JSON, WORKDIR, flag, value
from oxoflow.commands.output import plural, print_json
from oxoflow.engine.load import DirectoryView, directory_of, read_text
from oxoflow.lang.compose import compose
from oxoflow.lang.container import export
from oxoflow.lang.diff import diff
from oxoflow.lang.model import Workflow
from oxoflow.lang.parse import parse_workflow
from oxoflow.lang.schema import json_schema
from oxoflow.settings import load_limits

FORMATS = ("docker", "singularity")


def show_diff(arguments: Arguments) -> int:
    """Print what differs; exit 1 with --check when anything does."""
    first, second = arguments.files
    found = diff(_read(first), _read(second))
    if arguments.json:
        rows = [{"category": item.category, "description": item.description} for item in found]
        print_json({"diff_count": len(rows), "diffs": rows})
    else:
        for item in found:
            print(f"{item.category}: {item.description}")
        print(plural(len(found), "difference"))
    return 1 if arguments.check and found else 0


def _read(name: str) -> Workflow:
    text = read_text(Path(name))
    with placed(text, name):
        return parse_workflow(text, load_limits())


def show_export(arguments: Arguments) -> int:
    """Print or write a container definition."""
    place = find_place(arguments)
    text = read_text(place.file)
    with placed(text):
        workflow = compose(
            parse_workflow(text, load_limits()),
            DirectoryView(str(place.workdir)),
            directory=directory_of(place.file, place.workdir),
        )
    content = export(workflow, arguments.format)
    if arguments.output:
        write_text(arguments.output, content)
    elif arguments.json:
        print_json({"format": arguments.format, "content": content})
    else:
        sys.stdout.write(content)
    return 0


def show_schema(arguments: Arguments) -> int:
    """Print the JSON Schema of the format, for editors."""
    print_json(json_schema())
    return 0


VERBS: Mapping[str, Verb] = {
    "diff": Verb(
        "Compare two workflows by meaning: layout and comments do not count.",
        (
            value("files", nargs=2, metavar="FILE", help="the workflows to compare"),
            flag("--check", help="exit 1 when they differ"),
            JSON,
        ),
        show_diff,
    ),
    "export": Verb(
        "Write a Dockerfile or Singularity definition for a workflow.",
        (
            FILE,
            WORKDIR,
            value("-f", "--format", choices=FORMATS, default="docker", help="which of the two"),
            value("-o", "--output", metavar="PATH", help="write to a file"),
            JSON,
        ),
        show_export,
    ),
    "schema": Verb("Print the JSON Schema of the format.", (JSON,), show_schema),
}
