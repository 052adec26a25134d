"""Rank texts for a question without a database, with the scores that SQLite's FTS5 would give.

Serves executions without a server, whose collections come from files. Owns words (letters and
digits, without case and accents, as FTS5's `unicode61` takes them) and the formula (BM25).
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

K1, B = 1.2, 0.75  # FTS5's constants
RARE = 1e-6  # the weight of a word that stands in more than half of the texts
MOST_WORDS = 200  # of a question


def words_of(text: str) -> list[str]:
    """The words of a text in order."""
    plain = unicodedata.normalize("NFD", text.lower())
    kept = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return re.findall(r"[^\W_]+", kept)


def rank(
    entries: Sequence[Mapping[str, Any]], query: str, top_k: int, threshold: float | None
) -> list[dict[str, Any]]:
    """The entries (`id`, `metadata` with a `text`) that fit best, as a Retriever gives them."""
    texts = [(entry, words_of(_text(entry))) for entry in entries if _text(entry)]
    asked = dict.fromkeys(re.findall(r"\w+", query)[:MOST_WORDS])
    phrases = [tuple(words_of(word)) for word in asked]
    scores = _scores([words for _, words in texts], [phrase for phrase in phrases if phrase])
    found: list[dict[str, Any]] = [
        {"id": str(entry.get("id")), "score": round(raw / (1 + raw), 6), "payload": _about(entry)}
        for (entry, _), raw in zip(texts, scores, strict=True)
        if raw > 0 and (threshold is None or raw / (1 + raw) >= threshold)
    ]
    return sorted(found, key=lambda hit: (-hit["score"], hit["id"]))[:top_k]


def _scores(texts: Sequence[list[str]], phrases: Sequence[tuple[str, ...]]) -> list[float]:
    """BM25 of each text: the sum over the phrases, rare ones weighing more."""
    scores = [0.0] * len(texts)
    average = sum(map(len, texts)) / max(1, len(texts)) or 1.0
    for phrase in phrases:
        counts = [_count(words, phrase) for words in texts]
        holders = sum(map(bool, counts))
        weight = math.log((len(texts) - holders + 0.5) / (holders + 0.5))
        weight = weight if weight > 0 else RARE
        for at, (count, words) in enumerate(zip(counts, texts, strict=True)):
            length = K1 * (1 - B + B * len(words) / average)
            scores[at] += weight * count * (K1 + 1) / (count + length)
    return scores


def _count(words: list[str], phrase: tuple[str, ...]) -> int:
    if len(phrase) == 1:
        return words.count(phrase[0])
    size = len(phrase)
    return sum(tuple(words[at : at + size]) == phrase for at in range(len(words) - size + 1))


def _about(entry: Mapping[str, Any]) -> dict[str, Any]:
    about = entry.get("metadata")
    return dict(about) if isinstance(about, dict) else {}


def _text(entry: Mapping[str, Any]) -> str:
    text = _about(entry).get("text")
    return text if isinstance(text, str) else ""
