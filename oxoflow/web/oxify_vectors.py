"""Fill and search collections of texts and vectors (spec/oxify-api.md 1.3), for Retriever nodes.

Collections belong to their user; a Retriever finds those of the execution's owner.
"""

from __future__ import annotations

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
from oxoflow.web.oxify import body, make_blueprint

PROVIDERS = ("sqlite", "fts5")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
LARGEST = 1e100  # size of a number in a vector

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
    name, dimension, provider = given["name"], given["dimension"], given["provider"].lower()
    if not NAME.fullmatch(name):
        raise InvalidInput("'name' must have 1 to 100 letters, digits, '.', '_' or '-'")
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
    given = body()
    collection = _own(name)
    entries = [_entry(item, collection) for item in given["vectors"]]
    what = deed("add_vectors", f"{len(entries)} to {name}")

    def work(connection: sqlite3.Connection) -> None:
        for entry in entries:
            put_entry(connection, collection, entry)
        append_deed(connection, what, instant())

    services().db.write(work)
    return Response(status=201)


def _entry(item: dict[str, Any], collection: Collection) -> Entry:
    entry_id, vector = item["id"], _numbers(item["vector"], "vector")
    if vector:
        _check_length(vector, entry_id, collection)
    return Entry(entry_id[:200], vector, item.get("metadata") or {})


def _check_length(vector: list[float], name: str, collection: Collection) -> None:
    if len(vector) != collection.dimension:
        raise InvalidInput(
            f"'{name[:60]}' has {len(vector)} dimensions, the collection {collection.dimension}"
        )


def _numbers(values: list[Any], name: str) -> list[float]:
    if not all(abs(value) <= LARGEST for value in values):
        raise InvalidInput(f"'{name}' holds a number out of range")
    return [float(value) for value in values]


@blueprint.post("/api/v1/vectors/collections/<name>/search")
def search(name: str) -> Response:
    """The entries whose vectors are nearest to a vector."""
    given = body()
    collection = _own(name)
    vector, top_k = _numbers(given["query"], "query"), given["top_k"]
    _check_length(vector, "query", collection)
    least = given.get("score_threshold")
    if least is not None:
        least = _numbers([least], "score_threshold")[0]
    wanted = given.get("filter")
    hits = find_vectors(services().db.read(), collection, vector, top_k, least, wanted)
    return reply([hit_json(hit, "metadata") for hit in hits])


@blueprint.delete("/api/v1/vectors/collections/<name>/vectors/<path:entry_id>")
def forget(name: str, entry_id: str) -> Response:
    """Remove one entry."""
    collection, what = _own(name), deed("delete_vector", f"{entry_id[:100]} of {name}")

    def work(connection: sqlite3.Connection) -> None:
        if not delete_entry(connection, collection, entry_id):
            raise NotFound(f"Entry '{entry_id[:100]}' not found")
        append_deed(connection, what, instant())

    services().db.write(work)
    return Response(status=204)
