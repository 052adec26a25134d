"""Texts ranked without a database: word for word and number for number what FTS5 says."""

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oxoflow.db.collections import match_of
from oxoflow.graph.nodes.texts import rank, words_of

WORDS = ["pipette", "rotor", "Über", "uber", "a_b", "a", "b", "x²", "3.14", "naïve", "the", "中文"]
SENTENCE = st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join)


def by_fts5(texts: list[str], query: str) -> list[tuple[str, float]]:
    """Ids and scores as the server finds them."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE VIRTUAL TABLE t USING fts5 (text)")
        for at, text in enumerate(texts):
            connection.execute("INSERT INTO t (rowid, text) VALUES (?, ?)", (at, text))
        rows = connection.execute(
            "SELECT rowid, -bm25(t) FROM t WHERE t MATCH ?", (match_of(query),)
        ).fetchall()
    found = [(f"d{at}", round(raw / (1 + raw), 6)) for at, raw in rows]
    return sorted(found, key=lambda hit: (-hit[1], hit[0]))


def ranked(texts: list[str], query: str, top_k: int = 1000) -> list[tuple[str, float]]:
    entries = [{"id": f"d{at}", "metadata": {"text": text}} for at, text in enumerate(texts)]
    return [(hit["id"], hit["score"]) for hit in rank(entries, query, top_k, None)]


@settings(max_examples=150, deadline=None)
@given(st.lists(SENTENCE, min_size=1, max_size=8), SENTENCE)
def test_scores_are_those_of_fts5(texts: list[str], query: str) -> None:
    expected, found = by_fts5(texts, query), ranked(texts, query)
    assert dict(found) == pytest.approx(dict(expected), abs=2e-6)
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)


def test_words_have_neither_case_nor_accents() -> None:
    assert words_of("Über_Cafés, NAÏVE-x² 3.14") == ["uber", "cafes", "naive", "x²", "3", "14"]


def test_operators_and_quotes_are_words_like_others() -> None:
    texts = ["How to clean a pipette", "Ordering gloves", "The centrifuge rotor"]
    assert [name for name, _ in ranked(texts, 'rotor* NEAR("gloves") - AND (')] == ["d1", "d2"]
    assert ranked(texts, '"*(') == []


def test_the_best_come_first_and_a_threshold_leaves_out_the_rest() -> None:
    entries = [
        {"id": "one", "metadata": {"text": "rotor"}},
        {"id": "two", "metadata": {"text": "a rotor among many other words of a long text"}},
        {"id": "three", "metadata": {"text": "nothing"}},
        {"id": "four", "metadata": {"k": 1}},
        {"id": "five"},
        {"id": "six", "metadata": {"text": "more"}},
        {"id": "seven", "metadata": {"text": "and more"}},
    ]
    hits = rank(entries, "rotor", 5, None)
    assert [hit["id"] for hit in hits] == ["one", "two"]
    assert hits[0]["payload"] == {"text": "rotor"}
    assert [hit["id"] for hit in rank(entries, "rotor", 1, None)] == ["one"]
    assert [hit["id"] for hit in rank(entries, "rotor", 5, hits[0]["score"])] == ["one"]
