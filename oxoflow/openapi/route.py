"""Hold one route of the API as a record: what it takes, what it answers, who may call it.

Adds what follows from those facts by itself: the errors of every route with a body, of every route
that needs a login, of everything that is rate limited.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from oxoflow.openapi.shapes import WHOLE, Schema

JSON = "application/json"
PLAIN = "text/plain"
HTML = "text/html"
STREAM = "text/event-stream"
BYTES = "application/octet-stream"
NOT_LIMITED = "/api/health"
UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
ERRORS: Mapping[int, str] = {
    400: "The request cannot be accepted as it is",
    401: "Nobody is logged in, or the credentials are wrong",
    403: "Logged in, but not allowed",
    404: "Unknown, or somebody else's",
    409: "The present state does not permit it",
    413: "The body is over the limit",
    415: "The body is not of the right type",
    416: "The range lies outside the file",
    422: "A field is missing or wrong, or the workflow cannot be planned",
    429: "Over the rate limit or a quota",
    500: "The database or a disk is in trouble, or the server has a fault",
    503: "Not possible just now",
}


class Answer(Struct, frozen=True):
    """One successful answer; without a schema the body is empty or not JSON."""

    words: str
    schema: Schema | None = None
    media: tuple[str, ...] = (JSON,)
    headers: Mapping[str, str] = field(default_factory=dict)  # name to what it says


class Query(Struct, frozen=True):
    """One parameter of the query or, with `place` header, of the head."""

    name: str
    words: str
    schema: Schema
    place: str = "query"


# A list whose pages may be asked for; without either parameter it comes whole.
BY_PAGES = (
    Query("page", "Which page, from 1; without it and per_page the list is whole.", WHOLE),
    Query("per_page", "How many on a page, 1 to 1000; 100 when absent.", WHOLE),
)
LOCATION: Mapping[str, str] = {"Location": "The path at which it can be read."}
PAGES: Mapping[str, str] = {
    "X-Total-Count": "How many there are on all pages.",
    "X-Total-Pages": "How many pages there are.",
    "X-Page": "Which page this is.",
    "X-Per-Page": "How many are on a page.",
}


class Route(Struct, frozen=True):
    """One method of one path.

    `role` is the least role that may call it, None when anybody may; `optional_login` says that
    credentials change the answer. `oxify` routes speak the other error shape.
    """

    method: str
    path: str
    name: str
    summary: str
    tag: str
    answers: Mapping[int, Answer]
    role: str | None = None
    optional_login: bool = False
    body: Schema | None = None
    body_required: bool = True
    body_media: tuple[str, ...] = (JSON,)
    query: tuple[Query, ...] = ()
    errors: tuple[int, ...] = ()
    oxify: bool = False

    @property
    def path_parameters(self) -> Sequence[str]:
        """The names in braces."""
        return re.findall(r"\{(\w+)\}", self.path)

    @property
    def all_errors(self) -> list[int]:
        """The statuses of errors: those given and those that follow."""
        found = {500, *self.errors}
        if self.path.startswith("/api/") and self.path != NOT_LIMITED:
            found.add(429)
        if self.role is not None:
            found.add(401)
            if self.role != "viewer" or self.method in UNSAFE:
                found.add(403)
        if self.optional_login and self.method in UNSAFE:
            found.add(403)
        if self.body is not None:
            found |= {400, 413, 415, 422}
        if any(query.place == "query" for query in self.query):
            found.add(400)
        if self.path_parameters:
            found.add(404)
        return sorted(found)

    @property
    def statuses(self) -> set[int]:
        """Every status this route may answer with."""
        return {*self.answers, *self.all_errors}


def ok(schema: Schema, words: str = "Done", status: int = 200, **more: Any) -> dict[int, Answer]:
    """The usual: one successful answer with JSON."""
    return {status: Answer(words, schema, **more)}
