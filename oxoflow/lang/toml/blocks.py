"""Arrange the statements of a TOML text as a tree of tables, each with the comments it owns.

Owns the question which comment belongs to which key or table, for `format`. Changes no order and
no spelling. A comment directly above a key or header belongs to it; one that directly follows a
line and is itself followed by an empty line belongs to the table it stands in.
"""

from __future__ import annotations

from msgspec import Struct, field

from oxoflow.lang.toml.scan import Kind, Statement, statements

Paragraph = list[str]


class Entry(Struct):
    """One `key = value` with the comment lines above it and the one at its end."""

    key: tuple[str, ...]
    value: str
    lead: Paragraph = field(default_factory=list)
    comment: str = ""


class Block(Struct):
    """One table or one element of an array of tables.

    `explicit` tables have a header of their own in the text; others exist through their children.
    `lead` are the paragraphs above the header (`gap`: with an empty line between), `head` the one
    right below it, `tail` the one right below its last line.
    """

    name: str = ""
    parent: Block | None = None
    element: bool = False
    explicit: bool = False
    comment: str = ""
    lead: list[Paragraph] = field(default_factory=list)
    gap: bool = False
    head: Paragraph = field(default_factory=list)
    tail: Paragraph = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    children: dict[str, list[Block]] = field(default_factory=dict)

    def path(self) -> tuple[str, ...]:
        """Return the names from the root to this table."""
        names: list[str] = []
        block: Block | None = self
        while block is not None and block.parent is not None:
            names.append(block.name)
            block = block.parent
        return tuple(reversed(names))


class Document(Struct):
    """A whole text: its root table, and the comments at its very top and bottom."""

    root: Block
    top: list[Paragraph] = field(default_factory=list)
    bottom: list[Paragraph] = field(default_factory=list)


def read_document(text: str) -> Document:
    """Return the tree of a valid TOML text whose line ends are `\\n`."""
    return _Builder(text).build()


class _Builder:
    def __init__(self, text: str) -> None:
        self._statements = statements(text)
        self._document = Document(Block())
        self._block = self._document.root
        self._previous: Kind | None = None
        self._paragraphs: list[Paragraph] = []
        self._attached = False  # the first paragraph follows the previous statement directly
        self._blank = True  # an empty line, or nothing, is right above

    def build(self) -> Document:
        for statement in self._statements:
            if statement.kind is Kind.BLANK:
                self._blank = True
            elif statement.kind is Kind.COMMENT:
                self._add_comment(statement.value)
            elif statement.kind is Kind.PAIR:
                self._add_pair(statement)
            else:
                self._add_header(statement)
        self._end()
        return self._document

    def _add_comment(self, text: str) -> None:
        if not self._paragraphs:
            self._attached = not self._blank
        if self._blank or not self._paragraphs:
            self._paragraphs.append([])
        self._paragraphs[-1].append(text)
        self._blank = False

    def _add_pair(self, statement: Statement) -> None:
        self._take_top()
        if self._first_stands_alone() and self._previous is not Kind.PAIR:
            self._block.head += self._paragraphs.pop(0)
        lead = [line for paragraph in self._paragraphs for line in paragraph]
        self._block.entries.append(Entry(statement.key, statement.value, lead, statement.comment))
        self._next(Kind.PAIR)

    def _add_header(self, statement: Statement) -> None:
        self._take_top()
        if self._first_stands_alone():
            self._block.tail += self._paragraphs.pop(0)
        block = self._open(statement)
        block.lead += self._paragraphs
        block.gap = bool(self._paragraphs) and self._blank
        block.comment = statement.comment
        block.explicit = True
        self._block = block
        self._next(Kind.TABLE)

    def _end(self) -> None:
        self._blank = True
        self._take_top()
        if self._first_stands_alone():
            self._block.tail += self._paragraphs.pop(0)
        self._document.bottom = self._paragraphs

    def _next(self, kind: Kind) -> None:
        self._previous, self._paragraphs, self._blank = kind, [], False

    def _take_top(self) -> None:
        """Before the first statement, what an empty line ends belongs to the file."""
        if self._previous is None and self._paragraphs:
            count = len(self._paragraphs) - (0 if self._blank else 1)
            self._document.top = self._paragraphs[:count]
            self._paragraphs = self._paragraphs[count:]

    def _first_stands_alone(self) -> bool:
        """Return whether the first paragraph touches the line above but not the one below."""
        if self._previous is None or not self._paragraphs or not self._attached:
            return False
        return len(self._paragraphs) > 1 or self._blank

    def _open(self, statement: Statement) -> Block:
        block = self._document.root
        *parents, name = statement.key
        for part in parents:
            block = _last(block, part)
        if statement.kind is Kind.TABLE and name in block.children:
            return block.children[name][-1]
        made = Block(name, block, element=statement.kind is Kind.ELEMENT)
        block.children.setdefault(name, []).append(made)
        return made


def _last(block: Block, name: str) -> Block:
    found = block.children.get(name)
    if found:
        return found[-1]
    made = Block(name, block)
    block.children[name] = [made]
    return made
