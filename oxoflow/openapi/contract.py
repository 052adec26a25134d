"""Gather the routes of all parts into the one contract, and make the checks of its bodies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from oxoflow.openapi import accounts, library, oxify, runs, system, texts
from oxoflow.openapi.checks import Check, compile_schema
from oxoflow.openapi.document import write_document
from oxoflow.openapi.route import JSON, Route
from oxoflow.openapi.schemas import SCHEMAS

TAGS: Mapping[str, str] = {
    "system": "The server itself",
    "auth": "Logins and API keys",
    "accounts": "Accounts, quota, audit",
    "workflows": "Verbs on workflow texts: text in, text out",
    "library": "Saved workflows",
    "runs": "Runs, jobs, logs",
    "events": "What happens, as it happens",
    "reports": "Reports",
    oxify.TAG: "Graphs of nodes and edges, and their executions",
}
ROUTES: tuple[Route, ...] = (
    *system.ROUTES,
    *accounts.ROUTES,
    *texts.ROUTES,
    *library.ROUTES,
    *runs.ROUTES,
    *oxify.ROUTES,
)
BODY_CHECKS: Mapping[tuple[str, str], Check] = {
    (route.method, route.path): compile_schema(route.body, SCHEMAS)
    for route in ROUTES
    if route.body is not None and JSON in route.body_media
}


RULE_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")


@lru_cache(maxsize=1024)
def path_of(rule: str) -> str:
    """The path of the contract for a rule of the router: `<int:x>` is `{x}`."""
    return RULE_PARAMETER.sub(r"{\1}", rule)


def complaint(method: str, rule: str, body: object) -> str | None:
    """What is wrong with a body by the contract; None when it fits or is not described."""
    check = BODY_CHECKS.get((method, path_of(rule)))
    return None if check is None else check(body, "")


@lru_cache(maxsize=64)
def _check_of(name: str) -> Check:
    return compile_schema(SCHEMAS[name], SCHEMAS)


def complaint_of(name: str, part: object) -> str | None:
    """What is wrong with a part of a body by the schema of that name; None when it fits."""
    return _check_of(name)(part, "")


def document(base_path: str = "") -> dict[str, object]:
    """The contract as OpenAPI 3.1."""
    return write_document(ROUTES, SCHEMAS, TAGS, base_path)
