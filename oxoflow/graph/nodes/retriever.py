"""Run a Retriever: look texts up in a collection (spec/oxify-api.md section 6).

With a server the search is a query on its database, asked for and answered like an approval; the
request holds no slot. Without one, collections come with the execution and are ranked here.
"""

from __future__ import annotations

from typing import Any

from oxoflow.graph import model as m
from oxoflow.graph.nodes.texts import rank
from oxoflow.graph.template import render
from oxoflow.graph.work import Context, NodeFailure, Outcome

KNOWN = ("sqlite", "fts5")
SECONDS = 60.0


def run_retriever(kind: m.Retriever, context: Context) -> Outcome:
    """Find the best texts."""
    if kind.db_type.lower() not in KNOWN:
        raise NodeFailure(
            f"db_type '{kind.db_type}' is not available; there are {', '.join(KNOWN)}", retry=False
        )
    query = render(kind.query, context.scope.lookup)
    find = _ask if context.desk.attended else _rank
    results = find(kind, query, context)
    output = {
        "db_type": kind.db_type,
        "collection": kind.collection,
        "query": query,
        "results": results,
        "count": len(results),
    }
    return Outcome(output)


def _ask(kind: m.Retriever, query: str, context: Context) -> list[Any]:
    body = {
        "collection": kind.collection,
        "query": query,
        "top_k": kind.top_k,
        "score_threshold": kind.score_threshold,
    }
    answer = context.desk.ask("lookup", context, body, context.token.remaining(SECONDS))
    error = answer.get("error")
    if error:
        raise NodeFailure(str(error)[:500], retry=False)
    results = answer.get("results")
    if not isinstance(results, list):
        raise NodeFailure("the look-up came back without results")
    return results


def _rank(kind: m.Retriever, query: str, context: Context) -> list[Any]:
    entries = context.desk.collection(kind.collection)
    if entries is None:
        raise NodeFailure(
            f"collection '{kind.collection}' is not here: give --collection {kind.collection}=FILE",
            retry=False,
        )
    return rank(entries, query, kind.top_k, kind.score_threshold)
