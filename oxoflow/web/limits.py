"""Count every API request against its budget before anything else is done for it.

A request with a live session or key has that one's budget, any other its address's. Owns no
counters: those are in access.limiter.
"""

from __future__ import annotations

import time

from flask import Flask, Response, g, request

from oxoflow.access.limiter import Allowance
from oxoflow.access.peer import client_address, limiter_key
from oxoflow.errors import RateLimited
from oxoflow.web.guards import COOKIE, find_account
from oxoflow.web.services import services

FREE = "/api/health"


def address() -> str:
    """The client's address, as far as trusted proxies tell it; found once per request."""
    if "address" not in g:
        settings = services().settings
        peer = request.remote_addr or ""
        g.address = peer
        if settings.trusted_proxies:
            forwarded = request.headers.get("X-Forwarded-For", "").split(",")
            g.address = client_address(peer, forwarded, settings.trusted_proxies)
    found: str = g.address
    return found


def limit_rate() -> None:
    """Refuse a request above its budget with 429 (spec/oxo-flow-api.md 3.7)."""
    limiter = services().limiter
    path = request.path
    if limiter is None or not path.startswith("/api/") or path == FREE:
        return
    allowance = limiter.check(_budget(), time.monotonic())
    g.allowance = allowance
    if not allowance.allowed:
        raise RateLimited(
            "Rate limit exceeded",
            f"{allowance.limit} requests in {limiter.config.window:g} s are allowed",
            allowance.retry_after,
        )


def _budget() -> str:
    headers = request.headers
    if "Authorization" in headers or "X-API-Key" in headers or COOKIE in request.cookies:
        account = find_account()
        if account is not None and account.budget is not None:
            return account.budget
    return limiter_key(address())


def tell_allowance(response: Response) -> Response:
    """Say in headers what is left of the budget."""
    allowance: Allowance | None = g.get("allowance")
    if allowance is not None:
        response.headers.extend(
            (
                ("X-RateLimit-Limit", str(allowance.limit)),
                ("X-RateLimit-Remaining", str(allowance.remaining)),
                ("X-RateLimit-Reset", str(allowance.reset)),
            )
        )
    return response


def register(app: Flask) -> None:
    """Limit every request of this application."""
    app.before_request(limit_rate)
    app.after_request(tell_allowance)
