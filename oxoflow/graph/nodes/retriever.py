"""Run a Retriever: look texts up in a collection that the server keeps (spec section 6).

The search itself is a query on the server's database, so it is asked for and answered like an
approval; the request holds no slot.
"""

from __future__ import annotations

from oxoflow.graph import model as m
from oxoflow.graph.template import render
from oxoflow.graph.work import Context, NodeFailure, Outcome

KNOWN = ("sqlite", "fts5")
SECONDS = 60.0


def run_retriever(kind: m.Retriever, context: Context) -> Outcome:
    """Ask the server for the best texts."""
    if kind.db_type.lower() not in KNOWN:
        raise NodeFailure(
            f"db_type '{kind.db_type}' is not available; there are {', '.join(KNOWN)}", retry=False
        )
    if not context.desk.attended:
        raise NodeFailure(
            "collections are kept by the server, and this execution runs without one", retry=False
        )
    query = render(kind.query, context.scope.lookup)
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
    output = {
        "db_type": kind.db_type,
        "collection": kind.collection,
        "query": query,
        "results": results,
        "count": len(results),
    }
    return Outcome(output)
