"""Read from the query which part of a list is wanted, and say in headers how much there is."""

from __future__ import annotations

from flask import Response, request
from msgspec import Struct

from oxoflow.web.http import query_number

PER_PAGE, MOST_PER_PAGE = 100, 1000


class Page(Struct, frozen=True):
    """A part of a list; a size of -1 is the whole of it, in SQL's words too."""

    number: int = 1
    size: int = -1

    @property
    def offset(self) -> int:
        """How many rows come before it."""
        return (self.number - 1) * self.size if self.size > 0 else 0


def wanted_page() -> Page:
    """The page asked for; everything when the query says nothing of pages.

    The lists of the first API have no pages (spec/oxo-flow-api.md 1.5, 1.6): a client that knows
    none must not miss a row.
    """
    if "page" not in request.args and "per_page" not in request.args:
        return Page()
    number = query_number("page", 1, 1, 10**9)
    return Page(number, query_number("per_page", PER_PAGE, 1, MOST_PER_PAGE))


def tell_page(answer: Response, page: Page, total: int) -> None:
    """Put the totals on an answer."""
    size = page.size if page.size > 0 else max(1, total)
    answer.headers["X-Total-Count"] = str(total)
    answer.headers["X-Total-Pages"] = str(max(1, -(-total // size)))
    answer.headers["X-Page"] = str(page.number)
    answer.headers["X-Per-Page"] = str(size)
