"""Query collections of texts: fill them, and find the best entries for a question.

Texts are searched by SQLite's FTS5, vectors by their cosine. Every statement takes the owner, or a
collection that was found for one. The texts of each collection have a table of their own, made with
the first of them: how rare a word is, and so every score, depends on no other collection.
"""

from __future__ import annotations

import json
import math
import re
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

MOST_TOKENS = 200  # of a query


class Collection(Struct, frozen=True):
    """One collection and how many entries it has."""

    id: int
    name: str
    dimension: int
    provider: str
    created_at: str
    entries: int


class Entry(Struct, frozen=True):
    """What is put into a collection; `metadata["text"]` is what text searches look at."""

    name: str
    vector: Sequence[float]
    metadata: Mapping[str, Any]


class Hit(Struct, frozen=True):
    """An entry that was found, with a score from 0 to 1."""

    name: str
    score: float
    metadata: Mapping[str, Any]


_SELECT = (
    "SELECT c.id, c.name, c.dimension, c.provider, c.created_at,"
    " (SELECT count(*) FROM collection_entries e WHERE e.collection_id = c.id) FROM collections c"
)


def insert_collection(
    connection: sqlite3.Connection,
    user_id: str,
    name: str,
    dimension: int,
    provider: str,
    now: str,
) -> None:
    """Make an empty collection; raises sqlite3.IntegrityError when the user has one so named."""
    cursor = connection.execute(
        "INSERT INTO collections (user_id, name, dimension, provider, created_at)"
        " VALUES (?, ?, ?, ?, ?)",
        (user_id, name, dimension, provider, now),
    )
    _drop_texts(connection, cursor.lastrowid)


def find_collection(connection: sqlite3.Connection, user_id: str, name: str) -> Collection | None:
    """A user's collection."""
    row = connection.execute(
        _SELECT + " WHERE c.user_id = ? AND c.name = ?", (user_id, name)
    ).fetchone()
    return None if row is None else Collection(*row)


def list_collections(connection: sqlite3.Connection, user_id: str) -> list[Collection]:
    """A user's collections by name."""
    rows = connection.execute(_SELECT + " WHERE c.user_id = ? ORDER BY c.name", (user_id,))
    return [Collection(*row) for row in rows]


def delete_collection(connection: sqlite3.Connection, user_id: str, name: str) -> bool:
    """Remove a collection with all its entries."""
    found = find_collection(connection, user_id, name)
    if found is None:
        return False
    connection.execute("DELETE FROM collections WHERE id = ?", (found.id,))
    _drop_texts(connection, found.id)
    return True


def _texts(collection_id: int) -> str:
    """The table with the texts of a collection."""
    return f"collection_texts_{collection_id:d}"


def _has_texts(connection: sqlite3.Connection, collection: Collection) -> bool:
    row = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (_texts(collection.id),)
    ).fetchone()
    return row is not None


def _drop_texts(connection: sqlite3.Connection, collection_id: int | None) -> None:
    connection.execute(f"DROP TABLE IF EXISTS {_texts(collection_id or 0)}")


def put_entry(connection: sqlite3.Connection, collection: Collection, entry: Entry) -> None:
    """Add an entry; one of the same name is replaced."""
    delete_entry(connection, collection, entry.name)
    cursor = connection.execute(
        "INSERT INTO collection_entries (collection_id, name, vector, metadata)"
        " VALUES (?, ?, ?, ?)",
        (collection.id, entry.name, json.dumps(list(entry.vector)),
         json.dumps(dict(entry.metadata), ensure_ascii=False)),
    )  # fmt: skip
    text = entry.metadata.get("text")
    if isinstance(text, str) and text:
        table = _texts(collection.id)
        connection.execute(f"CREATE VIRTUAL TABLE IF NOT EXISTS {table} USING fts5 (text)")
        connection.execute(
            f"INSERT INTO {table} (rowid, text) VALUES (?, ?)", (cursor.lastrowid, text)
        )


def delete_entry(connection: sqlite3.Connection, collection: Collection, name: str) -> bool:
    """Remove an entry."""
    row = connection.execute(
        "DELETE FROM collection_entries WHERE collection_id = ? AND name = ? RETURNING id",
        (collection.id, name),
    ).fetchone()
    if row is not None and _has_texts(connection, collection):
        connection.execute(f"DELETE FROM {_texts(collection.id)} WHERE rowid = ?", row)
    return row is not None


def match_of(query: str) -> str:
    """The FTS5 expression for a person's words: each one quoted, joined with OR.

    So quotes, operators and column names in a question are words like others; empty when there
    is no word at all.
    """
    words = re.findall(r"\w+", query)[:MOST_TOKENS]
    return " OR ".join(f'"{word}"' for word in dict.fromkeys(words))


def find_texts(
    connection: sqlite3.Connection,
    collection: Collection,
    query: str,
    top_k: int,
    threshold: float | None,
) -> list[Hit]:
    """The entries whose texts fit a question best; scores are `s / (1 + s)` of `s = -bm25`."""
    match = match_of(query)
    if not match or not _has_texts(connection, collection):
        return []
    table = _texts(collection.id)
    rows = connection.execute(
        f"SELECT e.name, -bm25({table}), e.metadata FROM {table}"
        f" JOIN collection_entries e ON e.id = {table}.rowid"
        f" WHERE {table} MATCH ? ORDER BY bm25({table}), e.name LIMIT ?",
        (match, top_k),
    )
    hits = []
    for name, raw, metadata in rows:
        score = max(0.0, raw) / (1 + max(0.0, raw))
        hits.append(Hit(name, score, json.loads(metadata)))
    return [hit for hit in hits if threshold is None or hit.score >= threshold]


def find_vectors(
    connection: sqlite3.Connection,
    collection: Collection,
    vector: Sequence[float],
    top_k: int,
    threshold: float | None,
    wanted: Mapping[str, Any] | None = None,
) -> list[Hit]:
    """The entries whose vectors point the same way; `wanted` must stand in their metadata."""
    rows = connection.execute(
        "SELECT name, vector, metadata FROM collection_entries WHERE collection_id = ?",
        (collection.id,),
    )
    hits = []
    for name, stored, text in rows:
        metadata = json.loads(text)
        if wanted and any(metadata.get(key) != value for key, value in wanted.items()):
            continue
        score = cosine(vector, json.loads(stored))
        if score is not None and (threshold is None or score >= threshold):
            hits.append(Hit(name, score, metadata))
    return sorted(hits, key=lambda hit: (-hit.score, hit.name))[:top_k]


def cosine(one: Sequence[float], other: Sequence[float]) -> float | None:
    """The cosine of two vectors; None when they cannot be compared."""
    if len(one) != len(other) or not one:
        return None
    length = math.sqrt(math.fsum(x * x for x in one)) * math.sqrt(math.fsum(y * y for y in other))
    if length == 0:
        return None
    return math.fsum(x * y for x, y in zip(one, other, strict=True)) / length
