"""Fill and search collections of texts and vectors (spec/oxify-api.md 1.3), for Retriever nodes.

Collections belong to their user; a Retriever finds those of the execution's owner.
"""

from __future__ import annotations

import math
import re
import sqlite3
from typing import Any

from flask import Response, g

from oxoflow.db.audit import append_deed
from oxoflow.db.collections import (
    Collection,
    Entry,
    delete_collection,
    delete_entry,
    find_collection,
    find_vectors,
    insert_collection,
    list_collections,
    put_entry,
)
from oxoflow.db.instants import instant
from oxoflow.errors import Conflict, InvalidInput, NotFound
from oxoflow.executions.attending import hit_json
from oxoflow.web.deeds import deed
from oxoflow.web.http import reply, services
from oxoflow.web.oxify import batch_of, body, make_blueprint, member, needed

PROVIDERS = ("sqlite", "fts5")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
MOST_VECTORS = 1000
MOST_DIMENSIONS = 8192

blueprint = make_blueprint(__name__)


def _own(name: str) -> Collection:
    found = find_collection(services().db.read(), g.account.id, name)
    if found is None:
        raise NotFound(f"Collection '{name[:100]}' not found")
    return found


def _shown(collection: Collection) -> dict[str, Any]:
    return {
        "name": collection.name,
        "dimension": collection.dimension,
        "provider": collection.provider,
        "vector_count": collection.entries,
        "created_at": collection.created_at,
    }


@blueprint.post("/api/v1/vectors/collections")
def create() -> Response:
    """Make an empty collection; `dimension` 0 is for texts alone."""
    given = body()
    name = needed(given, "name", str)
    dimension = needed(given, "dimension", int)
    provider = needed(given, "provider", str).lower()
    if not NAME.fullmatch(name):
        raise InvalidInput("'name' must have 1 to 100 letters, digits, '.', '_' or '-'")
    if not 0 <= dimension <= MOST_DIMENSIONS:
        raise InvalidInput(f"'dimension' must be 0 to {MOST_DIMENSIONS}")
    if provider not in PROVIDERS:
        raise InvalidInput(f"'provider' must be one of {', '.join(PROVIDERS)}")
    owner, now, what = g.account.id, instant(), deed("create_collection", name)

    def work(connection: sqlite3.Connection) -> None:
        insert_collection(connection, owner, name, dimension, provider, now)
        append_deed(connection, what, now)

    try:
        services().db.write(work)
    except sqlite3.IntegrityError:
        raise Conflict(f"A collection '{name}' exists already") from None
    return reply(_shown(_own(name)), 201)


@blueprint.get("/api/v1/vectors/collections")
def listing() -> Response:
    """One's own collections."""
    found = list_collections(services().db.read(), g.account.id)
    return reply([_shown(collection) for collection in found])


@blueprint.get("/api/v1/vectors/collections/<name>")
def one(name: str) -> Response:
    """One collection."""
    return reply(_shown(_own(name)))


@blueprint.delete("/api/v1/vectors/collections/<name>")
def delete(name: str) -> Response:
    """Remove a collection with all that is in it."""
    owner, what = g.account.id, deed("delete_collection", name[:100])

    def work(connection: sqlite3.Connection) -> None:
        if not delete_collection(connection, owner, name):
            raise NotFound(f"Collection '{name[:100]}' not found")
        append_deed(connection, what, instant())

    services().db.write(work)
    return Response(status=204)


@blueprint.post("/api/v1/vectors/collections/<name>/vectors")
def add(name: str) -> Response:
    """Add entries; one of the same id is replaced."""
    collection = _own(name)
    entries = [_entry(item, collection) for item in batch_of(body(), "vectors", MOST_VECTORS)]

    what = deed("add_vectors", f"{len(entries)} to {name}")

    def work(connection: sqlite3.Connection) -> None:
        for entry in entries:
            put_entry(connection, collection, entry)
        append_deed(connection, what, instant())

    services().db.write(work)
    return Response(status=201)


def _entry(item: Any, collection: Collection) -> Entry:
    if not isinstance(item, dict):
        raise InvalidInput("a vector must be an object with 'id', 'vector' and 'metadata'")
    entry_id = needed(item, "id", str)
    vector = _numbers(needed(item, "vector", list), "vector")
    if vector and len(vector) != collection.dimension:
        raise InvalidInput(
            f"'{entry_id[:60]}' has {len(vector)} dimensions, the collection {collection.dimension}"
        )
    return Entry(entry_id[:200], vector, member(item, "metadata", dict, {}))


def _numbers(values: list[Any], name: str) -> list[float]:
    for value in values:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise InvalidInput(f"'{name}' must be a list of numbers")
        if not math.isfinite(value) or abs(value) > 1e100:
            raise InvalidInput(f"'{name}' holds a number out of range")
    return [float(value) for value in values]


@blueprint.post("/api/v1/vectors/collections/<name>/search")
def search(name: str) -> Response:
    """The entries whose vectors are nearest to a vector."""
    collection = _own(name)
    given = body()
    vector = _numbers(needed(given, "query", list), "query")
    top_k = needed(given, "top_k", int)
    if not 1 <= top_k <= 1000:
        raise InvalidInput("'top_k' must be 1 to 1000")
    least = given.get("score_threshold")
    if least is not None:
        least = _numbers([least], "score_threshold")[0]
    wanted = member(given, "filter", dict)
    hits = find_vectors(services().db.read(), collection, vector, top_k, least, wanted)
    return reply([hit_json(hit, "metadata") for hit in hits])


@blueprint.delete("/api/v1/vectors/collections/<name>/vectors/<entry_id>")
def forget(name: str, entry_id: str) -> Response:
    """Remove one entry."""
    collection, what = _own(name), deed("delete_vector", f"{entry_id[:100]} of {name}")

    def work(connection: sqlite3.Connection) -> None:
        if not delete_entry(connection, collection, entry_id):
            raise NotFound(f"Entry '{entry_id[:100]}' not found")
        append_deed(connection, what, instant())

    services().db.write(work)
    return Response(status=204)
