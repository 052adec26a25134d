"""Find the line and column of tables and keys, for diagnostics that name a rule and a key.

Owns the index from a path (table, element number, key) to its place in the text. It is built only
when there is something to report: the headers in one pass, the keys of a table when one of them is
asked for; tomli itself keeps no positions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from msgspec.structs import replace

from oxoflow.errors import Diagnostic
from oxoflow.lang.gaps import spoken, stands_for
from oxoflow.lang.model import Module
from oxoflow.lang.toml.literal import Item, read
from oxoflow.lang.toml.outline import first_keys, landmarks
from oxoflow.lang.toml.scan import Kind, Lines, Statement, statement_at, text_of

Path = tuple[str | int, ...]
MOST_PARTS = 64  # of one dotted key; a text with longer ones is refused, and needs one place

_STEP = re.compile(r"[^.\[\]]+")
_PLACEHOLDER = re.compile(r"[${]?\{[\w.\[\]-]{1,80}\}{0,2}")  # as messages quote them


def locate(
    text: str, diagnostics: Iterable[Diagnostic], modules: Sequence[Module] = ()
) -> list[Diagnostic]:
    """Return the diagnostics with line and column filled in where they have none.

    A diagnostic is placed at the key it names inside the rule it names, else as near above as
    the text allows: the rule, the table, the include that may bring the rule in, the first line.
    What is meant in one of the `modules` is placed there, and names that file.
    """
    return Places(text).locate(diagnostics, modules)


class Places:
    """What `locate` does, for a text of which places are asked for more than once."""

    def __init__(self, text: str) -> None:
        self._text = text

    def locate(
        self, diagnostics: Iterable[Diagnostic], modules: Sequence[Module] = ()
    ) -> list[Diagnostic]:
        """Return the diagnostics with line and column filled in where they have none."""
        found = [
            replace(each, column=each.column or 1) if each.line else each for each in diagnostics
        ]
        named = any((each.rule or each.key) and not each.line for each in found)
        index = self._index if named else Index("")  # what names nothing stands at the beginning
        if named and modules:
            found = locate_included(found, modules, index)
        return [each if each.line else _placed(each, index) for each in map(spoken, found)]

    @cached_property
    def _index(self) -> Index:
        return Index(self._text)


def locate_included(
    diagnostics: Iterable[Diagnostic], modules: Sequence[Module], host: Index | None = None
) -> list[Diagnostic]:
    """Place what is meant in an included file, and leave the rest for `locate`.

    Without the `host`, the index of the workflow's own text, config keys are left as well: a key
    stands in an included file only when the workflow does not set it itself.
    """
    included = _Included(modules)
    found = [each if each.line else included.rule_placed(each) for each in diagnostics]
    if host is None:
        return found
    return [each if each.line else _key_placed(each, host, included) for each in found]


class _Included:
    """The files that includes brought, each looked through when something in it is meant."""

    def __init__(self, modules: Sequence[Module]) -> None:
        self._modules = modules
        self._homes = {rule: module for module in modules for rule in module.written}
        self._indexes: dict[str, Index] = {}

    def rule_placed(self, diagnostic: Diagnostic) -> Diagnostic:
        """Place what is said of one of the files, or of a rule that stands in one."""
        if diagnostic.file is not None:
            return self._file_placed(diagnostic)
        rule = diagnostic.rule
        home = self._homes.get(rule) if rule is not None else None
        if rule is None or home is None:
            return diagnostic
        path = self._index(home).find(home.written[rule], diagnostic.key)
        return self._at(diagnostic, home, path)

    def _file_placed(self, diagnostic: Diagnostic) -> Diagnostic:
        """Place what is said of a file itself."""
        homes = [module for module in self._modules if module.path == diagnostic.file]
        if not homes:
            return diagnostic
        path = self._index(homes[0]).find(diagnostic.rule, diagnostic.key)
        return self._at(diagnostic, homes[0], path)

    def key_placed(self, diagnostic: Diagnostic) -> Diagnostic:
        """Place what is said of a config key at the first of the files that sets it."""
        for module in self._modules if diagnostic.rule is None else ():
            path = _sets(self._index(module), diagnostic)
            if path is not None:
                return self._at(diagnostic, module, path)
        return diagnostic

    def _at(self, diagnostic: Diagnostic, module: Module, path: Path) -> Diagnostic:
        line, column = self._index(module).place_of(path, diagnostic.message)
        return replace(diagnostic, line=line, column=column, file=module.path)

    def _index(self, module: Module) -> Index:
        if module.path not in self._indexes:
            self._indexes[module.path] = Index(module.text)
        return self._indexes[module.path]


def _key_placed(diagnostic: Diagnostic, host: Index, included: _Included) -> Diagnostic:
    """Place what is said of a config key where its value comes from."""
    path = None if diagnostic.rule else _sets(host, diagnostic)
    if path is None:
        return included.key_placed(diagnostic)
    line, column = host.place(path)
    return replace(diagnostic, line=line, column=column) if path else diagnostic


def _sets(index: Index, diagnostic: Diagnostic) -> Path | None:
    """Return where a text sets the config key that is meant; () when none is meant."""
    table, *steps = _steps(diagnostic.key) or ("",)
    if table != "config" or not steps:
        return ()
    places = [path for path in index.config_places(steps[0]) if index.nearest(path) == path]
    return places[0] if places else None


def _placed(diagnostic: Diagnostic, index: Index) -> Diagnostic:
    line, column = index.place_of(index.find(diagnostic.rule, diagnostic.key), diagnostic.message)
    return replace(diagnostic, line=line, column=column)


class Index:
    """Where every table and key of one text stands."""

    def __init__(self, text: str) -> None:
        self._text = text = text.removeprefix("\ufeff").replace("\r\n", "\n")
        self._lines = Lines(text)
        self._offsets: dict[Path, int] = {(): 0}
        self._values: dict[Path, Statement] = {}
        self._counts: dict[Path, int] = {}
        self._headers = [0]  # where each section begins; the first has no header
        self._sections: dict[Path, int] = {(): 0}  # number of the section that fills a table
        self._keys: dict[Path, dict[str, list[int]]] = {}  # of the sections that were looked into
        self._rules: dict[str, Path] = {}
        self._second_rules: dict[str, Path] = {}  # of names that are given twice
        self._namespaces: dict[str, Path] = {}
        self._read()

    def place(self, path: Path) -> tuple[int, int]:
        """Return line and column, from 1, of a path that `find` or `nearest` returned."""
        return self._lines.place(self._offsets[path])

    def place_of(self, path: Path, message: str) -> tuple[int, int]:
        """Return the place in a text of several lines of what a message quotes from it, if any."""
        statement = self._values.get(path)
        if statement is None or "\n" not in statement.value:
            return self.place(path)
        for quoted in sorted(set(_PLACEHOLDER.findall(message)), key=len, reverse=True):
            ending = "" if quoted.endswith("}") else r"(?![\w}])"
            found = re.search(re.escape(quoted) + ending, statement.value)
            if found is not None:
                return self._lines.place(statement.value_start + found.start())
        return self.place(path)

    def find(self, rule: str | None, key: str | None) -> Path:
        """Return the path in the text that is nearest to `key` of `rule` (or of the workflow)."""
        steps = _steps(key)
        if rule is None or steps[:1] == ("rules",):
            return self.nearest(steps)
        number = stands_for(rule)
        if number is not None:
            return self.nearest(("rules", number, *steps))
        base = self._second_rules.get(rule) or self._rules.get(rule)
        return self._stand_in(rule) if base is None else self.nearest((*base, *steps))

    def config_places(self, key: str | int) -> Iterator[Path]:
        """Yield the paths at which a text may give a config key a value: itself, or by params."""
        yield ("config", key)
        for number in range(self._counts.get(("include",), 0)):
            yield ("include", number, "params", key)

    def nearest(self, path: Sequence[str | int]) -> Path:
        """Return the longest beginning of `path` that the text has a place for."""
        steps = tuple(path[: 2 * MOST_PARTS])  # nothing is remembered deeper
        for length in range(len(steps)):
            if steps[:length] in self._sections:
                self._open(steps[:length], steps[length])
        while steps not in self._offsets and not self._look_inside(steps):
            steps = steps[:-1]
        return steps

    def _stand_in(self, rule: str) -> Path:
        """Return where a rule of a file that was not read comes from, by its namespace."""
        namespace = rule.split("::")[0]
        if "::" in rule and namespace in self._namespaces:
            return self._namespaces[namespace]
        return self.nearest(("include", 0)) if ("include", 0) in self._sections else ()

    def _look_inside(self, path: Path) -> bool:
        """Read the inline value that `path` leads into, if there is one; True when it is there."""
        for length in range(len(path) - 1, 0, -1):
            statement = self._values.get(path[:length])
            if statement is not None:
                item = read(statement.value) if statement.value[:1] in ("[", "{") else None
                if item is not None:
                    self._add_items(path[:length], item, statement.value_start)
                return path in self._offsets
        return False

    def _add_items(self, base: Path, root: Item, start: int) -> None:
        stack: list[tuple[Path, Item]] = [(base, root)]
        while stack:
            path, item = stack.pop()
            for number, child in enumerate(item.items):
                inner: Path = (*path, *child.key) if child.key else (*path, number)
                self._offsets.setdefault(inner, start + child.start)
                if child.opening:
                    stack.append((inner, child))

    def _read(self) -> None:
        base: Path = ()
        for statement in landmarks(self._text):
            if statement.kind is Kind.PAIR:
                self._note(base, statement)
            else:
                base = self._enter(statement)
                self._sections[base] = len(self._headers)
                self._headers.append(statement.start)
                if statement.value and base[0] == "rules":
                    self._name(text_of(statement.value), base)

    def _enter(self, header: Statement) -> Path:
        """Give the path of the table that a header begins, and remember its place."""
        path: Path = ()
        if header.kind is Kind.ELEMENT and len(header.key) == 1:
            return self._enter_element(header.key, header.start)
        *parents, name = header.key[:MOST_PARTS]
        for part in parents:
            path = (*path, part)
            self._remember(path, header.start)
            if path in self._counts:
                path = (*path, self._counts[path] - 1)
        path = (*path, name)
        if header.kind is Kind.ELEMENT:
            return self._enter_element(path, header.start)
        self._remember(path, header.start)
        return path

    def _enter_element(self, array: Path, start: int) -> Path:
        number = self._counts.get(array, 0)
        self._counts[array] = number + 1
        if not number:
            self._remember(array, start)
        path = (*array, number)
        self._remember(path, start)
        return path

    def _remember(self, path: Path, offset: int) -> None:
        """Keep the first place of a path, in whichever order the places are found."""
        if self._offsets.setdefault(path, offset) > offset:
            self._offsets[path] = offset

    def _note(self, base: Path, statement: Statement) -> None:
        """Keep what a landmark says: the name of a rule or a namespace, or all the rules."""
        (key,) = statement.key
        if key == "name" and base[:1] == ("rules",) and len(base) == 2:
            self._name(text_of(statement.value), base)
        elif key == "namespace" and base[:1] == ("include",):
            self._namespaces.setdefault(text_of(statement.value), base)
        elif key == "rules" and not base and statement.value.startswith("["):
            self._add_inline_rules(statement)

    def _name(self, rule: str, base: Path) -> None:
        if self._rules.setdefault(rule, base) is not base:
            self._second_rules.setdefault(rule, base)

    def _open(self, base: Path, key: str | int) -> None:
        """Read the pairs of a table whose keys begin with `key`, once."""
        if base not in self._keys:
            number = self._sections[base]
            start = statement_at(self._text, self._headers[number])[1] if number else 0
            after = self._headers[number + 1 : number + 2]
            self._keys[base] = first_keys(self._text, start, *(after or [len(self._text)]))
        for offset in self._keys[base].pop(str(key), ()):
            pair, _ = statement_at(self._text, offset)
            if pair is not None:
                self._add_pair(base, pair)

    def _add_pair(self, base: Path, pair: Statement) -> None:
        path = base
        for part in pair.key[:MOST_PARTS]:
            path = (*path, part)
            self._remember(path, pair.start)
        self._values[path] = pair

    def _add_inline_rules(self, statement: Statement) -> None:
        item = read(statement.value)
        for number, rule in enumerate(item.items if item else ()):
            for child in rule.items:
                if child.key == ("name",):
                    self._name(text_of(child.raw), ("rules", number))
        if item:
            self._add_items(("rules",), item, statement.value_start)


def _steps(key: str | None) -> Path:
    """Return the steps of a key such as `resources.memory`, `input.2` or `rules.3.name`."""
    found = _STEP.findall(key or "")
    return tuple([int(step) if step.isdecimal() and len(step) < 10 else step for step in found])
