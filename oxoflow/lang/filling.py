"""Fill the texts of one rule for all of its jobs at once, column by column.

Owns the speed of expansion: each text is cut once, texts without placeholders are shared, and
how much text comes out is bounded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from oxoflow.lang.model import FileSet, Rule
from oxoflow.lang.room import Room
from oxoflow.lang.transform import INSTANCE
from oxoflow.lang.wildcards import WILDCARD_PREFIX, Template, names_in


class Filler:
    """The values of every job of one rule, ready to be put into texts."""

    def __init__(self, rule: Rule, rows: Sequence[Mapping[str, str]], room: Room) -> None:
        self._rule = rule
        self._own = rows
        self._rows = rows = _with_wildcards(rule, rows)
        self._room = room
        self._longest: int | None = None
        known: set[str] = set()
        for row in rows:
            if len(row) != len(known):
                known.update(row)
        self._known = known

    def bindings(self) -> Sequence[tuple[tuple[str, str], ...]]:
        """Give each job's values as a job records them."""
        if INSTANCE in self._known:
            return [
                tuple([item for item in row.items() if item[0] != INSTANCE]) for row in self._own
            ]
        return [tuple(row.items()) for row in self._own]

    def texts(self, text: str | None) -> Sequence[str | None]:
        """Give the text of each job."""
        if text is None:
            return [None] * len(self._rows)
        return self._fill(Template(text, self._known))

    def files(self, files: FileSet) -> Sequence[FileSet]:
        """Give the files of each job; named files keep their names (S4)."""
        templates = [Template(path, self._known) for path in files.paths]
        if not any(template.names for template in templates):
            return [files] * len(self._rows)
        columns = [self._fill(template) for template in templates]
        names, pattern = files.names, files.pattern
        return [FileSet(paths, names, pattern) for paths in zip(*columns, strict=True)]

    def _fill(self, template: Template) -> list[str]:
        if template.names:
            size = template.size(self._longest_value())
            self._room.take_characters(self._rule, len(self._rows) * size)
        return template.fill_all(self._rows)

    def _longest_value(self) -> int:
        if self._longest is None:
            rows = self._rows
            self._longest = max([max(map(len, row.values()), default=0) for row in rows], default=0)
        return self._longest


def _with_wildcards(rule: Rule, rows: Sequence[Mapping[str, str]]) -> Sequence[Mapping[str, str]]:
    """Let `{wildcard.name}` give the value of a name, or nothing where a job has none.

    A later form of the format: it may ask for metadata that only some groups have.
    """
    hooks = (rule.pre_exec, rule.on_success, rule.on_failure)
    texts = [*rule.input.paths, *rule.output.paths, rule.shell, rule.script, rule.log, *hooks]
    asking = [text for text in texts if text and "{wildcard." in text]
    if not asking:
        return rows
    asked = {n: n.removeprefix(WILDCARD_PREFIX) for n in names_in(asking) if "wildcard." in n}
    return [{**row, **{full: row.get(name, "") for full, name in asked.items()}} for row in rows]
