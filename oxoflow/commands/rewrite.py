"""Print, check or write the canonical form of a workflow (`format`).

Owns where the result goes; the form itself is `lang.format`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from oxoflow.commands.arguments import Arguments, Verb
from oxoflow.commands.format_large import format_any
from oxoflow.commands.loading import find_place, placed, write_text
from oxoflow.commands.options import FILE, JSON, flag, value
from oxoflow.commands.output import print_json
from oxoflow.engine.load import read_text


def show_format(arguments: Arguments) -> int:
    """Format one file."""
    file = find_place(arguments).file
    text = read_text(file)
    with placed(text):
        formatted = format_any(text)
    changed = formatted != text
    if arguments.json:
        print_json({"formatted": formatted, "changed": changed})
    elif arguments.check:
        if changed:
            print(f"{file.name} is not in canonical form; run 'oxoflow format -w {file.name}'")
    elif not (arguments.write or arguments.output):
        sys.stdout.write(formatted)
    if arguments.output:
        write_text(arguments.output, formatted)
    elif arguments.write and changed:
        _replace(file, formatted)
    return 1 if arguments.check and changed else 0


def _replace(file: Path, text: str) -> None:
    """Write by rename, so that an interrupted write leaves the old file."""
    draft = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    draft.write_text(text, encoding="utf-8")
    draft.chmod(file.stat().st_mode & 0o777)
    draft.replace(file)


VERBS: Mapping[str, Verb] = {
    "format": Verb(
        "Print the canonical form of a workflow; comments are kept.",
        (
            FILE,
            flag("--check", help="print nothing but a hint, exit 1 when the form differs"),
            flag("-w", "--write", help="replace the file"),
            value("-o", "--output", metavar="PATH", help="write to another file"),
            JSON,
        ),
        show_format,
    )
}
