"""Write a workflow text in its canonical form and lose nothing (spec/oxo-flow-api.md 5.7).

Owns the order of tables and keys and the empty lines between them; `blocks` says which comment
belongs where, `layout` how one value is spelled, `order` what comes first. Works on the text
alone: includes, defaults and injected values never enter it. Linear in the length of the text.
"""

from __future__ import annotations

from collections.abc import Iterator

import tomli

from oxoflow.lang.parse import parse_workflow
from oxoflow.lang.toml import order
from oxoflow.lang.toml.blocks import Block, Document, Entry, read_document
from oxoflow.lang.toml.layout import item_text, key_text, value_text
from oxoflow.lang.toml.literal import has_own_comment, read
from oxoflow.limits import DEFAULT, Limits


def format_workflow(text: str, limits: Limits = DEFAULT) -> str:
    """Return the canonical form of a workflow text: same data, same comments, settled order.

    Raises ParseError for a text that is no workflow. What comes out reads back as exactly the
    data that went in; should the canonical form of some text ever fail that test, the text
    itself is the answer.
    """
    document = parse_workflow(text, limits).document
    text = text.removeprefix("\ufeff")
    after = canonical(text)
    try:
        return after if same(tomli.loads(after), document) else text
    except (tomli.TOMLDecodeError, RecursionError):
        return text


def canonical(text: str) -> str:
    """Return the canonical form of a text that is known to be TOML, without proof of equality."""
    document = read_document(text.replace("\r\n", "\n"))
    chunks = list(_document(document))
    return "\n\n".join(chunks) + "\n" if chunks else ""


def same(left: object, right: object) -> bool:
    """Return whether two TOML values are equal in type and value; `nan` equals itself."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right or (left != left and right != right)


def _document(document: Document) -> Iterator[str]:
    yield from ("\n".join(paragraph) for paragraph in document.top)
    stack: list[tuple[tuple[str, ...], Block]] = [((), document.root)]
    while stack:
        path, block = stack.pop()
        _unfold(block, path)
        yield from _block(block, path)
        below = [
            ((*path, name) if len(path) < order.DEEPEST else path, child)
            for name in _child_order(block, path)
            for child in block.children[name]
        ]
        stack.extend(reversed(below))
    yield from ("\n".join(paragraph) for paragraph in document.bottom)


def _block(block: Block, path: tuple[str, ...]) -> Iterator[str]:
    """Yield the chunks of one table; empty lines stand between chunks."""
    lead = ["\n".join(paragraph) for paragraph in block.lead]
    above = [] if block.gap or not lead else [lead.pop()]
    yield from lead
    lines = above
    if block.explicit:
        lines.append(_header(block))
    lines += block.head
    entries = [line for entry in _entries(block, path) for line in _entry(entry)]
    if block.head and entries:
        yield "\n".join(lines)
        lines = []
    lines += entries + block.tail
    if lines:
        yield "\n".join(lines)


def _header(block: Block) -> str:
    name = key_text(block.path())
    header = f"[[{name}]]" if block.element else f"[{name}]"
    return f"{header} {block.comment}" if block.comment else header


def _entry(entry: Entry) -> list[str]:
    line = f"{key_text(entry.key)} = {value_text(entry.key, entry.value)}"
    return [*entry.lead, f"{line} {entry.comment}" if entry.comment else line]


def _entries(block: Block, path: tuple[str, ...]) -> list[Entry]:
    """Return the table's own keys in canonical order."""
    listed = order.KEYS.get(path)
    if listed is None:
        return block.entries
    ranks = {name: rank for rank, name in enumerate(listed)}
    last = {name: rank for rank, name in enumerate(order.LAST_KEYS.get(path, ()))}

    def rank(entry: Entry) -> tuple[int, int, tuple[str, ...]]:
        name = entry.key[0]
        if name in ranks:
            return (0, ranks[name], ())
        return (2, last[name], ()) if name in last else (1, 0, entry.key)

    return sorted(block.entries, key=rank)


def _child_order(block: Block, path: tuple[str, ...]) -> list[str]:
    listed = order.SUB_TABLES.get(path)
    if listed is None:
        return list(block.children)
    known = [name for name in listed if name in block.children]
    return known + sorted(block.children.keys() - set(known))


def _unfold(block: Block, path: tuple[str, ...]) -> None:
    """Turn inline tables and dotted keys that deserve a header of their own into child tables."""
    names = order.UNFOLDED.get(path)
    if names is None:
        return
    kept: list[Entry] = []
    for entry in block.entries:
        name = entry.key[0]
        if name not in names:
            kept.append(entry)
        elif len(entry.key) > 1:
            child = _child(block, name)
            child.entries.append(Entry(entry.key[1:], entry.value, entry.lead, entry.comment))
        elif not _unfold_inline(block, entry):
            kept.append(entry)
    block.entries = kept


def _unfold_inline(block: Block, entry: Entry) -> bool:
    item = read(entry.value) if entry.value.startswith("{") else None
    if item is None or has_own_comment(item):
        return False
    child = _child(block, entry.key[0])
    child.entries += [Entry(each.key, item_text(each)) for each in item.items]
    child.comment = entry.comment
    child.lead = [entry.lead] if entry.lead else []
    return True


def _child(block: Block, name: str) -> Block:
    """Return the child table `name`, made when absent, with a header of its own."""
    if name not in block.children:
        block.children[name] = [Block(name, block)]
    child = block.children[name][-1]
    child.explicit = True
    return child
