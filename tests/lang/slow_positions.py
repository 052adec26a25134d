"""Index every statement of a text, the plain way: what the quick index is compared with."""

from __future__ import annotations

import tomli

from oxoflow.lang.toml.literal import read
from oxoflow.lang.toml.scan import Kind, statements, text_of

Path = tuple[str | int, ...]


class SlowIndex:
    """Where every table and key stands; nothing is left out and nothing put off."""

    def __init__(self, text: str) -> None:
        self.text = text.removeprefix("\ufeff").replace("\r\n", "\n")
        self.offsets: dict[Path, int] = {(): 0}
        self.rules: dict[str, list[Path]] = {}
        self._counts: dict[Path, int] = {}
        base: Path = ()
        for statement in statements(self.text):
            if statement.kind in (Kind.TABLE, Kind.ELEMENT):
                base = self._table(statement)
            elif statement.kind is Kind.PAIR:
                self._pair(base, statement)

    def place(self, path: Path) -> tuple[int, int]:
        before = self.text[: self.offsets[path]]
        return before.count("\n") + 1, len(before) - before.rfind("\n")

    def nearest(self, path: Path) -> Path:
        while path not in self.offsets:
            path = path[:-1]
        return path

    def _table(self, statement) -> Path:
        path: Path = ()
        for part in statement.key[:-1]:
            path = (*path, part)
            self.offsets.setdefault(path, statement.start)
            if path in self._counts:
                path = (*path, self._counts[path] - 1)
        path = (*path, statement.key[-1])
        self.offsets.setdefault(path, statement.start)
        if statement.kind is Kind.ELEMENT:
            self._counts[path] = self._counts.get(path, 0) + 1
            path = (*path, self._counts[path] - 1)
            self.offsets.setdefault(path, statement.start)
        return path

    def _pair(self, base: Path, statement) -> None:
        path = base
        for part in statement.key:
            path = (*path, part)
            self.offsets.setdefault(path, statement.start)
        if statement.value[0] in "[{":
            self._items(path, read(statement.value), statement.value_start)
        if statement.key == ("name",) and base[:1] == ("rules",) and len(base) == 2:
            self.rules.setdefault(text_of(statement.value), []).append(base)
        if path == ("rules",) and statement.value[0] == "[":
            for number, rule in enumerate(tomli.loads(f"v = {statement.value}")["v"]):
                if isinstance(rule, dict) and isinstance(rule.get("name"), str):
                    self.rules.setdefault(rule["name"], []).append((*path, number))

    def _items(self, base: Path, item, start: int) -> None:
        for number, child in enumerate(item.items if item else ()):
            path = (*base, *child.key) if child.key else (*base, number)
            self.offsets.setdefault(path, start + child.start)
            if child.opening:
                self._items(path, child, start)
