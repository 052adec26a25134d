"""Collections of texts: found by their words, each with a table of its own."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from oxoflow.db import Database
from oxoflow.db.accounts import User, delete_user, insert_user
from oxoflow.db.collections import (
    Collection,
    Entry,
    delete_collection,
    delete_entry,
    find_collection,
    find_texts,
    insert_collection,
    put_entry,
)

TEXTS = ["How to clean a pipette", "Ordering gloves", "The centrifuge rotor"]


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "x.db")
    for name in ("ann", "bob"):
        database.write(
            lambda c, name=name: insert_user(
                c, User(name, name, "user", "password", None, None, False, "", "")
            )
        )
    yield database
    database.close()


def make(db: Database, owner: str, name: str, texts: list[str]) -> Collection:
    def work(connection: sqlite3.Connection) -> Collection:
        insert_collection(connection, owner, name, 0, "sqlite", "")
        made = find_collection(connection, owner, name)
        assert made is not None
        for at, text in enumerate(texts):
            put_entry(connection, made, Entry(f"d{at}", [], {"text": text}))
        return made

    return db.write(work)


def found(db: Database, collection: Collection, query: str) -> list[tuple[str, float]]:
    hits = find_texts(db.read(), collection, query, 10, None)
    return [(hit.name, hit.score) for hit in hits]


def text_tables(db: Database) -> set[str]:
    rows = db.read().execute("SELECT name FROM sqlite_master WHERE sql LIKE '%fts5%'")
    return {row["name"] for row in rows}


def test_scores_depend_on_no_other_collection(db: Database) -> None:
    own = make(db, "ann", "sops", TEXTS)
    before = found(db, own, "pipette")
    assert [name for name, _ in before] == ["d0"]
    make(db, "ann", "others", ["pipette"] * 20)
    make(db, "bob", "sops", ["no such word"] * 50)
    assert found(db, own, "pipette") == before


def test_entries_are_replaced_and_removed_with_their_texts(db: Database) -> None:
    own = make(db, "ann", "sops", TEXTS)
    db.write(lambda c: put_entry(c, own, Entry("d0", [], {"text": "a balance"})))
    assert found(db, own, "pipette") == []
    assert [name for name, _ in found(db, own, "balance")] == ["d0"]
    assert db.write(lambda c: delete_entry(c, own, "d0"))
    assert not db.write(lambda c: delete_entry(c, own, "d0"))
    assert found(db, own, "balance") == []


def test_a_collection_without_texts_is_searched_in_vain(db: Database) -> None:
    own = make(db, "ann", "empty", [])
    db.write(lambda c: put_entry(c, own, Entry("v", [1.0], {})))
    assert found(db, own, "anything") == []
    assert db.write(lambda c: delete_entry(c, own, "v"))


def test_texts_go_with_their_collection_and_with_its_owner(db: Database) -> None:
    make(db, "ann", "sops", TEXTS)
    make(db, "bob", "sops", TEXTS)
    assert len(text_tables(db)) == 2
    assert db.write(lambda c: delete_collection(c, "ann", "sops"))
    assert db.write(lambda c: delete_user(c, "bob"))
    assert text_tables(db) == set()
    again = make(db, "ann", "sops", ["other words"])
    assert found(db, again, "pipette") == []
