"""Offer workflows of our own to learn from and to start with.

Owns the list of the files beside this one, in the order of a tour, and what each says about
itself: the category in its first comment line, the rest in its tables. Imports no language: the
server lists these files and reads none of them as a workflow.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import tomli
from msgspec import Struct

from oxoflow.errors import NotFound

DIRECTORY = Path(__file__).parent  # modules and sheets that some workflows need lie here too
_SUFFIX = ".oxoflow"
_CATEGORY = "# Category: "


class Entry(Struct, frozen=True):
    """What a list of the gallery shows of one workflow."""

    name: str
    title: str
    version: str
    category: str
    description: str
    rules: int


@cache
def names() -> tuple[str, ...]:
    """Return the names of all workflows, easy ones first."""
    return tuple(_files())


def read(name: str) -> str:
    """Return the text of a workflow. Raises NotFound for a name that is not in `names`."""
    file = _files().get(name)
    if file is None:
        raise NotFound(f"the gallery has no workflow '{name[:80]}'", ", ".join(names()))
    return file.read_text(encoding="utf-8")


def entry(name: str) -> Entry:
    """Return what a workflow says about itself. Raises NotFound."""
    text = read(name)
    first = text.partition("\n")[0]
    category = first.removeprefix(_CATEGORY) if first.startswith(_CATEGORY) else "Other"
    document = tomli.loads(text)
    head = document["workflow"]
    return Entry(
        name,
        head["name"],
        head["version"],
        category.strip(),
        head.get("description", ""),
        len(document["rules"]),
    )


@cache
def _files() -> dict[str, Path]:
    """Return the files by name, which is the file's without its number: `01-hello-world`."""
    return {path.stem.partition("-")[2]: path for path in sorted(DIRECTORY.glob(f"*{_SUFFIX}"))}
